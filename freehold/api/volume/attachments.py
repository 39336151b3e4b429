"""Attachments, as Cinder shows them: who has which volume. They are made and ended by the servers' API."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.reading import not_found
from freehold.api.volume.joined import Joined
from freehold.api.volume.lists import fresh, kept
from freehold.api.volume.volume_list import KIND
from freehold.api.volume.volume_view import attachments_of
from freehold.vocabulary.attachment import Attachment
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.units import iso_micros


async def index(call: Call) -> Answer:
    """GET /attachments."""
    return Answer(body={"attachments": [_summary(item, one) for item, one in await _every(call)]})


async def detail(call: Call) -> Answer:
    """GET /attachments/detail."""
    return Answer(body={"attachments": [_detail(item, one) for item, one in await _every(call)]})


async def show(call: Call) -> Answer:
    """GET /attachments/{id}."""
    for item, one in await _every(call):
        if one.id == call.params["id"]:
            return Answer(body={"attachment": _detail(item, one)})
    raise NotFound(not_found("Attachment", call.params["id"]))


async def refuse(call: Call) -> Answer:
    """POST /attachments, and DELETE of one: hosts attach volumes, and nobody else."""
    del call
    raise BadRequest("attachments are made and ended by attaching volumes to servers, and detaching them")


async def _every(call: Call) -> list[tuple[Joined, Attachment]]:
    await fresh(call)
    await call.cloud.view.fresh(["volume"])
    wanted = {name: call.query.one(name) for name in ("instance_id", "volume_id", "status", "attach_status")}
    return [
        (item, one)
        async for item in kept(call, KIND, [])
        for one in attachments_of(item)
        if wanted["instance_id"] in (None, one.guest)
        and wanted["volume_id"] in (None, item.id)
        and (wanted["status"] or wanted["attach_status"]) in (None, one.state)
    ]


def _summary(item: Joined, one: Attachment) -> dict[str, Any]:
    return {"id": one.id, "volume_id": item.id, "instance": one.guest, "status": one.state.value}


def _detail(item: Joined, one: Attachment) -> dict[str, Any]:
    return {
        **_summary(item, one),
        "attached_at": iso_micros(one.created),
        "detached_at": None,
        "attach_mode": "rw",
        "connection_info": {},
    }
