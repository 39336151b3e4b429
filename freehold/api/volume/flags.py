"""Yes and no, as clients write them."""

from typing import Final

from freehold.api.volume.wire.volumes import Flag
from freehold.vocabulary.errors import BadRequest

_YES: Final = frozenset({"true", "1", "yes", "on", "t", "y"})
_NO: Final = frozenset({"false", "0", "no", "off", "f", "n", ""})


def yes(name: str, value: Flag | None) -> bool:
    """Whether `value` says yes; None doesn't. Raises BadRequest naming `name` for what says neither."""
    text = str("" if value is None else value).strip().lower()
    if text not in _YES | _NO:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {text[:32]}. It must be true or false.")
    return text in _YES
