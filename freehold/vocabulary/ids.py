"""Names of things: how ids look and how they are checked before they are used."""

import re
import uuid  # only for the layout of a UUID; randomness is handed in

URN_PREFIX = "urn:freehold:request:"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def uuid_text(random_bytes: bytes) -> str:
    """The UUID (version 4) made from 16 random bytes, in its canonical text."""
    return str(uuid.UUID(bytes=random_bytes, version=4))


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in canonical lower-case form: safe as a file name and as a subject token."""
    return _UUID.fullmatch(text) is not None


def request_urn(request_id: str) -> str:
    """The URN of a request, from its UUID."""
    return URN_PREFIX + request_id


def is_request_urn(text: str) -> bool:
    """Whether `text` is the URN of a request."""
    return text.startswith(URN_PREFIX) and is_uuid(text.removeprefix(URN_PREFIX))


def short(identifier: str) -> str:
    """The first 11 hex digits of a UUID: what fits behind a prefix in a Linux interface name (15 bytes)."""
    return identifier.replace("-", "")[:11]
