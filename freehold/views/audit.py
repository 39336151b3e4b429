"""Looks through a view, again and again, for what hosts tell of themselves that can't be.

What a host may not tell at all is refused, record by record (`believed`). Other lies show where records are joined:

    over capacity   its guests, as the ledger has admitted them, take more than it has registered. They are shown, for
                    the registrar has given them to it; its figures aren't to be relied on
    understated     it says that less is in use than its own guests take
    no deed         it tells of guests that the ledger hasn't given it. They are shown nowhere
    not leased      it tells of addresses that the network worker hasn't leased to the guest. They are shown nowhere

A view is late here and early there: what is found counts once it has been found in two looks, one after the other.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.views.believed import is_under
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.host import NOTHING, Capacity, Host, needed_by
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

OVER: Final = "over capacity"
UNDERSTATED: Final = "understated"
NO_DEED: Final = "no deed"
NOT_LEASED: Final = "not leased"

PERIOD_S: Final = 60.0
"""Between the end of a look and the next."""
GUESTS_AT_ONCE: Final = 50
REST: Final = 9.0
"""For each second of looking, so many are left to others: a large cloud takes long, and nobody waits for it."""

_KEPT_APART: Final = frozenset({GuestState.QUARANTINED, GuestState.REFUSING, GuestState.DELETING})
"""A host that has lost a guest to another keeps its disk: that is no claim."""

_log = logger("audit")


class Reader(Protocol):
    """What of a view is looked at."""

    def get(self, shape: type[R], key: str) -> R | None:
        """One record."""

    def list(self, shape: type[R]) -> Iterator[R]:
        """All records of a class."""


@dataclass(slots=True)
class Told:
    """What a host's guests come to."""

    deeded: Capacity = NOTHING
    own: Capacity = NOTHING
    undeeded: int = 0
    unleased: int = 0


@dataclass(slots=True)
class Audit:
    """See the module. `findings`: by host, how often each was found; what isn't there wasn't found."""

    view: Reader
    clock: Clock
    findings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _before: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    async def run(self) -> None:
        """Looks, for ever."""
        while True:
            await self.clock.sleep(PERIOD_S)
            await self.look()

    async def look(self) -> None:
        """One look at everything."""
        told: dict[str, Told] = {}
        began_s = self.clock.monotonic_s()
        for count, guest in enumerate(self.view.list(Guest), 1):
            add(told.setdefault(guest.host, Told()), guest, self.view)
            if count % GUESTS_AT_ONCE == 0:
                await self._rest(self.clock.monotonic_s() - began_s)
                began_s = self.clock.monotonic_s()
        found = {host.id: wrong for host in self.view.list(Host) if (wrong := judged(host, told.get(host.id, Told())))}
        self._conclude(found)

    async def _rest(self, looked_s: float) -> None:
        await (self.clock.sleep(looked_s * REST) if looked_s > 0 else asyncio.sleep(0))

    def _conclude(self, found: Mapping[str, Mapping[str, int]]) -> None:
        known, self.findings = self.findings, _in_both(self._before, found)
        self._before = found
        for host, wrong in self.findings.items():
            for what in wrong.keys() - known.get(host, {}).keys():
                _log.error("a host tells what can't be", host=host, what=what, count=wrong[what])


def add(told: Told, guest: Guest, view: Reader) -> None:
    """Counts one guest that a host tells of."""
    told.own = told.own.plus(needed_by(guest.spec.flavor))
    admission = view.get(Admission, guest.id)
    deed = None if admission is None else admission.live_deed()
    if admission is None or deed is None or not is_under(deed, guest):
        told.undeeded += guest.state not in _KEPT_APART
        return
    told.deeded = told.deeded.plus(needed_by(admission.spec.flavor))
    told.unleased += any(not _is_leased(view.get(Port, w.port), guest.id, w.addresses) for w in guest.ports)


def _is_leased(port: Port | None, guest: str, addresses: tuple[str, ...]) -> bool:
    return port is not None and port.device == guest and set(addresses) <= {one.address for one in port.addresses}


def judged(host: Host, told: Told) -> dict[str, int]:
    """What can't be of what a host says, with how many guests it concerns (1 where it is the host's own figures)."""
    found = {
        OVER: int(not host.total.fits(told.deeded)),
        UNDERSTATED: int(not host.used.fits(told.own)),
        NO_DEED: told.undeeded,
        NOT_LEASED: told.unleased,
    }
    return {what: count for what, count in found.items() if count}


def _in_both(
    before: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    both = {
        host: {what: count for what, count in wrong.items() if what in before.get(host, {})}
        for host, wrong in now.items()
    }
    return {host: wrong for host, wrong in both.items() if wrong}
