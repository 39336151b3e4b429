"""Whether what was seen in a run is something that the model of deeds can do.

The model is played along with what was seen, in every way it could have gone: steps that nobody sees are taken as
often as needed in between. What no way explains is said in a sentence. One guest is played at a time, with the hosts
that have had to do with it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from freehold.sim import model, states
from freehold.sim.states import Host, Life, Limits, Rules, State, Step


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """Something seen in a run. Names of guests and hosts are the run's own."""


@dataclass(frozen=True, slots=True)
class Admitted(TraceEvent):
    """The registrar has the guest's admission on its disk."""

    guest: str


@dataclass(frozen=True, slots=True)
class DeedRecorded(TraceEvent):
    """The registrar has on its disk that `host` has deed `deed`."""

    guest: str
    host: str
    deed: int


@dataclass(frozen=True, slots=True)
class Claimed(TraceEvent):
    """The host has the guest's first record on its disk; `restored`: of a guest that was there before."""

    guest: str
    host: str
    deed: int
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Running(TraceEvent):
    """The machine runs the guest, and didn't before."""

    guest: str
    host: str


@dataclass(frozen=True, slots=True)
class RefusedDurably(TraceEvent):
    """The host has a refusal of the deed, and all below, on its disk; one that isn't a tombstone."""

    guest: str
    host: str
    deed: int


@dataclass(frozen=True, slots=True)
class Conveyed(TraceEvent):
    """The guest's host has on its disk that the guest goes to `host` under deed `deed`."""

    guest: str
    host: str
    deed: int


@dataclass(frozen=True, slots=True)
class Failed(TraceEvent):
    """The registrar has on its disk that the request to build has failed for good."""

    guest: str


@dataclass(frozen=True, slots=True)
class DeleteAsked(TraceEvent):
    """The registrar has the delete on its disk, or the admission is gone because no host could have the guest."""

    guest: str


@dataclass(frozen=True, slots=True)
class Tombstoned(TraceEvent):
    """The host has a refusal of the deed that says the guest was deleted on its disk."""

    guest: str
    host: str
    deed: int


@dataclass(frozen=True, slots=True)
class HostRestarted(TraceEvent):
    """The host's worker was killed and has begun to listen again."""

    host: str


@dataclass(frozen=True, slots=True)
class PoweredOff(TraceEvent):
    """The host's machine lost power, its worker with it; `HostRestarted` follows when it is back."""

    host: str


@dataclass(frozen=True, slots=True)
class RolledBack(TraceEvent):
    """The disk of a host whose worker is down was put back to an earlier copy."""

    host: str


@dataclass(frozen=True, slots=True)
class Fenced(TraceEvent):
    """The host's machine is out of action, and the registrar whose store is `ledger` has it on its disk."""

    host: str
    ledger: str = ""


_VERBS: Final[dict[type[TraceEvent], tuple[str, ...]]] = {
    Admitted: ("admit",),
    DeedRecorded: ("record",),
    Claimed: ("claim", "restore"),
    Running: ("run",),
    RefusedDurably: ("refuse",),
    Conveyed: ("convey",),
    Failed: ("fail",),
    DeleteAsked: ("ask to delete",),
    Tombstoned: ("write the tombstone", "refuse as deleted"),
    HostRestarted: ("start the host",),
    PoweredOff: ("lose power",),
    RolledBack: ("put the disk back",),
    Fenced: ("fence",),
}
_SEEN: Final = frozenset(verb for verbs in _VERBS.values() for verb in verbs)
_SEEN_OR_KILL: Final = _SEEN | {"kill the worker"}
WAYS_MAX: Final = 200_000
"""Ways in which a trace could have gone that are kept in mind at once."""


@dataclass(slots=True)
class _Play:
    """One guest's part of a trace, played in every way."""

    guest: str
    hosts: list[str]
    rules: Rules
    ways_max: int
    ways: set[State] = field(default_factory=set)

    def take(self, event: TraceEvent) -> bool:
        """Goes on with `event`, after any steps that nobody sees; False if no way allows it."""
        wanted, hidden = self._wanted(event), _hidden(event)
        between, ring, ways = set(self.ways), list(self.ways), set[State]()
        while ring:
            for step, after in model.moves(ring.pop(), self.rules):
                if wanted(step):
                    ways.add(after)
                elif hidden(step) and after not in between:
                    between.add(after)
                    ring.append(after)
            if len(between) > self.ways_max:
                raise OverflowError(
                    f"the trace of guest {self.guest} could have gone in more than {self.ways_max} ways"
                )
        if isinstance(event, PoweredOff):  # another guest may have run there
            ways |= {state for state in between if _is_off(state.hosts[self.hosts.index(event.host)])}
        self.ways = ways
        return bool(ways)

    def _wanted(self, event: TraceEvent) -> Callable[[Step], bool]:
        verbs: Sequence[str] = _VERBS[type(event)]
        if isinstance(event, Claimed):
            verbs = ("restore",) if event.restored else ("claim",)
        host = self.hosts.index(event.host) if hasattr(event, "host") else None
        deed = getattr(event, "deed", None)
        return lambda step: step.verb in verbs and host in (None, step.host) and (deed is None or deed == step.deed)


def _hidden(event: TraceEvent) -> Callable[[Step], bool]:
    """Whether a step that nobody sees may come before `event`. A worker is killed when it is seen that it was: as long
    as it is up, at least as much is possible.
    """
    seen = _SEEN if isinstance(event, HostRestarted | PoweredOff | RolledBack) else _SEEN_OR_KILL
    return lambda step: step.verb not in seen


def _is_off(host: Host) -> bool:
    return host.life in (Life.DOWN, Life.FENCED) and not any(cell.on for cell in host.cells)


def check_trace(events: Iterable[TraceEvent], ways_max: int = WAYS_MAX) -> str | None:
    """None if the model can do what was seen; else a sentence that says what it can't. Raises OverflowError if a trace
    leaves more than `ways_max` ways open at once.
    """
    seen = list(events)
    guests = dict.fromkeys(str(getattr(event, "guest")) for event in seen if hasattr(event, "guest"))  # noqa: B009
    for guest in guests:
        said = _check(guest, seen, ways_max)
        if said:
            return said
    return None


def _check(guest: str, seen: list[TraceEvent], ways_max: int) -> str | None:
    own = [event for event in seen if getattr(event, "guest", guest) == guest]
    hosts = list(dict.fromkeys(event.host for event in own if hasattr(event, "guest") and hasattr(event, "host")))
    part = [event for event in own if getattr(event, "host", None) in (None, *hosts)]
    rules = Rules(_limits(part, len(hosts)))
    play = _Play(guest, hosts, rules, ways_max, {states.start(rules.limits)})
    for place, event in enumerate(part):
        if not play.take(event):
            before = f"after {part[place - 1]}" if place else "at first"
            return f"guest {guest}: the model doesn't allow {event} {before}"
    return None


def _limits(part: list[TraceEvent], hosts: int) -> Limits:
    def count(kind: type[TraceEvent]) -> int:
        return sum(isinstance(event, kind) for event in part)

    deeds = max((event.deed for event in part if isinstance(event, DeedRecorded)), default=1)
    return Limits(
        hosts=hosts,
        deeds=deeds,
        rollbacks=count(RolledBack),
        fences=count(Fenced),
        conveys=count(Conveyed),
    )
