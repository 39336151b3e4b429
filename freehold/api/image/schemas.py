"""What an image looks like, as a JSON schema that clients read."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.vocabulary.image import FORMATS, ImageStatus, MemberStatus, Visibility

DISK_FORMATS: Final = FORMATS
CONTAINER_FORMATS: Final = ("bare",)

_TEXT: Final = {"type": ["null", "string"], "maxLength": 255}
_COUNT: Final = {"type": "integer"}
_SIZE: Final = {"type": ["null", "integer"], "readOnly": True}
_TOLD: Final = {"type": ["null", "string"], "readOnly": True}

_PROPERTIES: Final[dict[str, Any]] = {
    "id": {"type": "string"},
    "name": _TEXT,
    "status": {"type": "string", "readOnly": True, "enum": [status.value for status in ImageStatus]},
    "visibility": {"type": "string", "enum": [visibility.value for visibility in Visibility]},
    "protected": {"type": "boolean"},
    "os_hidden": {"type": "boolean"},
    "owner": _TEXT,
    "checksum": _TOLD,
    "os_hash_algo": _TOLD,
    "os_hash_value": _TOLD,
    "size": _SIZE,
    "virtual_size": _SIZE,
    "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
    "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
    "min_disk": _COUNT,
    "min_ram": _COUNT,
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    "created_at": {"type": "string", "readOnly": True},
    "updated_at": {"type": "string", "readOnly": True},
    "self": {"type": "string", "readOnly": True},
    "file": {"type": "string", "readOnly": True},
    "schema": {"type": "string", "readOnly": True},
}

_IMAGE: Final = {"name": "image", "properties": _PROPERTIES, "additionalProperties": {"type": "string"}, "links": []}


async def image(call: Call) -> Answer:
    """GET /v2/schemas/image."""
    del call
    return Answer(body=_IMAGE)


async def images(call: Call) -> Answer:
    """GET /v2/schemas/images."""
    del call
    properties = {"images": {"type": "array", "items": _IMAGE}, "first": {"type": "string"}, "next": {"type": "string"}}
    return Answer(body={"name": "images", "properties": properties, "links": []})


_MEMBER: Final = {
    "name": "member",
    "properties": {
        "image_id": {"type": "string", "readOnly": True},
        "member_id": {"type": "string"},
        "status": {"type": "string", "enum": [status.value for status in MemberStatus]},
        "created_at": {"type": "string", "readOnly": True},
        "updated_at": {"type": "string", "readOnly": True},
        "schema": {"type": "string", "readOnly": True},
    },
}


async def member(call: Call) -> Answer:
    """GET /v2/schemas/member."""
    del call
    return Answer(body=_MEMBER)


async def members(call: Call) -> Answer:
    """GET /v2/schemas/members."""
    del call
    properties = {"members": {"type": "array", "items": _MEMBER}, "schema": {"type": "string"}}
    return Answer(body={"name": "members", "properties": properties, "links": []})
