"""What a run does with guests, as events of the model of deeds: `traces` says whether the model can do the same.

What is on a disk counts from the commit that put it there, what a machine runs from the moment it runs.
"""

from collections import Counter
from typing import Final

from freehold.sim.traces import (
    Admitted,
    Claimed,
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
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.guest import Guest, GuestState, Refusal
from freehold.vocabulary.request import Admission, Stage

EVENTS_MAX: Final = 24
"""A longer trace of one guest leaves the model too much open to be played in every way."""
WAYS_MAX: Final = 4000
ROLLBACKS_MAX: Final = 1
"""The model's disks have one earlier copy, which is used up when it is put back."""


class Witness:
    """Keeps what is seen, in order."""

    def __init__(self) -> None:
        self._seen: list[TraceEvent] = []
        self._admissions: dict[str, Admission] = {}
        self._held: set[tuple[str, str]] = set()
        self._ledgers: dict[str, str] = {}
        """The registrar's store that each guest is in."""

    def __len__(self) -> int:
        return len(self._seen)

    def wrote(self, owner: str, entry: Entry) -> None:
        """A line of the log of `owner`, a store's id, is on its disk."""
        if entry.kind == "admission":
            self._ledgers.setdefault(entry.key, owner)
            self._admission(entry)
        elif entry.kind == "fence" and entry.value is not None:
            fence = decode(entry.value, Fence)
            if not fence.lifted:
                self._seen.append(Fenced(fence.host, owner))
        elif entry.kind == "guest":
            self._guest(owner, entry)
        elif entry.kind == "refusal" and entry.value is not None:
            refusal = decode(entry.value, Refusal)
            kind = Tombstoned if refusal.deleted else RefusedDurably
            self._seen.append(kind(refusal.guest, owner, refusal.deed))

    def ran(self, host: str, guest: str) -> None:
        """A machine runs a guest that it didn't run before."""
        self._seen.append(Running(guest, host))

    def restarted(self, host: str) -> None:
        """A host's worker has ended, and the next begins."""
        self._seen.append(HostRestarted(host))

    def lost_power(self, host: str) -> None:
        """A machine and its worker have stopped."""
        self._seen.append(PoweredOff(host))

    def put_back(self, host: str, guests: set[str]) -> None:
        """A host's disk shows an earlier state, with records of `guests`."""
        self._held = {held for held in self._held if held[0] != host} | {(host, guest) for guest in guests}
        self._seen.append(RolledBack(host))

    def _admission(self, entry: Entry) -> None:
        before = self._admissions.pop(entry.key, None)
        if entry.value is None:
            if before is not None and not before.delete_urn:
                self._seen.append(DeleteAsked(entry.key))
            return
        after = self._admissions[entry.key] = decode(entry.value, Admission)
        if before is None:
            self._seen.append(Admitted(entry.key))
        if after.deed is not None and (before is None or before.deed != after.deed):
            self._seen.append(DeedRecorded(entry.key, after.deed.host, after.deed.number))
        if after.stage is Stage.FAILED and (before is None or before.stage is not Stage.FAILED):
            self._seen.append(Failed(entry.key))
        if after.delete_urn and not (before is not None and before.delete_urn):
            self._seen.append(DeleteAsked(entry.key))

    def _guest(self, host: str, entry: Entry) -> None:
        if entry.value is None:
            self._held.discard((host, entry.key))
        elif (host, entry.key) not in self._held:
            self._held.add((host, entry.key))
            guest = decode(entry.value, Guest)
            restored = guest.state is not GuestState.FETCHING_IMAGE
            self._seen.append(Claimed(entry.key, host, guest.deed, restored))

    def check(self, failed_only: bool = False) -> str:
        """What the model doesn't allow of what was seen, as a sentence; empty if it allows all. `failed_only`: of
        guests whose request has failed.
        """
        kind = Failed if failed_only else Admitted
        for guest in dict.fromkeys(event.guest for event in self._seen if isinstance(event, kind)):
            trace = self.trace(guest)
            said = _played(trace) if fits_the_model(trace) else None
            if said:
                return said
        return ""

    def trace(self, guest: str) -> list[TraceEvent]:
        """What was seen of a guest, and of the hosts that had to do with it, since it was admitted."""
        seen = self._seen[self._seen.index(Admitted(guest)) :]
        seen = [event for event in seen if getattr(event, "ledger", self._ledgers[guest]) == self._ledgers[guest]]
        own = [event for event in seen if getattr(event, "guest", "") == guest]
        hosts = {getattr(event, "host", "") for event in own}
        return [event for event in seen if getattr(event, "guest", guest) == guest and _host(event) in {"", *hosts}]


def _played(trace: list[TraceEvent]) -> str | None:
    try:
        return check_trace(trace, WAYS_MAX)
    except OverflowError:
        return None  # it leaves so much open that little is shown by playing it


def fits_the_model(trace: list[TraceEvent]) -> bool:
    """Whether a guest's trace is short enough to be played, and asks for no more than the model knows."""
    put_back = Counter(_host(event) for event in trace if isinstance(event, RolledBack))
    return len(trace) <= EVENTS_MAX and max(put_back.values(), default=0) <= ROLLBACKS_MAX


def _host(event: TraceEvent) -> str:
    return str(getattr(event, "host", ""))
