"""How far servers have come, for calls that wait: to a stage of their build, or until what was asked is done."""

from collections.abc import Sequence
from typing import Final

from freehold.api import waiting
from freehold.api.call import Call
from freehold.api.compute import server_view
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.guest import Action
from freehold.vocabulary.request import Admission, Request, Stage

STAGES: Final = (Stage.ADMITTED, Stage.SCHEDULED, Stage.ADDRESSED, Stage.ACTIVE)
"""What ``until`` may name, in order."""

FAILED: Final = Stage.FAILED
DONE: Final = "done"


def wanted(call: Call) -> Stage:
    """The stage up to which a create is to wait: ACTIVE unless the query says otherwise. Raises BadRequest."""
    text = call.query.one("until") or Stage.ACTIVE.value
    if text not in [stage.value for stage in STAGES]:
        raise BadRequest(f"'until' must be one of {', '.join(STAGES)}, not '{text[:32]}'")
    return Stage(text)


def come_to(call: Call, guest: str) -> Stage:
    """How far a server has come: one of `STAGES`, or FAILED if it won't get any further."""
    admission = call.cloud.view.get(Admission, guest)
    if admission is None or admission.delete_urn:
        return FAILED
    server = server_view.joined(call, admission)
    if server_view.shown(server).status == "ERROR":
        return FAILED
    if server.guest is None:
        return Stage.ADMITTED if admission.live_deed() is None else Stage.SCHEDULED
    if server.guest.launched is not None:
        return Stage.ACTIVE
    has_all = len(server_view.leased(call, server)) == len(server.guest.ports)
    return Stage.ADDRESSED if has_all else Stage.SCHEDULED


def least(stages: Sequence[Stage]) -> Stage:
    """How far all of several have come."""
    return FAILED if FAILED in stages else min(stages, key=STAGES.index)


async def created(call: Call, guests: Sequence[str], until: Stage, wait_s: int) -> Stage | None:
    """Waits until all `guests` have come to a stage; gives how far they have. None: it couldn't wait."""

    def stands() -> Stage:
        return least([come_to(call, guest) for guest in guests])

    def is_over() -> bool:
        stage = stands()
        return stage is FAILED or STAGES.index(stage) >= STAGES.index(until)

    return stands() if await waiting.wait(call, guests, is_over, wait_s) else None


def has_come(stage: Stage | None, until: Stage) -> bool:
    """Whether that is as far as was waited for."""
    return stage is not None and stage is not FAILED and STAGES.index(stage) >= STAGES.index(until)


def ended(call: Call, guest: str, urn: str) -> str:
    """How a request for a server has ended: DONE or FAILED; empty if it hasn't."""
    view = call.cloud.view
    record = view.get(Request, urn) or view.get(Action, f"{guest}/{urn}")
    if record is None or record.finished is None:
        gone = record is None and view.get(Admission, guest) is None
        return FAILED.value if gone else ""
    return DONE if record.fault is None else FAILED.value


async def done(call: Call, guest: str, urn: str, wait_s: int) -> str | None:
    """Waits until a request for a server has ended; gives how, or ``started``. None: it couldn't wait."""
    if not await waiting.wait(call, (guest, urn), lambda: bool(ended(call, guest, urn)), wait_s):
        return None
    return ended(call, guest, urn) or "started"
