"""What isn't offered, where clients look whether there is any of it: nothing is there, and none can be made."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.reading import not_found
from freehold.vocabulary.errors import BadRequest, NotFound

COLLECTIONS: Final = {
    "backups": "backups",
    "cgsnapshots": "cgsnapshots",
    "clusters": "clusters",
    "consistencygroups": "consistencygroups",
    "group_snapshots": "group_snapshots",
    "group_types": "group_types",
    "groups": "groups",
    "os-volume-transfer": "transfers",
    "qos-specs": "qos_specs",
    "volume-transfers": "transfers",
}
"""Each collection's name in paths, and in answers."""


def _noun(call: Call) -> str:
    return next(part for part in call.path.split("/") if part in COLLECTIONS)


async def nothing(call: Call) -> Answer:
    """GET of a collection."""
    return Answer(body={COLLECTIONS[_noun(call)]: []})


async def not_there(call: Call) -> Answer:
    """Anything about one thing of a collection."""
    raise NotFound(not_found(_noun(call), call.params["id"]))


async def refuse(call: Call) -> Answer:
    """POST to a collection."""
    raise BadRequest(f"{_noun(call)} aren't offered by this cloud yet.")


async def no_encryption(call: Call) -> Answer:
    """GET /types/{id}/encryption: no type has any, which Cinder says so."""
    del call
    body: dict[str, Any] = {}
    return Answer(body=body)


async def refuse_encryption(call: Call) -> Answer:
    """POST /types/{id}/encryption."""
    del call
    raise BadRequest("encrypted volumes aren't offered by this cloud yet.")
