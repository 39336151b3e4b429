"""Traces of runs: what may have happened is taken, and what breaks a promise is refused with a sentence."""

import pytest

from freehold.sim.traces import (
    Admitted,
    Claimed,
    Conveyed,
    DeedRecorded,
    DeleteAsked,
    Failed,
    Fenced,
    HostRestarted,
    PoweredOff,
    RefusedDurably,
    RolledBack,
    Running,
    Tombstoned,
    TraceEvent,
    check_trace,
)

ADMITTED, FIRST, CLAIMED = Admitted("g"), DeedRecorded("g", "a", 1), Claimed("g", "a", 1)
RUNS, ON_B = Running("g", "a"), Running("g", "b")
BUILT = [ADMITTED, FIRST, CLAIMED, RUNS]
SECOND, CLAIMED_AGAIN = DeedRecorded("g", "b", 2), Claimed("g", "b", 2)
DELETED = [DeleteAsked("g"), Tombstoned("g", "a", 1)]

LEGAL: dict[str, list[TraceEvent]] = {
    "nothing": [],
    "built and deleted": [*BUILT, *DELETED],
    "deleted before any host had it": [ADMITTED, DeleteAsked("g")],
    "deleted while its build is on its way": [ADMITTED, FIRST, *DELETED],
    "refused, built elsewhere": [ADMITTED, FIRST, CLAIMED, RefusedDurably("g", "a", 1), SECOND, CLAIMED_AGAIN, ON_B],
    "failed, its host refuses it for good": [ADMITTED, FIRST, CLAIMED, Failed("g"), RefusedDurably("g", "a", 1)],
    "failed just when its host, restarted, was told that it is wanted": [
        *(ADMITTED, FIRST, HostRestarted("a"), Failed("g"), CLAIMED),
        RefusedDurably("g", "a", 1),
    ],
    "runs again after its worker and its machine restarted": [
        *BUILT,
        HostRestarted("a"),
        PoweredOff("a"),
        HostRestarted("a"),
        RUNS,
    ],
    "conveyed": [*BUILT, Conveyed("g", "b", 2), SECOND, CLAIMED_AGAIN, ON_B],
    "evacuated, and the host comes back": [*BUILT, Fenced("a"), SECOND, CLAIMED_AGAIN, ON_B, HostRestarted("a")],
    "taken up again by a host that has lost its record": [
        *BUILT,
        RolledBack("a"),
        HostRestarted("a"),
        Claimed("g", "a", 1, restored=True),
    ],
    "deleted again by a host that was put back": [
        *BUILT,
        *DELETED,
        RolledBack("a"),
        HostRestarted("a"),
        Tombstoned("g", "a", 1),
    ],
    "two guests on one host": [*BUILT, Admitted("k"), DeedRecorded("k", "a", 1), *DELETED, Claimed("k", "a", 1)],
}

ILLEGAL: dict[str, tuple[list[TraceEvent], TraceEvent]] = {
    "run by two hosts": ([*BUILT, Fenced("a"), SECOND, CLAIMED_AGAIN, ON_B, HostRestarted("a")], RUNS),
    "given to another while its host has it": (BUILT, SECOND),
    "two hosts under one number": ([ADMITTED, FIRST], DeedRecorded("g", "b", 1)),
    "claimed under another's deed": ([ADMITTED, FIRST], Claimed("g", "b", 1)),
    "claimed after its refusal": ([ADMITTED, FIRST, RefusedDurably("g", "a", 1)], CLAIMED),
    "run without a record": ([ADMITTED, FIRST], RUNS),
    "run after its tombstone": ([*BUILT, *DELETED], RUNS),
    "run after its tombstone, by a host that was put back": (
        [*BUILT, *DELETED, RolledBack("a"), HostRestarted("a")],
        RUNS,
    ),
    "given away before it was conveyed": ([*BUILT, SECOND], Conveyed("g", "b", 2)),
    "deleted, and nobody asked": (BUILT, Tombstoned("g", "a", 1)),
    "a number is left out": ([ADMITTED], DeedRecorded("g", "a", 2)),
    "admitted twice": ([ADMITTED], ADMITTED),
    "put back while it runs": ([*BUILT, RolledBack("a")], RUNS),
}


@pytest.mark.parametrize("name", LEGAL)
def test_a_trace_of_what_may_happen_is_taken(name: str) -> None:
    assert check_trace(LEGAL[name]) is None


@pytest.mark.parametrize("name", ILLEGAL)
def test_a_trace_of_what_may_not_happen_is_refused(name: str) -> None:
    before, last = ILLEGAL[name]
    said = check_trace([*before, last])
    assert said is not None
    assert said.startswith("guest g: the model doesn't allow ")


def test_what_is_refused_is_named() -> None:
    said = check_trace([ADMITTED, FIRST, RUNS])
    assert said == f"guest g: the model doesn't allow {RUNS} after {FIRST}"
