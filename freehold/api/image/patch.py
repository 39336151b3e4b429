"""Changes of an image as a JSON patch (RFC 6902), one level deep, as Glance takes it."""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from freehold.api.call import Body
from freehold.api.image.fields import FIELDS, READ_ONLY
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden

MEDIA_TYPES: Final = (
    "application/openstack-images-v2.1-json-patch",
    "application/openstack-images-v2.0-json-patch",
)


class Operation(Body, frozen=True, kw_only=True):
    """One step. `path` is ``/name``, with ``~1`` for a slash and ``~0`` for a tilde in the name."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any | UnsetType = UNSET


def apply(document: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """`document` after all steps. Raises BadRequest, Forbidden (can't be changed) or Conflict (isn't there)."""
    result = dict(document)
    for operation in operations:
        _step(result, operation)
    return result


def _step(document: dict[str, Any], operation: Operation) -> None:
    name = _name(operation.path)
    if name in READ_ONLY or name == "id":
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if operation.op == "remove":
        if name in FIELDS:
            raise Forbidden(f"Property '{name}' can't be removed.")
        if document.pop(name, None) is None:
            raise Conflict(f"Can't remove '{name}': the image has no such property.")
    elif operation.value is UNSET:
        raise BadRequest(f"Operation '{operation.op}' of {operation.path[:64]} needs a value.")
    elif operation.op == "replace" and name not in document and name not in FIELDS:
        raise Conflict(f"Can't replace '{name}': the image has no such property.")
    else:
        document[name] = operation.value


def _name(path: str) -> str:
    if not path.startswith("/") or "/" in path[1:] or len(path) > 300 or len(path) < 2:
        raise BadRequest(f"'{path[:64]}' isn't the path of a field: write it as /name.")
    return path[1:].replace("~1", "/").replace("~0", "~")


def decode(body: bytes) -> list[Operation]:
    """The steps in a body. Raises BadRequest."""
    try:
        return msgspec.json.decode(body, type=list[Operation])
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body isn't a JSON patch: {error}") from error
