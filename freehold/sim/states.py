"""The states of the model of deeds: what the registrar has, what each host has, and which states are the same.

Hosts are interchangeable, and so are guests: of the states that differ only in that, one is visited (`same`).
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Final, NamedTuple


class Held(StrEnum):
    """What a host's record says of a guest. The first group may be run by it."""

    BUILDING = "building"
    WIRING = "wiring"
    """To be launched, and was launched before."""
    RUNNING = "running"
    STOPPED = "stopped"

    NOTHING = ""
    REFUSING = "refusing"
    DELETING = "deleting"
    QUARANTINED = "quarantined"
    CONVEYED = "conveyed"


LIVE: Final = frozenset({Held.BUILDING, Held.WIRING, Held.RUNNING, Held.STOPPED})
LAUNCHABLE: Final = frozenset({Held.BUILDING, Held.WIRING})


class Stage(StrEnum):
    """What the registrar says of a guest."""

    NONE = ""
    OPEN = "open"
    ACTIVE = "active"
    FAILED = "failed"
    GONE = "gone"


class Life(StrEnum):
    """What a host does."""

    CLEARED = "cleared"
    UP = "up"
    """It has started, and hasn't heard from the registrar yet."""
    DOWN = "down"
    FENCED = "fenced"
    WAITING = "waiting"
    """It has started, and is fenced."""


UNLIMITED: Final = -1

Kept = tuple[Held, int, int, bool, int]
"""What a host has on its disk of a guest: the first five fields of a cell."""


class Cell(NamedTuple):
    """One guest on one host: what is on the host's disk, what is on the machine, and what is on its way there."""

    held: Held = Held.NOTHING
    deed: int = 0
    refused: int = 0
    """The deed of the refusal on its disk; 0: none."""
    deleted: bool = False
    """The refusal is a tombstone."""
    end: int = 0
    """While it is being deleted: the deed that the tombstone will cover."""
    on: bool = False
    """The machine runs it."""
    disk: bool = False
    """The guest's own disk is there."""
    lost: bool = False
    """The host knows that it has lost the record."""
    builds: int = 0
    """Builds ever sent here: bit n for deed n."""
    restores: int = 0
    """The same, of builds that only restore the record."""
    offered: int = 0
    """The deed under which another host has conveyed the guest to this one; 0: none."""
    barred: bool = False
    """The registrar remembers that this host refused."""
    copy: tuple[Kept, ...] = ()
    """An earlier copy of what is on its disk, at most one."""


class Ledger(NamedTuple):
    """What the registrar has of a guest. What outsiders remember (`tomb`, `asked`, `shown`), nobody decides by."""

    stage: Stage = Stage.NONE
    deed: int = 0
    host: int = -1
    refused: bool = False
    """The highest deed has been refused on disk."""
    deleting: bool = False
    lost: bool = False
    left: bool = False
    """It has left a host that was fenced, and may be asked to leave it once more, if that has failed."""
    asked: bool = False
    """A client was told that its delete was taken."""
    tomb: bool = False
    """The tombstone under the highest deed has been durable."""
    shown: bool = False
    """The record that it runs under the highest deed has been durable: a client may have been shown that."""


class Host(NamedTuple):
    """One host and its guests, in the order of the registrar's."""

    life: Life
    cells: tuple[Cell, ...]


class State(NamedTuple):
    """All there is. `rollbacks`, `fences`, `conveys`, `kills`: how often each may still happen."""

    guests: tuple[Ledger, ...]
    hosts: tuple[Host, ...]
    rollbacks: int
    fences: int
    conveys: int
    kills: int


class Step(NamedTuple):
    """What happens between two states. `guest`, `host` -1 and `deed` 0 where they mean nothing."""

    verb: str
    guest: int = -1
    host: int = -1
    deed: int = 0

    def __str__(self) -> str:
        about = (
            (" guest", self.guest >= 0, self.guest),
            (" host", self.host >= 0, self.host),
            (" deed", self.deed, self.deed),
        )
        return self.verb + "".join(f",{name} {value}" for name, meant, value in about if meant)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the model goes. Deliveries, stops and starts are without limit."""

    hosts: int = 3
    guests: int = 1
    deeds: int = 3
    rollbacks: int = 0
    """How often a host's disk is put back to an earlier copy."""
    fences: int = 0
    conveys: int = 0
    kills: int = UNLIMITED
    """How often a host's worker is killed, or its machine loses power."""
    power: bool = True
    """Whether people stop and start guests."""


class Fault(StrEnum):
    """One-line bugs of the model itself, each of which an invariant must find."""

    DEED_COMPARED_WRONG = "a host at its start heeds lower deeds, and not higher ones"
    TOMBSTONE_DROPPED = "a host forgets its tombstone"
    CLAIM_UNCHECKED = "a host claims what it has refused"
    START_UNCLEARED = "a host starts guests before it has heard the registrar"
    CONVEYED_LATE = "the next deed is given before the source has written that it conveys the guest"
    EVACUATED_UNFENCED = "a guest is evacuated from a host that isn't fenced"
    LEASE_TIMED_OUT = "a deed ends when nothing was heard for long"
    LAST_DEED_WINS = "a deed is recorded again for another host"
    DELETED_UNSEEN = "an admission ends before its host's tombstone"
    ABSENCE_BELIEVED = "a host that shows no record is taken to have refused"
    ENDED_FORGOTTEN = "a host at its start isn't told that a guest has ended"
    QUARANTINE_OPENED = "a quarantined guest can be started"
    BUILD_OUTLIVES_START = "a host takes a build that was sent before it last started"
    REFUSED_UNREMOVED = "a host refuses a build without making sure that the guest isn't running there"
    LEDGER_PUT_BACK = "a registrar that was put back to an old copy goes on without asking its hosts"
    REFUSED_UNTOLD = "a host at its start isn't told that it has refused the deed it holds"
    DELETED_UNASKED = "a refusal ends a guest that nobody deleted"
    LET_IN_UNTOLD = "a fenced host is let in by what it was told before"
    WITHDRAWN_RUNNING = "a request that has failed takes a guest that runs with it"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the machine works."""

    limits: Limits = Limits()
    fault: Fault | None = None


def start(limits: Limits) -> State:
    """Nothing has happened yet."""
    host = Host(Life.CLEARED, (Cell(),) * limits.guests)
    budgets = (limits.rollbacks, limits.fences, limits.conveys, limits.kills)
    return State((Ledger(),) * limits.guests, (host,) * limits.hosts, *budgets)


def may_hold(ledger: Ledger) -> bool:
    """Whether some host may have, or may yet build, the guest."""
    return ledger.deed > 0 and not ledger.refused


def is_fenced(state: State, ledger: Ledger) -> bool:
    """Whether the host that may hold the guest is fenced."""
    return may_hold(ledger) and state.hosts[ledger.host].life in (Life.FENCED, Life.WAITING)


def with_ledger(state: State, g: int, ledger: Ledger) -> State:
    """The state with another ledger of guest `g`."""
    return state._replace(guests=(*state.guests[:g], ledger, *state.guests[g + 1 :]))


def with_host(state: State, h: int, host: Host) -> State:
    """The state with another host `h`."""
    return state._replace(hosts=(*state.hosts[:h], host, *state.hosts[h + 1 :]))


def with_cell(state: State, g: int, h: int, cell: Cell) -> State:
    """The state with another cell of guest `g` on host `h`."""
    life, cells = state.hosts[h]
    return with_host(state, h, Host(life, (*cells[:g], cell, *cells[g + 1 :])))


def unbarred(state: State, g: int) -> State:
    """The state in which guest `g` is placed anew: who refused it when it was made may have room by now."""
    for h, host in enumerate(state.hosts):
        state = with_cell(state, g, h, host.cells[g]._replace(barred=False))
    return state


# --- which states are the same -----------------------------------------------------------------------------------


def same(state: State) -> State:
    """The one that stands for all states that differ from `state` only in how hosts and guests are numbered."""
    if len(state.guests) == 1:
        return _sorted(state)
    return min(_sorted(_renumbered(state, order)) for order in permutations(range(len(state.guests))))


def _renumbered(state: State, order: tuple[int, ...]) -> State:
    hosts = tuple(Host(host.life, tuple(host.cells[g] for g in order)) for host in state.hosts)
    return state._replace(guests=tuple(state.guests[g] for g in order), hosts=hosts)


def _sorted(state: State) -> State:
    at = [ledger.host for ledger in state.guests]
    marked = sorted((host, tuple(h == i for h in at), i) for i, host in enumerate(state.hosts))
    place = {old: new for new, (_, _, old) in enumerate(marked)}
    guests = tuple(ledger if ledger.host < 0 else ledger._replace(host=place[ledger.host]) for ledger in state.guests)
    return state._replace(guests=guests, hosts=tuple(host for host, _, _ in marked))
