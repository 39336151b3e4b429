"""Many hosts in one process, each with a store, a passport and a connection of its own, as they would have on machines
of their own.

    python -m benchmarks.fleet FOLDER SERVER FIRST COUNT CLUSTER...

load N      from now on N guests' power changes a second, those of a host together: each is an event
rest        no more of them
watch       from now on it is noted when what hosts write is on their disks
landed      what was noted: of each store, positions with the time of this machine, in ns
connected   how many hosts have a connection
look STORE  how a host speaks
report      where each host's log stands, and how its guests are
stores      the hosts' stores, in order
fill FILE FIRST COUNT PROJECT STATE  writes guests into the stores of the hosts that are theirs by the file's order
"""

import asyncio
import gc
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.children import Answer, obey
from benchmarks.filling import hosts_in, write_host
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity
from freehold.bus.signed import SignedBus, Verified
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.runtime import log
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.keys import SigningKey
from freehold.runtime.tasks import Tasks, ThreadOffload
from freehold.store.database import Store
from freehold.store.identity import read_identity
from freehold.vocabulary.guest import GuestState, Power
from freehold.workers.base import Means
from freehold.workers.host.worker import HostWorker

WRITERS: Final = 4
"""Threads that commit for all hosts of the process."""
LAUNCHES_MAX: Final = 64
TICK_S: Final = 0.02


@dataclass(frozen=True)
class One:
    """A host."""

    bus: NatsBus
    store: Store
    hypervisor: SimulatedHypervisor
    worker: HostWorker


class Fleet:
    """See the module."""

    def __init__(self, folder: Path, servers: tuple[str, ...]) -> None:
        self._folder, self._servers = folder, servers
        self._stack = AsyncExitStack()
        self._offload = ThreadOffload(WRITERS)
        self._stack.callback(self._offload.close)
        self._tasks = Tasks("fleet")
        self._load: asyncio.Task[None] | None = None
        self._verified = Verified()
        """What one process has checked, for all hosts that it plays."""
        self.hosts: list[One] = []
        self._changes = 0
        self._landed: dict[str, list[tuple[int, int]]] = {}

    async def open(self, number: int, cluster: str) -> None:
        """A host, whose identity is in its folder."""
        state, clock, chance = self._folder / f"host-{number}", HybridClock(SystemClock()), SystemChance()
        kept = read_identity(state)
        assert kept is not None
        identity = Identity(kept.passport, SigningKey(bytes.fromhex(kept.key.reveal())))
        bus = NatsBus(NatsPlace(self._servers, f"host-{number}"), clock.clock, chance, CARRIED_BYTES_MAX)
        bus.open()
        self._stack.push_async_callback(bus.close)
        signed = SignedBus(bus, identity, kept.authority, clock.clock, chance, verified=self._verified)
        means = Means(signed, clock, chance, self._offload, gathers=True)
        path = state / "hosts" / "0.db"
        store = await Store.open(path, role="host", cluster=cluster, clock=clock, chance=chance, offload=self._offload)
        self._stack.push_async_callback(store.close)
        hypervisor, images = SimulatedHypervisor(None, clock.clock), SimulatedImageCache(clock.clock)
        worker = HostWorker(means, store, f"host-{number}", hypervisor, SimulatedFabric(), images, LAUNCHES_MAX)
        await worker.open()
        self._stack.push_async_callback(worker.close)
        self.hosts.append(One(bus, store, hypervisor, worker))

    async def close(self) -> None:
        """Ends all of them; what they keep stays."""
        await self._tasks.close()
        await self._stack.aclose()

    async def load(self, rate: str) -> Answer:
        """See the module."""
        self._load = self._tasks.start("load", self._change_power(int(rate)))
        return {}

    async def rest(self) -> Answer:
        """See the module."""
        if self._load is not None:
            self._load.cancel()
        return {}

    async def watch(self) -> Answer:
        """See the module."""
        for one in self.hosts:
            self._tasks.start("watch", self._note(one.store))
        return {}

    async def _note(self, store: Store) -> None:
        noted = self._landed[store.id] = []
        seen = await store.news(0)
        while True:
            seen = await store.news(seen)
            noted.append((store.position().seq, time.time_ns()))

    async def landed(self) -> Answer:
        """See the module."""
        noted = {store: list(positions) for store, positions in self._landed.items() if positions}
        for positions in self._landed.values():
            positions.clear()
        return noted

    async def stores(self) -> Answer:
        """See the module."""
        return {"stores": [one.store.id for one in self.hosts]}

    async def fill(self, file: str, first: str, count: str, project: str, state: str) -> Answer:
        """See the module."""
        stores, numbers = hosts_in(file), range(int(first), int(first) + int(count))
        mine = {one.store.id: one.store for one in self.hosts}
        for place, key in enumerate(stores):
            if key in mine:
                theirs = (number for number in numbers if number % len(stores) == place)
                await write_host(mine[key], theirs, project, GuestState(state))
        return {}

    async def connected(self) -> Answer:
        """See the module."""
        return {"connected": sum(one.bus.is_connected for one in self.hosts)}

    async def look(self, store: str) -> Answer:
        """See the module. Empty if it isn't here."""
        for one in self.hosts:
            if one.store.id == store:
                desk = one.worker._desk
                said = {"connected": one.bus.is_connected, "connections": one.bus.connections, "pauses": desk._pauses}
                return said | {
                    "told": desk._told.seq,
                    "written": one.store.position().seq,
                    "failed": str(desk.tasks.failed),
                }
        return {}

    async def report(self) -> Answer:
        """See the module."""
        return {
            "changes": self._changes,
            "stands": {one.store.id: _stands(one.store) for one in self.hosts},
            "power": {guest: power for one in self.hosts for guest, power in one.hypervisor.powers().items()},
            "resyncs": sum(one.worker.reader.follower.resyncs for one in self.hosts),
            "connections": sum(one.bus.connections for one in self.hosts),
            "unsent": sum(one.bus.unsent for one in self.hosts),
            "lost": sum(one.bus.losses.count for one in self.hosts),
            "cpu_s": time.process_time(),
        }

    async def _change_power(self, rate: int) -> None:
        """Host by host, pauses each guest that runs and lets each go on that is paused."""
        due, number, loop = 0.0, 0, asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = loop.time()
            due, last_s = due + rate * (now_s - last_s), now_s
            while due > 0:
                number = (number + 1) % len(self.hosts)
                changed = _turn(self.hosts[number].hypervisor)
                due -= max(changed, 1)
                self._changes += changed


def _turn(hypervisor: SimulatedHypervisor) -> int:
    powers = hypervisor.powers()
    for guest, power in powers.items():
        if power is Power.RUNNING:
            hypervisor.pause(guest)
        elif power is Power.PAUSED:
            hypervisor.go_on(guest)
    return len(powers)


def _stands(store: Store) -> list[Any]:
    position = store.position()
    return [position.epoch, position.seq, position.digest.hex()]


async def _run(folder: Path, server: str, first: int, count: int, clusters: list[str]) -> None:
    fleet = Fleet(folder, (server,))
    for number in range(first, first + count):
        await fleet.open(number, clusters[number % len(clusters)])
    gc.collect()
    gc.freeze()  # one process has the objects of hundreds of machines, which none of them would look through
    await obey(
        {},
        {
            "load": fleet.load,
            "rest": fleet.rest,
            "watch": fleet.watch,
            "landed": fleet.landed,
            "stores": fleet.stores,
            "fill": fleet.fill,
            "connected": fleet.connected,
            "look": fleet.look,
            "report": fleet.report,
        },
    )
    await fleet.close()


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))
