"""Simulated machines in this process: one by one, as real ones would be, or thousands that share a disk.

Those of a cluster read what its network worker says together. With `one_disk` their stores share a file, whose commits
are one, and what is simulated of them is in memory: their guests end with the process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from freehold.config import Settings, clusters
from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.volumereader.interface import VolumeReader
from freehold.runtime.local_socket import LocalSocket
from freehold.store.database import Store
from freehold.store.together import Together
from freehold.workers.base import Means
from freehold.workers.host.port_view import ClusterReader
from freehold.workers.host.worker import HostWorker

LAUNCHES_AT_ONCE: Final = 64
OPENED_AT_ONCE: Final = 200
ONE_DISK: Final = "hosts.db"


Drivers = tuple[Hypervisor, Fabric, ImageCache, VolumeReader]


class SimulatedMachines:
    """All of this process. `start` opens a role and closes it at the end, `open_store` gives a store of its own,
    `drivers` what a machine of that number is simulated with.
    """

    def __init__(
        self,
        settings: Settings,
        means: Means,
        stack: AsyncExitStack,
        start: Callable[[ClusterReader | HostWorker], Awaitable[None]],
        open_store: Callable[[str, str], Awaitable[Store]],
        drivers: Callable[[int, str], Drivers],
    ) -> None:
        self._settings, self._means, self._stack = settings, means, stack
        self._start, self._open_store, self._drivers = start, open_store, drivers
        self._readers: list[ClusterReader] = []
        self._together: Together | None = None

    async def open(self) -> None:
        """Starts all of them."""
        for cluster in clusters(self._settings):
            reader = ClusterReader(self._means.bus, cluster, self._means.clock.clock)
            await self._start(reader)
            self._readers.append(reader)
        if self._settings.one_disk:
            names = [str(number) for number in range(self._settings.hosts)]
            path = self._settings.state / ONE_DISK
            self._together = await Together.open(path, names, self._means.chance, self._means.offload)
            self._stack.push_async_callback(self._together.close)
        for first in range(0, self._settings.hosts, OPENED_AT_ONCE):
            last = min(first + OPENED_AT_ONCE, self._settings.hosts)
            await asyncio.gather(*(self._open(number) for number in range(first, last)))

    async def _open(self, number: int) -> None:
        settings, reader = self._settings, self._readers[number % len(self._readers)]
        store = await self._store(number, clusters(settings)[number % len(self._readers)])
        hypervisor, fabric, images, volumes = self._drivers(number, store.id)
        for driver in (hypervisor, fabric, images, volumes):
            self._stack.push_async_callback(driver.close)
        name = f"sim-{number}"
        host = HostWorker(
            self._means,
            store,
            name,
            hypervisor,
            fabric,
            images,
            LAUNCHES_AT_ONCE,
            reader,
            settings.traits,
            volumes,
        )
        await self._start(host)
        if not settings.one_disk:
            door = LocalSocket(settings.state / "hosts" / f"{number}.sock", host.local.answer)
            await door.open()
            self._stack.push_async_callback(door.close)

    async def _store(self, number: int, cluster: str) -> Store:
        if self._together is None:
            return await self._open_store(f"hosts/{number}.db", cluster)
        store = self._together.store(str(number), role="host", cluster=cluster, clock=self._means.clock)
        self._stack.push_async_callback(store.close)
        return store
