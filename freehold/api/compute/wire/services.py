"""Bodies about services."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from freehold.api.call import Body
from freehold.vocabulary.host import REASON_LETTERS_MAX

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_LETTERS_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class ServiceIn(Body, frozen=True, kw_only=True):
    """PUT /os-services/{id}, since 2.53."""

    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: bool | UnsetType = UNSET


class ServiceForcedDown(Body, frozen=True, kw_only=True):
    """PUT /os-services/force-down, 2.11 to 2.52."""

    host: Text
    binary: Text
    forced_down: bool


class ServiceNamed(Body, frozen=True, kw_only=True):
    """PUT /os-services/enable, /disable and /disable-log-reason, until 2.52."""

    host: Text
    binary: Text
    disabled_reason: Reason | UnsetType = UNSET
