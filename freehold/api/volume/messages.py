"""Messages: why a volume or a snapshot is in error, or couldn't be extended; one for each of which that is known."""

from collections.abc import AsyncIterator
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.paging import cut, next_link, wanted
from freehold.api.reading import not_found
from freehold.api.volume import snapshot_list, volume_list
from freehold.api.volume.joined import Joined
from freehold.api.volume.lists import fresh, kept
from freehold.vocabulary.errors import Fault, NotFound
from freehold.vocabulary.units import iso_micros

_IN_FULL: Final = frozenset({"BadRequest", "NotFound", "Conflict"})
"""Faults of the request itself. Of pools, whose names and figures aren't for tenants, they are told a word."""
_WORD: Final = "The pool that was chosen couldn't do it."
_WORDS: Final = {"NoRoom": "No pool has room for it.", "NoAnswer": "It wasn't made before its deadline. Try again."}


async def index(call: Call) -> Answer:
    """GET /messages."""
    rows = [_shown(call, item, item.fault) async for item in _faulty(call) if item.fault is not None]
    page, more = cut(rows, wanted(call), lambda row: str(row["id"]))
    body: dict[str, Any] = {"messages": page}
    if more:
        body["messages_links"] = [{"rel": "next", "href": next_link(call, page[-1]["id"])}]
    return Answer(body=body)


async def show(call: Call) -> Answer:
    """GET /messages/{id}."""
    key = call.params["id"]
    async for item in _faulty(call):
        if item.id == key and item.fault is not None:
            return Answer(body={"message": _shown(call, item, item.fault)})
    raise NotFound(not_found("Message", key))


async def _faulty(call: Call) -> AsyncIterator[Joined]:
    await fresh(call)
    for kind in (volume_list.KIND, snapshot_list.KIND):
        async for item in kept(call, kind, []):
            if item.fault is not None:
                yield item


def _shown(call: Call, item: Joined, fault: Fault) -> dict[str, Any]:
    in_full = call.caller.is_admin or fault.code in _IN_FULL
    return {
        "id": item.id,
        "event_id": "VOLUME_VOLUME_001_001",
        "message_level": "ERROR",
        "resource_type": f"VOLUME_{item.noun.upper()}" if item.admission.snapshot_of else "VOLUME",
        "resource_uuid": item.id,
        "request_id": None,
        "user_message": fault.message if in_full else _WORDS.get(fault.code, _WORD),
        "created_at": iso_micros(item.updated),
        "guaranteed_until": None,
    }
