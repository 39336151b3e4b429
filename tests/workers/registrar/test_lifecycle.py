"""The rules of the ledger as tables of rows: what stands, what comes, what it becomes."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import Conflict, Fault, QuotaExceeded
from freehold.vocabulary.guest import GuestState, Refusal
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.vocabulary.tenant import UNLIMITED, Quota, Resource
from freehold.workers.registrar import lifecycle
from tests.owners import a_build, a_deed, a_guest

NOW = 99
FAULT = Fault(code="NoRoom", message="full")
ADMITTED = lifecycle.admitted(a_build(guest="g"))
SCHEDULED = replace(ADMITTED, stage=Stage.SCHEDULED, deed=a_deed("g", 1, "h1"))
BUILDING = replace(SCHEDULED, stage=Stage.BUILDING)
ACTIVE = replace(SCHEDULED, stage=Stage.ACTIVE)
FAILED = replace(SCHEDULED, stage=Stage.FAILED, fault=FAULT)
DELETING = replace(ACTIVE, delete_urn="urn:d")
REFUSED = replace(ADMITTED, deed=SCHEDULED.deed, refused_deed=1, attempts=2, refused=(FAULT,), refused_hosts=("h1",))
SECOND = replace(REFUSED, stage=Stage.SCHEDULED, deed=a_deed("g", 2, "h2"))
ALL = {
    "admitted": ADMITTED,
    "scheduled": SCHEDULED,
    "building": BUILDING,
    "active": ACTIVE,
    "failed": FAILED,
    "deleting": DELETING,
    "refused": REFUSED,
    "second": SECOND,
}

Event = Callable[[Admission], Admission | None]


def records(number: int, host: str, urn: str = "urn:1") -> Event:
    return lambda admission: lifecycle.deed_recorded(admission, a_deed("g", number, host, urn), NOW)


def seen(state: GuestState, host: str = "h1", deed: int = 1, launched: int | None = 1) -> Event:
    guest = a_guest("g", host, deed, state, launched=launched)
    return lambda admission: lifecycle.guest_seen(admission, guest, NOW)


def refuses(host: str = "h1", deed: int = 1, deleted: bool = False) -> Event:
    refusal = Refusal(guest="g", project="p", deed=deed, urn="u", fault=FAULT, deleted=deleted)
    return lambda admission: lifecycle.refusal_seen(admission, refusal, host, NOW)


def gives_up(deed: int) -> Event:
    return lambda admission: lifecycle.given_up(admission, deed, FAULT, NOW)


def deletes(admission: Admission) -> Admission | None:
    return lifecycle.delete_asked(admission, "urn:d", NOW)


SAME, GONE, CONFLICT = "same", "gone", "conflict"
Becomes = str | dict[str, Any]
S, B, A, F = ({"stage": stage} for stage in (Stage.SCHEDULED, Stage.BUILDING, Stage.ACTIVE, Stage.FAILED))
AGAIN = {"stage": Stage.ADMITTED, "attempts": 2, "refused_hosts": ("h1",), "refused_deed": 1}
ENDED_ON_DISK = {"refused_deed": 1}
IS_NOWHERE = ENDED_ON_DISK | F
A_LATE = A | {"fault": None}
INTENT = {"delete_urn": "urn:d"}

# what comes: (admitted, scheduled, building, active, failed, deleting, refused, second) becomes
TABLE: list[tuple[str, Event, list[Becomes]]] = [
    ("deed 1 for h1", records(1, "h1"), [S, SAME, SAME, CONFLICT, CONFLICT, CONFLICT, CONFLICT, SAME]),
    ("deed 1 for h9", records(1, "h9"), [S, SAME, SAME, CONFLICT, CONFLICT, CONFLICT, CONFLICT, SAME]),
    ("deed 2 for h2", records(2, "h2"), [CONFLICT, SAME, SAME, CONFLICT, CONFLICT, CONFLICT, S, SAME]),
    ("deed 3 for h3", records(3, "h3"), [CONFLICT, SAME, SAME, CONFLICT, CONFLICT, CONFLICT, CONFLICT, SAME]),
    ("another request's deed", records(1, "h1", "urn:old"), [CONFLICT] * 8),
    ("it is fetched", seen(GuestState.FETCHING_IMAGE, launched=None), [SAME, B, SAME, SAME, SAME, SAME, SAME, SAME]),
    ("it runs", seen(GuestState.RUNNING), [SAME, A, A, SAME, A_LATE, SAME, SAME, SAME]),
    ("it stopped at once", seen(GuestState.STOPPED), [SAME, A, A, SAME, A_LATE, SAME, SAME, SAME]),
    ("it was never launched", seen(GuestState.STOPPED, launched=None), [SAME, B, SAME, SAME, SAME, SAME, SAME, SAME]),
    ("it runs elsewhere", seen(GuestState.RUNNING, "h9"), [SAME] * 8),
    ("it runs under deed 2", seen(GuestState.RUNNING, "h2", 2), [SAME] * 7 + [A]),
    ("h1 refuses", refuses(), [SAME, AGAIN, AGAIN, IS_NOWHERE, ENDED_ON_DISK, GONE, SAME, SAME]),
    ("h1 has deleted it", refuses(deleted=True), [SAME, AGAIN, AGAIN, GONE, ENDED_ON_DISK, GONE, SAME, SAME]),
    ("h1 refuses up to 5", refuses(deed=5), [SAME, AGAIN, AGAIN, IS_NOWHERE, ENDED_ON_DISK, GONE, SAME, SAME]),
    ("h9 refuses", refuses("h9"), [SAME] * 8),
    ("an older refusal", refuses(deed=0), [SAME] * 8),
    ("given up before a deed", gives_up(0), [F, SAME, SAME, SAME, SAME, SAME, SAME, SAME]),
    ("given up under deed 1", gives_up(1), [F, F, F, SAME, SAME, SAME, F, SAME]),
    ("given up under deed 2", gives_up(2), [F, F, F, SAME, SAME, SAME, F, F]),
    ("deleted", deletes, [GONE, INTENT, INTENT, INTENT, INTENT, SAME, GONE, INTENT]),
]
# A refusal ends a deed for good: what is told of the guest after it, from a copy of a disk, changes nothing.
CASES = [
    pytest.param(before, event, becomes, id=f"{name}: {stage}")
    for name, event, row in TABLE
    for (stage, before), becomes in zip(ALL.items(), row, strict=True)
]


@pytest.mark.parametrize(("before", "event", "becomes"), CASES)
def test_the_table(before: Admission, event: Event, becomes: Becomes) -> None:
    if becomes == CONFLICT:
        with pytest.raises(Conflict):
            event(before)
        return
    after = event(before)
    if becomes == GONE:
        assert after is None
    elif becomes == SAME:
        assert after is before, "nothing is written where nothing changes"
    else:
        assert isinstance(becomes, dict) and after is not None
        assert {name: getattr(after, name) for name in becomes} == becomes
        assert after.updated == NOW
        again = event(after) if "deed " not in str(event) and after.stage not in lifecycle.ENDED else after
        assert again is after or again is None or again == after, "a repeat has no effect"


def test_no_deed_for_a_guest_that_isnt_known() -> None:
    with pytest.raises(Conflict):
        lifecycle.deed_recorded(None, a_deed("g"), NOW)


def test_the_host_of_the_first_deed_holds() -> None:
    after = lifecycle.deed_recorded(SCHEDULED, a_deed("g", 1, "h9"), NOW)
    assert after.deed is not None and after.deed.host == "h1"


@pytest.mark.parametrize(
    ("used", "more", "fits"), [(0, 2, True), (1, 1, True), (1, 2, False), (2, 1, False), (2, 0, True)]
)
def test_quota(used: int, more: int, fits: bool) -> None:
    quota = Quota(project="p", instances=2)
    if fits:
        lifecycle.check_quota(quota, {Resource.INSTANCES: used}, {Resource.INSTANCES: more})
    else:
        with pytest.raises(QuotaExceeded, match=f"Requested {more}, but already used {used} of 2 instances"):
            lifecycle.check_quota(quota, {Resource.INSTANCES: used}, {Resource.INSTANCES: more})
    lifecycle.check_quota(
        Quota(project="p", instances=UNLIMITED), {Resource.INSTANCES: 10**6}, lifecycle.wanted(a_build())
    )


def test_expiry_says_why() -> None:
    assert "No host said why" in (lifecycle.expired(ADMITTED, NOW).fault or FAULT).message
    said = Fault(code="NoRoom", message="Host h1 has 3 vCPUs, 512 MiB and 7 GiB free.")
    told = (lifecycle.expired(replace(REFUSED, refused=(said,)), NOW).fault or FAULT).message
    assert "had no room left" in told and "h1" not in told and "512" not in told
    wrong = Fault(code="BadRequest", message="Image i needs a disk of 5 GiB.")
    assert (
        "needs a disk of 5 GiB" in (lifecycle.expired(replace(REFUSED, refused=(wrong,)), NOW).fault or FAULT).message
    )
    assert lifecycle.expired(REFUSED, NOW).stage is Stage.FAILED


def test_a_request_ends_once() -> None:
    request = Request(urn="u", project="p", user="u", action="create", guest="g", created=1, expires=2)
    built = lifecycle.staged(lifecycle.staged(request, Stage.SCHEDULED, 5), Stage.SCHEDULED, 6)
    assert built.stages == (("scheduled", 5),) and built.finished is None
    ended = lifecycle.staged(built, Stage.ACTIVE, 7)
    assert ended.finished == 7 and lifecycle.staged(ended, Stage.FAILED, 8, FAULT) is ended
    assert lifecycle.ended(ended, 9) is ended
    assert lifecycle.ended(built, 9, FAULT) == replace(built, finished=9, fault=FAULT)


@pytest.mark.parametrize(
    ("before", "urn", "why"),
    [
        (replace(ADMITTED, stage=Stage.ACTIVE), ADMITTED.urn, "has ended"),
        (replace(ADMITTED, stage=Stage.FAILED), ADMITTED.urn, "has ended"),
        (ADMITTED, "urn:another", "has ended"),
        (replace(SCHEDULED, delete_urn="urn:d"), ADMITTED.urn, "being deleted already"),
    ],
)
def test_what_has_ended_is_not_cancelled(before: Admission, urn: str, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        lifecycle.delete_asked(before, "urn:x", NOW, urn)


def test_what_is_under_way_is_cancelled_as_it_would_be_deleted() -> None:
    assert lifecycle.delete_asked(ADMITTED, "urn:x", NOW, ADMITTED.urn) is None
    cancelled = lifecycle.delete_asked(SCHEDULED, "urn:x", NOW, ADMITTED.urn)
    assert cancelled is not None and cancelled.delete_urn == "urn:x"
