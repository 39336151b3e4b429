"""A volume worker on a bus of its own, with a clock moved by hand, and a pool whose verbs can be held or fail."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from freehold.bus import subjects, talk
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.drivers.volumestore.simulated import BLOCK_BYTES, SimulatedPool, SimulatedVolumeStore
from freehold.store.database import Store
from freehold.vocabulary.attachment import Export
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import (
    GrowVolume,
    LabelSnapshot,
    LabelVolume,
    MakeVolume,
    Pool,
    RemoveSnapshot,
    RemoveVolume,
    ResetState,
    Snapshot,
    Source,
    SourceKind,
    TakeSnapshot,
    Volume,
    VolumeLabels,
    VolumeRefusal,
    VolumeSpec,
    VolumeState,
)
from freehold.vocabulary.word import Word
from freehold.workers.volume.lifecycle import is_unfinished
from freehold.workers.volume.worker import VolumeWorker
from tests.owners import HandClock, means_of, store_at

T = TypeVar("T")
CAPACITY_GIB: Final = 100


def uid(number: int) -> str:
    """An id: they sort as their numbers do."""
    return f"00000000-0000-4000-8000-{number:012}"


VOLUME, OTHER, THIRD = uid(1), uid(2), uid(3)
SNAPSHOT, OTHER_SNAPSHOT = uid(101), uid(102)
IMAGE = uid(901)
CONTENT = b"\x07" * BLOCK_BYTES


class Pools(SimulatedVolumeStore):
    """A pool that says what it was told to do, `held` verbs of which wait until they are let go."""

    def __init__(self, pool: SimulatedPool) -> None:
        super().__init__(pool)
        self.calls: list[tuple[str, str]] = []
        self.held: dict[str, asyncio.Event] = {}
        self.running: list[str] = []
        self.at_once: set[str] = set()
        """Volumes to which two things were done at the same time."""

    def hold(self, verb: str) -> None:
        self.held[verb] = asyncio.Event()

    def let_go(self) -> None:
        for event in self.held.values():
            event.set()
        self.held.clear()

    async def _begins(self, verb: str, volume: str) -> None:
        self.calls.append((verb, volume))
        if volume in self.running:
            self.at_once.add(volume)
        self.running.append(volume)
        try:
            if verb in self.held:
                await self.held[verb].wait()
        finally:
            self.running.remove(volume)

    async def make(self, plan: VolumePlan) -> None:
        await self._begins("make", plan.volume)
        await super().make(plan)

    async def make_from_image(self, plan: VolumePlan, image_format: str, chunks: Any) -> None:
        await self._begins("make_from_image", plan.volume)
        await super().make_from_image(plan, image_format, chunks)

    async def make_copy(self, plan: VolumePlan, source: str, snapshot: str = "") -> None:
        await self._begins("make_copy", plan.volume)
        await super().make_copy(plan, source, snapshot)

    async def extend(self, volume: str, size_bytes: int) -> None:
        await self._begins("extend", volume)
        await super().extend(volume, size_bytes)

    async def delete(self, volume: str) -> None:
        await self._begins("delete", volume)
        await super().delete(volume)

    async def take_snapshot(self, volume: str, snapshot: str) -> None:
        await self._begins("take_snapshot", volume)
        await super().take_snapshot(volume, snapshot)

    async def delete_snapshot(self, volume: str, snapshot: str) -> None:
        await self._begins("delete_snapshot", volume)
        await super().delete_snapshot(volume, snapshot)


class Images(SimulatedImageCache):
    """A cache whose files hold `CONTENT` and then zeros."""

    def _arrive(self, offer: ImageOffer, name: str) -> Path:
        path = super()._arrive(offer, name)
        path.write_bytes(CONTENT + bytes(3 * BLOCK_BYTES))
        return path


class Bench:
    """Everything around one volume worker. `pool` is what is on the machine, whichever process looks after it.

    The store's disk waits while `disk` is not set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.disk = folder, HandClock(), asyncio.Event()
        self.disk.set()
        self.means = means_of(clock=self.clock, offload=self._offload)
        self.pool = SimulatedPool(capacity_bytes=CAPACITY_GIB * GIB)
        self.volumes = Pools(self.pool)
        self.types: tuple[str, ...] = ()

    async def _offload(self, work: Callable[[], T]) -> T:
        await self.disk.wait()
        return work()

    async def open(self) -> None:
        """The next process over the same store and the same pool."""
        self.store: Store = await store_at(self.folder / "volume.db", self.means, role="volume")
        self.images = Images(self.clock, self.folder)
        self.worker = VolumeWorker(self.means, self.store, self.volumes, self.images, "pool-1", self.types)
        await self.worker.open()

    async def close(self) -> None:
        """The process ends; what its pool was doing ends half done."""
        self.disk.set()
        await self.worker.close()
        await self.store.close()

    async def reopen(self) -> None:
        await self.close()
        self.volumes.let_go()
        await self.open()

    async def end(self) -> None:
        await self.close()
        await self.means.bus.close()

    # --- questions ---
    async def ask(self, question: Word) -> Done:
        about_labels = isinstance(question, LabelVolume | LabelSnapshot | ResetState)
        subject = (subjects.ask_volume if about_labels else subjects.ask_pool)(self.store.id)
        return await talk.ask(self.means.bus, subject, question, Done)

    async def made(self, volume: str = VOLUME, size_gib: int = 1, **fields: Any) -> Volume:
        """A volume that was asked for, and is there."""
        await self.ask(a_make(volume, size_gib, **fields))
        await self.settled()
        return self.volume(volume)

    async def taken(self, snapshot: str = SNAPSHOT, volume: str = VOLUME) -> Snapshot:
        """A snapshot that was asked for, and is there."""
        await self.ask(a_take(snapshot, volume))
        await self.settled()
        return self.snapshot(snapshot)

    # --- what there is ---
    def volume(self, volume: str = VOLUME) -> Volume:
        found = self.store.read_as(Volume, volume)
        assert found is not None
        return found

    def snapshot(self, snapshot: str = SNAPSHOT) -> Snapshot:
        found = self.store.read_as(Snapshot, snapshot)
        assert found is not None
        return found

    def said(self) -> Pool:
        """What the pool says of itself."""
        found = self.store.read_as(Pool, self.store.id)
        assert found is not None
        return found

    def refusal(self, identifier: str = VOLUME) -> VolumeRefusal | None:
        return self.store.read_as(VolumeRefusal, identifier)

    def gone(self, identifier: str = VOLUME) -> bool:
        """No record is left, none of its bytes, and its refusal is for good."""
        refusal = self.refusal(identifier)
        there = self.store.read_as(Volume, identifier) or self.store.read_as(Snapshot, identifier)
        kept = {snapshot for held in self.pool.volumes.values() for snapshot in held.chain.snapshots}
        has_bytes = identifier in self.pool.volumes or identifier in kept
        return there is None and not has_bytes and refusal is not None and refusal.deleted

    def unfinished(self) -> list[str]:
        records: list[Volume | Snapshot] = [*self.store.scan(Volume), *self.store.scan(Snapshot)]
        return [record.id for record in records if is_unfinished(record)]

    def write(self, volume: str, block: int, content: bytes) -> None:
        """Writes as a guest would."""
        held = self.pool.volumes[volume]
        held.blocks[held.chain.top.name][block] = content

    async def settled(self) -> None:
        """Waits, moving the clock, until nothing is still to be done."""
        await self.moving(lambda: not self.unfinished())

    async def moving(self, holds: Any) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.clock.move(1)
                await asyncio.sleep(0)
        assert self.worker.tasks.failed is None


# --- what is asked ---------------------------------------------------------------------------------------------------


def of(kind: SourceKind, identifier: str) -> Source:
    return Source(kind=kind, id=identifier)


def a_spec(size_gib: int = 1, **fields: Any) -> VolumeSpec:
    return VolumeSpec(size_gib=size_gib, **fields)


def a_make(volume: str = VOLUME, size_gib: int = 1, source: Source | None = None, **fields: Any) -> MakeVolume:
    given: dict[str, Any] = {
        "project": "p",
        "user": "u",
        "store": "s",
        "number": 1,
        "urn": f"urn:make:{volume}",
        "spec": VolumeSpec(size_gib=size_gib, source=source),
        "labels": VolumeLabels(name="disk"),
        "created": 5,
    }
    return MakeVolume(volume=volume, **{**given, **fields})


def a_take(snapshot: str = SNAPSHOT, volume: str = VOLUME, **fields: Any) -> TakeSnapshot:
    given: dict[str, Any] = {
        "project": "p",
        "user": "u",
        "urn": f"urn:take:{snapshot}",
        "size_gib": 1,
        "labels": VolumeLabels(name="shot"),
        "created": 5,
    }
    return TakeSnapshot(snapshot=snapshot, volume=volume, **{**given, **fields})


def a_remove(volume: str = VOLUME, urn: str = "urn:remove", **fields: Any) -> RemoveVolume:
    return RemoveVolume(**{"volume": volume, "project": "p", "number": 1, "urn": urn, **fields})


def a_drop(snapshot: str = SNAPSHOT, volume: str = VOLUME, urn: str = "urn:drop") -> RemoveSnapshot:
    return RemoveSnapshot(snapshot=snapshot, volume=volume, project="p", urn=urn)


def a_grow(size_gib: int, volume: str = VOLUME, urn: str = "urn:grow") -> GrowVolume:
    return GrowVolume(volume=volume, size_gib=size_gib, urn=urn)


def an_offer(image: str = IMAGE, **fields: Any) -> ImageOffer:
    given: dict[str, Any] = {
        "disk_format": "raw",
        "size_bytes": 4 * BLOCK_BYTES,
        "virtual_bytes": 4 * BLOCK_BYTES,
        "checksum_sha256": "x",
        "min_disk_gib": 0,
        "min_ram_mib": 0,
        "url": "http://images",
        "key": Secret("k"),
    }
    return ImageOffer(id=image, **{**given, **fields})


def an_export(volume: str = VOLUME) -> Export:
    return Export(volume=volume, number=1, reader=uid(701))


# --- what is recorded ------------------------------------------------------------------------------------------------


def a_pool(total_gib: int = CAPACITY_GIB, **fields: Any) -> Pool:
    return Pool(**{"id": "s", "name": "pool-1", "cluster": "c", "driver": "d", "total_gib": total_gib, **fields})


def a_volume(
    volume: str = VOLUME, size_gib: int = 1, state: VolumeState = VolumeState.AVAILABLE, **fields: Any
) -> Volume:
    given: dict[str, Any] = {
        "project": "p",
        "user": "u",
        "store": "s",
        "cluster": "c",
        "number": 1,
        "urn": "urn:make",
        "spec": VolumeSpec(size_gib=size_gib),
        "labels": VolumeLabels(name="disk"),
        "created": 5,
    }
    return Volume(id=volume, state=state, **{**given, **fields})


def a_snapshot(
    snapshot: str = SNAPSHOT, volume: str = VOLUME, state: VolumeState = VolumeState.AVAILABLE, **fields: Any
) -> Snapshot:
    given: dict[str, Any] = {
        "project": "p",
        "user": "u",
        "store": "s",
        "cluster": "c",
        "urn": "urn:take",
        "size_gib": 1,
        "labels": VolumeLabels(name="shot"),
        "created": 5,
    }
    return Snapshot(id=snapshot, volume=volume, state=state, **{**given, **fields})
