"""Shapes of fields that bodies of several doors share. Texts that are kept have bounds and no control characters."""

from typing import Annotated, Final

from msgspec import Meta

_NO_CONTROL: Final = r"^[^\x00-\x1f\x7f\u2028\u2029]*\Z"
_NO_CONTROL_BUT_LINES: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z"

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_CONTROL)]
NameOrNothing = Annotated[str, Meta(max_length=255, pattern=_NO_CONTROL)]
Identifier = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_CONTROL)]
"""An id as somebody gave it: only ever looked up."""
Text = Annotated[str, Meta(max_length=4096, pattern=_NO_CONTROL_BUT_LINES)]
"""A description."""
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
SmallCount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
"""A quota: -1 is no limit."""
