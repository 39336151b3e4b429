"""The registrar's part about volumes, with a scheduler, an image worker and two pools that are played by hand."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.runtime.watchdog import Watchdog
from freehold.store.database import Store, put
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Done, Entry, Owner, Position, Row
from freehold.vocabulary.errors import Fault, FreeholdError, NoRoom
from freehold.vocabulary.image import ImageOffer, OfferImage
from freehold.vocabulary.tenant import Quota
from freehold.vocabulary.volume import (
    PoolQuestion,
    Snapshot,
    Volume,
    VolumeLabels,
    VolumeRefusal,
    VolumeSpec,
    VolumeState,
)
from freehold.vocabulary.volume_request import (
    AdmitVolume,
    ChoosePool,
    ChosenPool,
    DeleteVolume,
    ExtendVolume,
    VolumeAdmission,
    VolumeAdmitted,
    VolumePlace,
    VolumeStage,
)
from freehold.vocabulary.word import Word
from freehold.workers.registrar.volumes.part import Volumes
from tests.owners import HandClock, means_of, store_at, turns
from tests.workers.volume.bench import an_offer

T = TypeVar("T")
POOLS = ("s1", "s2")
IMAGES = "images"
STEP_S = 0.25
FULL = Fault(code="NoRoom", message="It is full.")
WRONG = Fault(code="BadRequest", message="It is wrong.")
GONE = Fault(code="NotFound", message="It was deleted.")


class Bench:
    """Everything around one shard's part. `asked`: what pools were asked, and when; `chosen`: what the scheduler was.

    `refuses`: what a pool answers a kind of question with. The disk waits while `disk` is not set, and the scheduler
    while `scheduler` is not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.disk = folder, HandClock(), asyncio.Event()
        self.disk.set()
        self.means = means_of(clock=self.clock, offload=self._offload)
        self.began_s = self.clock.now_s
        self.asked: list[tuple[float, str, Any]] = []
        self.refuses: dict[type[Word], FreeholdError] = {}
        self.chosen: list[ChoosePool] = []
        self.pools = list(POOLS)
        self.scheduler = asyncio.Event()
        self.scheduler.set()
        self.scheduler_fails: FreeholdError | None = None
        self.offered: list[OfferImage] = []
        self.images_fail: FreeholdError | None = None
        self._urns = 0
        self._seq = 0

    async def _offload(self, work: Callable[[], T]) -> T:
        await self.disk.wait()
        return work()

    async def begin(self) -> None:
        bus = self.means.bus
        for store in POOLS:
            await talk.serve(bus, subjects.ask_pool(store), PoolQuestion, self._pool(store), "volume")
        await talk.serve(bus, subjects.ASK_POOLS, ChoosePool, self._scheduler, "scheduler")
        await talk.serve(bus, subjects.ask_image_offer(IMAGES), OfferImage, self._images, "image")
        await self.open()

    async def open(self) -> None:
        """The next process over the same store."""
        self.store: Store = await store_at(self.folder / "registrar.db", self.means)
        self.part = Volumes(self.means, self.store, Watchdog("registrar", self.clock))
        self.records = self.part.records
        self.sink: Any = self.part.follower._sink
        self.reconciler = self.part._reconciler
        self.reconciler._due.wait = at_once  # type: ignore[method-assign]
        await self.part.open()

    async def close(self) -> None:
        self.disk.set()
        self.scheduler.set()
        await self.part.close()
        await self.store.close()

    async def end(self) -> None:
        await self.close()
        await self.means.bus.close()

    def _pool(self, store: str) -> Any:
        async def answer(question: Any) -> Done:
            self.asked.append((self.now(), store, question))
            if type(question) in self.refuses:
                raise self.refuses[type(question)]
            return Done(store=store, position=Position(epoch="e"))

        return answer

    async def _scheduler(self, question: ChoosePool) -> ChosenPool:
        self.chosen.append(question)
        await self.scheduler.wait()
        if self.scheduler_fails is not None:
            raise self.scheduler_fails
        left = [pool for pool in self.pools if pool not in question.refused]
        if not left:
            raise NoRoom("No pool has room.")
        return ChosenPool(store=left[0], cluster="c")

    async def _images(self, question: OfferImage) -> ImageOffer:
        self.offered.append(question)
        if self.images_fail is not None:
            raise self.images_fail
        return an_offer(question.id)

    # --- what the API asks ---
    async def admit(self, size_gib: int = 1, **fields: Any) -> VolumeAdmitted:
        given: dict[str, Any] = {"project": "p", "user": "u", "labels": VolumeLabels(name="disk")}
        answer = await self.part.answer(AdmitVolume(**{"spec": VolumeSpec(size_gib=size_gib), **given, **fields}))
        assert isinstance(answer, VolumeAdmitted)
        return answer

    async def delete(self, identifier: str, urn: str = "", project: str = "p", *, force: bool = False) -> Done:
        asked = DeleteVolume(id=identifier, project=project, urn=urn or self.urn(), force=force)
        answer = await self.part.answer(asked)
        assert isinstance(answer, Done)
        return answer

    async def extend(self, identifier: str, size_gib: int, urn: str = "", project: str = "p") -> Done:
        asked = ExtendVolume(id=identifier, project=project, urn=urn or self.urn(), size_gib=size_gib)
        answer = await self.part.answer(asked)
        assert isinstance(answer, Done)
        return answer

    async def active(self, size_gib: int = 1, **fields: Any) -> VolumeAdmission:
        """A volume that was admitted, placed and made."""
        identifier = (await self.admit(size_gib, **fields)).id
        await self.until(lambda: self.admission(identifier).place)
        self.tell_made(identifier)
        admission = self.admission(identifier)
        assert admission.stage is VolumeStage.ACTIVE
        return admission

    def urn(self) -> str:
        self._urns += 1
        return f"urn:{self._urns}"

    # --- what pools say ---
    def tell(self, store: str, *records: Word) -> None:
        """A pool's next entries, as the follower hands them on."""
        self._seq += len(records)
        entries = [Entry(1, 1, kind_of(one), one.id, encode(one), "t", b"") for one in records]  # type: ignore[attr-defined]
        self.sink.apply(an_owner(store), Position(epoch="e", seq=self._seq), entries)

    def show(self, store: str, *records: Word) -> None:
        """A pool's complete state."""
        self._seq += 1
        rows = [Row(kind=kind_of(one), key=one.id, seq=1, value=encode(one)) for one in records]  # type: ignore[attr-defined]
        self.sink.replace(an_owner(store), Position(epoch="e", seq=self._seq), rows)

    def tell_made(self, identifier: str, **fields: Any) -> None:
        record = record_of(self.admission(identifier), **fields)
        self.tell(record.store, record)

    def tell_refused(self, identifier: str, fault: Fault = FULL, **fields: Any) -> None:
        place = self.admission(identifier).place
        assert place is not None
        self.tell(place.store, a_refusal(identifier, place.number, fault=fault, **fields))

    # --- what there is ---
    def admission(self, identifier: str) -> VolumeAdmission:
        found = self.records.admission(identifier)
        assert found is not None
        return found

    def keep(self, admission: VolumeAdmission) -> VolumeAdmission:
        """An admission as a test wants it, not woken."""
        before = self.records.admission(admission.id)
        if before is None:
            self.records.admit(admission, "", "", "")
        else:
            self.records.moved(before, admission, "test", 1)
        return admission

    def change(self, identifier: str, **fields: Any) -> VolumeAdmission:
        return self.keep(replace(self.admission(identifier), **fields))

    def gone(self, identifier: str) -> bool:
        return self.records.admission(identifier) is None

    def used(self, project: str = "p") -> dict[str, int]:
        return {resource.value: amount for resource, amount in self.records.used(project).items() if amount}

    def questions(self, shape: type[T], store: str = "") -> list[T]:
        """What pools, or one of them, were asked."""
        return [asked for _, at, asked in self.asked if isinstance(asked, shape) and store in ("", at)]

    async def limit(self, **limits: int) -> None:
        await self.store.commit([put("p", Quota(project="p", **limits))], "test")

    # --- time ---
    def now(self) -> float:
        return self.clock.now_s - self.began_s

    async def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.move(STEP_S)
            await turns(12)
        assert self.part.tasks.failed is None

    async def until(self, holds: Callable[[], object]) -> None:
        """Lets time pass until something holds."""
        async with asyncio.timeout(10):
            while not holds():
                await self.pass_s(STEP_S)


async def at_once() -> None:
    """In the place of waiting for the machine's time: it looks at the clock whenever the loop turns."""
    await asyncio.sleep(0)


def an_owner(store: str) -> Owner:
    return Owner(store=store, role="volume", cluster="c")


def a_place(number: int = 1, store: str = "s1") -> VolumePlace:
    return VolumePlace(store=store, cluster="c", number=number)


def an_admission(identifier: str = "v", size_gib: int = 2, place: int | None = 1, **fields: Any) -> VolumeAdmission:
    """`place`: the number of its place in pool s1."""
    given: dict[str, Any] = {
        "project": "p",
        "user": "u",
        "urn": f"urn:{identifier}",
        "created": 1,
        "expires": 1 << 62,
        "spec": VolumeSpec(size_gib=size_gib),
        "labels": VolumeLabels(name="disk"),
        "place": None if place is None else a_place(place),
        "stage": VolumeStage.ADMITTED if place is None else VolumeStage.PLACED,
    }
    return VolumeAdmission(id=identifier, **{**given, **fields})


def record_of(
    admission: VolumeAdmission, state: VolumeState = VolumeState.AVAILABLE, **fields: Any
) -> Volume | Snapshot:
    """The record that the pool of its place has of it."""
    place = admission.place
    assert place is not None
    given: dict[str, Any] = {
        "id": admission.id,
        "project": admission.project,
        "user": admission.user,
        "store": place.store,
        "cluster": place.cluster,
        "urn": admission.urn,
        "labels": admission.labels,
        "state": state,
        "created": admission.created,
    }
    if admission.snapshot_of:
        size_gib = admission.spec.size_gib
        return Snapshot(**{**given, "volume": admission.snapshot_of, "size_gib": size_gib, **fields})
    return Volume(**{**given, "number": place.number, "spec": admission.spec, **fields})


def a_refusal(identifier: str = "v", number: int = 1, fault: Fault = FULL, **fields: Any) -> VolumeRefusal:
    return VolumeRefusal(**{"id": identifier, "project": "p", "number": number, "urn": "u", "fault": fault, **fields})


def gone_refusal(identifier: str = "v", number: int = 1) -> VolumeRefusal:
    return a_refusal(identifier, number, GONE, deleted=True)
