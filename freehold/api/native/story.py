"""What happened to a guest, a request or anything else that has an id: the owners' own logs, in order of time, with
causes.
"""

import asyncio
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.bus import subjects, talk
from freehold.views.interface import OwnerSeen
from freehold.vocabulary.codec import KINDS, decode_kind
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entries, Entry, Owner, Told
from freehold.vocabulary.errors import Fault, FreeholdError, NotFound
from freehold.vocabulary.host import Capacity
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import iso_millis

DEADLINE_S: Final = 3.0
ID_LENGTH_MAX: Final = 128

_TELLING: Final = (
    "action",
    "state",
    "stage",
    "stages",
    "status",
    "power",
    "deed",
    "number",
    "host",
    "attempts",
    "addresses",
    "used",
    "finished",
    "fault",
)
"""Fields of a record that say what happened; the rest is in the record itself."""

_TIMES: Final = frozenset({"finished"})


async def show(call: Call) -> Answer:
    """GET /v1/stories/{id}: the entries that name the id, or that were caused by a request of the guest's, oldest
    first.
    """
    about = call.params["id"]
    if len(about) > ID_LENGTH_MAX or not about.isprintable():
        raise NotFound("nothing is known of that id")
    names = {about}
    admission = call.cloud.view.get(Admission, about)
    if admission is not None:
        names |= {admission.urn, admission.delete_urn} - {""}
    told = await asyncio.gather(
        *(_ask(call, seen, name) for seen in call.cloud.view.owners() for name in sorted(names))
    )
    lines = {(owner.store, entry.seq): (owner, entry) for owner, entries in told for entry in entries}
    if not lines:
        raise NotFound(f"nothing is known of {about}")
    ordered = sorted(lines.values(), key=lambda line: (line[1].time, line[0].store, line[1].seq))
    return Answer(body={"story": [_line(owner, entry) for owner, entry in ordered]})


async def _ask(call: Call, seen: OwnerSeen, about: str) -> tuple[Owner, tuple[Entry, ...]]:
    try:
        answer = await talk.ask(call.cloud.bus, subjects.owner(seen.owner), Told(about=about), Entries, DEADLINE_S)
    except FreeholdError:
        return seen.owner, ()  # an owner that can't be reached has nothing to say now; status shows that it is silent
    return seen.owner, answer.entries


def _line(owner: Owner, entry: Entry) -> dict[str, Any]:
    return {
        "time": iso_millis(entry.time),
        "owner": owner.role,
        "store": owner.store,
        "seq": entry.seq,
        "kind": entry.kind,
        "key": entry.key,
        "cause": entry.cause,
        "what": "deleted" if entry.value is None else _told(entry),
    }


def _told(entry: Entry) -> str:
    if entry.kind not in KINDS or entry.value is None:
        return "written"
    record: Any = decode_kind(entry.kind, entry.value)
    telling = ("action", "user", *_TELLING[1:]) if entry.kind == "action" else _TELLING
    parts = [f"{name}={_short(name, getattr(record, name))}" for name in telling if getattr(record, name, None)]
    return " ".join(parts) or "written"


def _short(name: str, value: Any) -> str:
    """A field's value for a reader: the last of the stages, a deed's number, a fault's message, a time as people write
    it.
    """
    match value:
        case Fault(message=message):
            return message
        case Deed(number=number):
            return str(number)
        case Capacity():
            return f"{value.vcpus} vCPUs/{value.ram_mib} MiB/{value.disk_gib} GiB"
        case tuple() if name == "stages":
            return str(value[-1][0])
        case tuple():
            return ",".join(str(getattr(one, "address", one)) for one in value)
        case int() if name in _TIMES:
            return iso_millis(value)
    return str(value)
