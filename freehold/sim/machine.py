"""A machine: a clock that may be wrong, a disk, and what survives the processes that run on it."""

import asyncio
from collections.abc import Callable
from typing import Final

from freehold.drivers.fabric.records import Records
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedGuest
from freehold.vocabulary.guest import Power
from freehold.vocabulary.network import Carriage, PortWiring

START_UNIX_MS: Final = 1_780_000_000_000
"""When every run begins: a day in 2026, the same for all."""


class SimClock:
    """See freehold.runtime.clock.Clock: virtual time, with a wall clock that is `offset_ms` off."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.offset_ms = 0

    def unix_ms(self) -> int:
        """See Clock."""
        return START_UNIX_MS + self.offset_ms + int(self._loop.time() * 1000)

    def monotonic_s(self) -> float:
        """See Clock."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


class Guests(dict[str, SimulatedGuest]):
    """What is on a machine of each guest, whoever drives it. `kept` is told (guest, before, after) of each change."""

    def __init__(self, kept: Callable[[str, SimulatedGuest | None, SimulatedGuest | None], None]) -> None:
        super().__init__()
        self._kept = kept

    def __setitem__(self, guest: str, held: SimulatedGuest) -> None:
        before = self.get(guest)
        super().__setitem__(guest, held)
        self._kept(guest, before, held)

    def running(self) -> list[str]:
        """The guests that run."""
        return [guest for guest, held in self.items() if held.power is Power.RUNNING]


class WatchedFabric(SimulatedFabric):
    """A machine's fabric. `seen` is told of each port that is plugged; what is only filtered anew may be of a port that
    is on record from before the machine restarted, and isn't plugged.
    """

    def __init__(self, records: Records, carriage: Carriage, seen: Callable[[PortWiring], None]) -> None:
        super().__init__(records=records, carriage=carriage)
        self._seen = seen

    async def plug(self, wiring: PortWiring, hostname: str) -> str:
        """See Fabric."""
        device = await super().plug(wiring, hostname)
        self._seen(wiring)
        return device


class Everybody(set[str]):
    """The guests that there are, and all that will come."""

    def __contains__(self, guest: object) -> bool:
        return True
