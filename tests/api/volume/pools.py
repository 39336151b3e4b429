"""Volume workers over simulated pools, which can be held up; and a scheduler's part in choosing among them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.volumestore.simulated import SimulatedPool, SimulatedVolumeStore
from freehold.store.database import Store
from freehold.views.cloud import CloudView
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import Pool, Snapshot, Volume
from freehold.vocabulary.volume_request import ChoosePool, ChosenPool
from freehold.workers.base import Means
from freehold.workers.volume.records import Records
from freehold.workers.volume.worker import VolumeWorker

_WORK = frozenset({"make", "make_from_image", "make_copy", "extend", "delete", "take_snapshot", "delete_snapshot"})
CAPACITY_GIB = 200


class HeldUp:
    """A pool that does nothing to bytes while `goes_on` is clear."""

    def __init__(self, pool: SimulatedVolumeStore) -> None:
        self._pool = pool
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._pool, name)
        if name not in _WORK:
            return verb

        async def later(*given: Any) -> Any:
            await self.goes_on.wait()
            return await verb(*given)

        return later


class Images(SimulatedImageCache):
    """A cache whose images aren't empty: no volume can be a copy of one that is."""

    async def fetch(self, offer: ImageOffer) -> Path:
        path = await super().fetch(offer)
        if not path.stat().st_size:
            path.write_bytes(b"x" * 4096)
        return path


@dataclass
class PoolUnderTest:
    """A volume worker, its store and its pool."""

    worker: VolumeWorker
    store: Store
    pool: HeldUp
    means: Means

    def hold(self) -> None:
        """It makes, extends and deletes nothing more."""
        self.pool.goes_on.clear()

    def go_on(self) -> None:
        """It does again."""
        self.pool.goes_on.set()

    async def keep(self, record: Volume | Snapshot) -> None:
        """Writes what the pool's worker says of itself, be it true or not."""
        Records(self.store, self.means.clock.now).keep(record, "test")
        await self.store.durable()


async def opened(means: Means, path: Path, cluster: str, stack: AsyncExitStack) -> PoolUnderTest:
    folder = path / f"pool-{cluster}"
    folder.mkdir()
    store = await Store.open(
        folder / "volume.db",
        role="volume",
        cluster=cluster,
        clock=means.clock,
        chance=means.chance,
        offload=means.offload,
    )
    stack.push_async_callback(store.close)
    pool: Any = HeldUp(SimulatedVolumeStore(SimulatedPool(capacity_bytes=CAPACITY_GIB * GIB)))
    images = Images(means.clock.clock, folder)
    worker = VolumeWorker(means, store, pool, images, f"pool-{cluster}")
    await worker.open()
    stack.push_async_callback(worker.close)
    return PoolUnderTest(worker, store, pool, means)


class Choosing:
    """A scheduler's part: the first pool by name that fits."""

    def __init__(self, view: CloudView) -> None:
        self._view = view

    async def answer(self, asked: ChoosePool) -> ChosenPool:
        for pool in sorted(self._view.list(Pool), key=lambda pool: pool.name):
            fits = pool.free_gib() >= asked.size_gib and asked.zone in ("", pool.cluster)
            if fits and pool.id not in asked.refused:
                return ChosenPool(store=pool.id, cluster=pool.cluster)
        raise NoRoom("No pool has room for it: pool-default has 3 GiB left.")
