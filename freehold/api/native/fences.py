"""Hosts that are taken for dead: the fence, the guests that leave, and the way back."""

from typing import Annotated, Any, Final

import msgspec

from freehold.api import fences, host_orders
from freehold.api.call import Answer, Body, Call
from freehold.api.compute import evacuation
from freehold.api.compute.evacuation import Known, Leaving, Wish
from freehold.api.compute.server_view import Server
from freehold.api.reading import every
from freehold.api.wire import Text, Uuid
from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, FreeholdError
from freehold.vocabulary.fence import EVACUATION_DEADLINE_S, EVIDENCE_LETTERS_MAX, Fence
from freehold.vocabulary.guest import Labels
from freehold.vocabulary.host import Discard, Host
from freehold.vocabulary.request import Admission
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import iso_millis

GUESTS_MAX: Final = 1000

Evidence = Annotated[
    str, msgspec.Meta(min_length=1, max_length=EVIDENCE_LETTERS_MAX, pattern=r"^[^\x00-\x1f\x7f\u2028\u2029]*\Z")
]


class _Fence(Body, frozen=True, kw_only=True):
    evidence: Evidence
    force: bool = False
    seen: Text = ""


class FenceBody(Body, frozen=True, kw_only=True):
    """PUT /v1/hosts/{id}/fence."""

    fence: _Fence


class _Record(Body, frozen=True, kw_only=True):
    """What the backup of the host's store has of a guest. `updated_ms`: Unix time of its record there. Where the host
    has told something later, that holds, and only what it never tells is taken from here.
    """

    id: Uuid
    updated_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    name: Text
    description: Text | None = None
    metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    locked: bool = False
    locked_reason: Text | None = None
    stopped: bool = False
    user_data: Annotated[str, msgspec.Meta(max_length=65535)] | None = None
    admin_password: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class _Evacuation(Body, frozen=True, kw_only=True):
    dry_run: bool = False
    guests: Annotated[tuple[Uuid, ...], msgspec.Meta(max_length=GUESTS_MAX)] = ()
    records: Annotated[tuple[_Record, ...], msgspec.Meta(max_length=GUESTS_MAX)] = ()
    deadline_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] = EVACUATION_DEADLINE_S


class EvacuationBody(Body, frozen=True, kw_only=True):
    """POST /v1/hosts/{id}/evacuation."""

    evacuation: _Evacuation


def shown(fence: Fence) -> dict[str, Any]:
    """A fence, as who looks at the host sees it."""
    return {
        "shard": fence.shard,
        "time": iso_millis(fence.time),
        "user": fence.user,
        "evidence": fence.evidence,
        "forced": fence.forced,
    }


async def look(call: Call) -> Answer:
    """GET /v1/hosts/{id}/fence: whether it stands. `seen` is for an order that is given upon this: it is refused with
    409 if it comes when the host was fenced or let in since.
    """
    host = await host_orders.named_or_lost(call, call.params["id"])
    seen = await fences.seen(call, host)
    stand = await fences.sure_fences(call, host.id)
    named = {"id": host.id, "name": host.name, "fences": [shown(one) for one in stand]}
    return Answer(body={"host": named, "seen": seen})


async def fence(call: Call) -> Answer:
    """PUT /v1/hosts/{id}/fence: somebody vouches that it is off. 409 while it is heard, unless `force`; and if it isn't
    as it was `seen` any more.
    """
    wanted = call.read(FenceBody).fence
    host = await host_orders.named_or_lost(call, call.params["id"])
    stand = await fences.fence(call, host, wanted.evidence, force=wanted.force, upon=wanted.seen)
    return Answer(body={"host": {"id": host.id, "name": host.name, "fences": [shown(one) for one in stand]}})


async def unfence(call: Call) -> Answer:
    """DELETE /v1/hosts/{id}/fence: it may come in again. 409 if it isn't fenced, or not as it was `?seen=`; 503 if it
    doesn't answer.
    """
    host = await host_orders.named_or_lost(call, call.params["id"])
    await fences.unfence(call, host, upon=call.query.one("seen") or "")
    return Answer(body={"host": {"id": host.id, "name": host.name, "fences": []}})


async def evacuate(call: Call) -> Answer:
    """POST /v1/hosts/{id}/evacuation: its guests, or some of them, are built elsewhere. `dry_run`: what would be, and
    what would be lost. Each guest is answered with its request's URN, or with why it can't go.
    """
    wanted = call.read(EvacuationBody).evacuation
    host = await host_orders.named_or_lost(call, call.params["id"])
    records = {record.id: _known(record) for record in wanted.records}
    found = await _chosen(call, host, wanted.guests)
    guests = [evacuation.leaving(call, admission, records.get(admission.guest)) for admission in found[:GUESTS_MAX]]
    wish = Wish(deadline_s=wanted.deadline_s)
    came: dict[str, str | FreeholdError] = {}
    if not wanted.dry_run:
        came = await evacuation.evacuate_all(call, host, guests, records, wish)
    rows = [_row(guest, came.get(guest.server.admission.guest)) for guest in guests]
    body = {"host": host.name, "host_id": host.id, "dry_run": wanted.dry_run, "guests": rows}
    return Answer(200 if wanted.dry_run else 202, {"evacuation": body | {"more": len(found) > GUESTS_MAX}})


def _known(record: _Record) -> Known:
    labels = Labels(
        name=record.name,
        description=record.description,
        metadata=record.metadata,
        tags=record.tags,
        locked=record.locked,
        locked_reason=record.locked_reason,
    )
    user_data = None if record.user_data is None else Secret(record.user_data)
    password = None if record.admin_password is None else Secret(record.admin_password)
    return Known(
        labels=labels,
        updated_ms=record.updated_ms,
        stopped=record.stopped,
        user_data=user_data,
        admin_password=password,
    )


async def _chosen(call: Call, host: Host, named: tuple[str, ...]) -> list[Admission]:
    """Raises BadRequest for a guest that isn't the host's."""
    found = await evacuation.of_host(call, host.id)
    missing = sorted(set(named) - {admission.guest for admission in found})
    if missing:
        raise BadRequest(f"Host {host.name} has no guest {missing[0]}, by what the ledger says.")
    return [admission for admission in found if not named or admission.guest in named]


def _row(guest: Leaving, came: str | FreeholdError | None) -> dict[str, Any]:
    refused = came.message if isinstance(came, FreeholdError) else guest.refused
    return _named(guest.server) | {
        "known_from": guest.known_from,
        "lost": list(guest.lost),
        "request": came if isinstance(came, str) else None,
        "refused": refused or None,
    }


def _named(server: Server) -> dict[str, Any]:
    return {"id": server.admission.guest, "name": server.labels.name, "project": server.admission.project}


async def progress(call: Call) -> Answer:
    """GET /v1/hosts/{id}/evacuation: the guests that the host has, and those that have left it, with how far they
    have come.
    """
    host = await host_orders.named_or_lost(call, call.params["id"])
    found = [one for one in await every(call, Admission) if evacuation.is_of(one, host.id) or host.id in one.left]
    rows = []
    for admission in sorted(found, key=lambda one: (one.created, one.guest)):
        stage, why = evacuation.stands(call, admission, host.id)
        leaving = evacuation.leaving(call, admission, None)
        now = None if admission.deed is None else call.cloud.view.get(Host, admission.deed.host)
        where = None if now is None or stage == "failed" else now.name
        rows.append(_named(leaving.server) | {"stands": stage, "host": where, "why": why or None})
    return Answer(body={"evacuation": {"host": host.name, "guests": rows}})


async def discard(call: Call) -> Answer:
    """DELETE /v1/hosts/{id}/copies/{guest}: the host removes its copy of a guest that another host has, for good."""
    host = await host_orders.named_or_lost(call, call.params["id"])
    order = Discard(
        urn=new_urn(call.cloud.chance), host=host.id, user=call.caller.user, guest=call.params["guest"][:64]
    )
    done = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, order, Done, host_orders.DEADLINE_S)
    await call.cloud.view.seen(done)
    return Answer(202, {"host": {"id": host.id, "name": host.name, "guest": order.guest}})
