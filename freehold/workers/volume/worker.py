"""The loop: questions in, decisions staged, answers out; what is to be done to bytes is done beside it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from freehold.bus import subjects
from freehold.bus.interface import Subscription
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.volumestore.interface import VolumeStore
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.vocabulary.attachment import (
    Attached,
    AttachmentNotice,
    AttachVolume,
    ClaimVolume,
    DetachVolume,
    Opened,
    OpenVolume,
)
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, Unavailable
from freehold.vocabulary.volume import (
    GrowVolume,
    LabelSnapshot,
    LabelVolume,
    MakeVolume,
    Pool,
    PoolQuestion,
    RemoveSnapshot,
    RemoveVolume,
    ResetState,
    Snapshot,
    SourceKind,
    TakeSnapshot,
    Volume,
    VolumeLabelling,
    VolumeQuestion,
)
from freehold.workers.base import Desk, Means
from freehold.workers.refused import RefusedRequests
from freehold.workers.volume import lifecycle
from freehold.workers.volume.attaching import Attaching
from freehold.workers.volume.doing import Doing
from freehold.workers.volume.effects import Effects
from freehold.workers.volume.labels import labelled
from freehold.workers.volume.reconciler import Reconciler
from freehold.workers.volume.records import Records

Change = PoolQuestion | VolumeLabelling
"""What is asked of a volume itself, attachments aside."""
GROUP: Final = "volume"
RECONCILE_PERIOD_S: Final = 300.0


class VolumeWorker:
    """Owner of the volumes and snapshots in one pool, whose bytes `volumes` has. `images` is its own cache.

    `types`: the names of the volume types that it takes; none: any.
    """

    def __init__(
        self,
        means: Means,
        store: Store,
        volumes: VolumeStore,
        images: ImageCache,
        name: str,
        types: tuple[str, ...] = (),
    ) -> None:
        self._means, self._store, self._images = means, store, images
        self.tasks = Tasks("volume")
        self._records = Records(store, means.clock.now)
        self._desk = Desk(means, store, name)
        self._refused = RefusedRequests(store)
        self._effects = Effects(volumes, images, means.offload)
        self._doing = Doing(self._records, self._refused, self._effects, means.clock, self.tasks)
        first = Pool(id=store.id, name=name, cluster=store.owner.cluster, driver="", total_gib=0, types=types)
        self._reconciler = Reconciler(self._records, self._effects, self._doing, means.clock, first)
        self._attaching = Attaching(means, self._records, self._effects, self._doing, self.tasks)
        self._doing.grown = self._attaching.tell_size
        self._subscriptions: list[Subscription] = []
        self.tasks.watch(self._desk.tasks)

    async def open(self) -> None:
        """Looks at the pool, goes on with what the last process left, and then hears questions."""
        await self._records.durable()
        await self._desk.open()
        await self._reconciler.look()
        store, cluster = self._store.id, self._store.owner.cluster
        served: list[tuple[str, Any]] = [
            *((subjects.ask_pool(store, beyond), PoolQuestion) for beyond in ("", cluster)),
            *((subjects.ask_volume(store, beyond), VolumeQuestion) for beyond in ("", cluster)),
        ]
        self._subscriptions = [
            *[await self._desk.serve(subject, questions, self._answer, GROUP) for subject, questions in served],
            await self._desk.serve(
                subjects.ask_openings(store),
                AttachmentNotice,
                self._hear_host,
                GROUP,
                subject_of=lambda question, asked: subjects.of_store(asked, question.host),
            ),
        ]
        await self._attaching.look()
        look = self._desk.watchdog.watched("reconcile", self._look)
        self.tasks.start("reconcile", self._look_again(look))

    async def _look_again(self, look: Callable[[], Awaitable[None]]) -> None:
        sleep = self._means.clock.clock.sleep
        await sleep(RECONCILE_PERIOD_S)
        await periodically(sleep, RECONCILE_PERIOD_S, look)

    async def _look(self) -> None:
        self._refused.forget(self._now())
        await self._reconciler.look()
        await self._attaching.look()

    async def close(self) -> None:
        """Hears no more; what is half done is gone on with by the next process. The store is its opener's to close."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.tasks.close()
        await self._images.close()
        await self._effects.close()
        await self._records.durable()
        await self._desk.close()

    # --- questions ---
    async def _hear_host(self, question: AttachmentNotice) -> Opened | Done:
        try:
            if isinstance(question, OpenVolume):
                return await self._attaching.open(question)
            if isinstance(question, ClaimVolume):
                return await self._attaching.claim(question)
            return await self._attaching.release(question)
        except Broken as error:
            raise _trouble(error) from error

    async def _answer(self, question: PoolQuestion | VolumeQuestion) -> Done | Attached:
        if isinstance(question, AttachVolume):
            return await self._attaching.attach(question, self._store.owner.cluster)
        if isinstance(question, DetachVolume):
            return await self._attaching.detach(question)
        return await self._change(question)

    async def _change(self, question: Change) -> Done:
        urn = "" if isinstance(question, VolumeLabelling) else question.urn
        self._refused.check(urn)
        try:
            key = await self._decide(question)
        except Broken as error:
            raise _trouble(error) from error
        except FreeholdError as error:
            if not isinstance(error, Unavailable) and not isinstance(question, MakeVolume | TakeSnapshot):
                self._refused.keep(urn, error, self._now())
            raise  # what is to be made is refused under its number: who asks for it is answered, or asks again
        await self._records.durable()
        return self._records.done(key)

    async def _decide(self, question: Change) -> str:
        """Stages what is asked, and gives the id of what it is about."""
        match question:
            case MakeVolume():
                return await self._make(question)
            case TakeSnapshot():
                return await self._take_snapshot(question)
            case GrowVolume():
                return self._grow(question)
            case RemoveVolume():
                return await self._remove(question)
            case RemoveSnapshot():
                return await self._remove_snapshot(question)
            case LabelVolume() | LabelSnapshot() | ResetState():
                return labelled(self._records, question, self._now())

    async def _make(self, asked: MakeVolume) -> str:
        if asked.offer is not None:
            self._doing.offers[asked.volume] = asked.offer
        if self._is_settled(self._records.volume(asked.volume), asked.volume, asked.number):
            return asked.volume
        pool, now = self._pool(), self._now()
        record = lifecycle.claimed(asked, pool, now)
        if asked.restore:
            await self._take_up(record)
            return asked.volume
        try:
            lifecycle.check_volume(asked, pool, self._records.source(asked.spec.source))
        except FreeholdError as error:
            lies_here = await self._lies_here(record)
            if self._is_settled(self._records.volume(asked.volume), asked.volume, asked.number):
                return asked.volume
            if not lies_here:
                self._doing.offers.pop(asked.volume, None)
                refusal = lifecycle.refused(asked.volume, asked.project, asked.number, asked.urn, error, now)
                self._records.refuse(refusal)
                return asked.volume
        self._records.keep(record, asked.urn)
        self._doing.wake(asked.volume)
        return asked.volume

    async def _take_snapshot(self, asked: TakeSnapshot) -> str:
        if self._is_settled(self._records.snapshot(asked.snapshot), asked.snapshot, 1):
            return asked.snapshot
        pool, now = self._pool(), self._now()
        if asked.restore:
            await self._take_up(lifecycle.snapshot_of(asked, pool, asked.size_gib, now))
            return asked.snapshot
        volume = self._records.volume(asked.volume)
        try:
            lifecycle.check_snapshot(asked, pool, volume, len(self._records.snapshots_of(asked.volume)))
        except FreeholdError as error:
            lies_here = await self._lies_here(lifecycle.snapshot_of(asked, pool, asked.size_gib, now))
            if self._is_settled(self._records.snapshot(asked.snapshot), asked.snapshot, 1):
                return asked.snapshot
            if not lies_here:
                self._records.refuse(lifecycle.refused(asked.snapshot, asked.project, 1, asked.urn, error, now))
                return asked.snapshot
        size_gib = asked.size_gib if volume is None else volume.spec.size_gib
        self._records.keep(lifecycle.snapshot_of(asked, pool, size_gib, now), asked.urn)
        self._doing.wake(asked.volume)
        return asked.snapshot

    async def _lies_here(self, record: Volume | Snapshot) -> bool:
        """Whether what would be refused has bytes here: it was made by this request, and the record of that was lost
        with an old copy of this store. They would be nobody's. Raises Unavailable or Broken while that can't be seen.
        """
        if isinstance(record, Volume):
            return await self._effects.lie_here(record.id)
        return await self._effects.has(record)

    async def _take_up(self, record: Volume | Snapshot) -> None:
        has_bytes = await self._effects.has(record)
        size_gib = await self._effects.size_gib(record.id) if isinstance(record, Volume) else 0
        number, now = record.number if isinstance(record, Volume) else 1, self._now()
        held = self._records.volume(record.id) or self._records.snapshot(record.id)
        if not self._is_settled(held, record.id, number):
            after = lifecycle.taken_up(record, has_bytes=has_bytes, now=now)
            after = lifecycle.as_large_as_it_is(after, size_gib, now) if isinstance(after, Volume) else after
            self._records.keep(after, "taken up")

    def _is_settled(self, held: Volume | Snapshot | None, identifier: str, number: int) -> bool:
        """Whether it was decided already what becomes of something that is asked for."""
        if held is not None:
            self._doing.wake(held.id if isinstance(held, Volume) else held.volume)
            return True
        return lifecycle.is_refused(self._records.refusal(identifier), number)

    def _grow(self, asked: GrowVolume) -> str:
        held = self._records.volume(asked.volume)
        after = lifecycle.growing(held, asked.volume, asked.size_gib, self._pool(), asked.urn, self._now())
        if after is not held:
            self._records.keep(after, asked.urn)
        self._doing.wake(asked.volume)
        return asked.volume

    async def _remove(self, asked: RemoveVolume) -> str:
        if self._is_gone(asked.volume):
            return asked.volume
        here = self._records.volume(asked.volume) is None and await self._effects.lie_here(asked.volume)
        lying = frozenset[str]() if asked.force else await self._effects.snapshots(asked.volume)
        if not asked.force and await self._effects.exports(asked.volume):
            raise Conflict(f"Volume {asked.volume} is attached to a server. Detach it first.")
        held, now = self._records.volume(asked.volume), self._now()
        snapshots = len(lying.union(snapshot.id for snapshot in self._records.snapshots_of(asked.volume)))
        copies = self._records.copies_of(SourceKind.VOLUME, asked.volume)
        if held is None and here:  # its record was lost with an old copy of this store
            lifecycle.check_unneeded(asked.volume, snapshots, copies)
            self._records.keep(lifecycle.nameless(asked, self._pool(), now), asked.urn)
            self._doing.wake(asked.volume)
            return asked.volume
        if held is None:
            self._never(asked.volume, asked.project, asked.number, asked.urn)
            return asked.volume
        after = lifecycle.ending(held, snapshots, copies, now, force=asked.force)
        if after is not held:
            self._records.keep(after, asked.urn)
        self._doing.wake(asked.volume)
        return asked.volume

    async def _remove_snapshot(self, asked: RemoveSnapshot) -> str:
        if self._is_gone(asked.snapshot):
            return asked.snapshot
        nameless = lifecycle.nameless_snapshot(asked, self._pool(), self._now())
        here = self._records.snapshot(asked.snapshot) is None and await self._effects.has(nameless)
        held = self._records.snapshot(asked.snapshot)
        if held is None and here:  # its record was lost with an old copy of this store
            self._records.keep(nameless, asked.urn)
            self._doing.wake(asked.volume)
            return asked.snapshot
        if held is None:
            self._never(asked.snapshot, asked.project, 1, asked.urn)
            return asked.snapshot
        copies = self._records.copies_of(SourceKind.SNAPSHOT, asked.snapshot)
        self._records.keep(lifecycle.snapshot_ending(held, copies, self._now()), asked.urn)
        self._doing.wake(held.volume)
        return asked.snapshot

    def _is_gone(self, identifier: str) -> bool:
        """Whether something was deleted here, for good."""
        refusal = self._records.refusal(identifier)
        held = self._records.volume(identifier) or self._records.snapshot(identifier)
        return held is None and refusal is not None and refusal.deleted

    def _never(self, identifier: str, project: str, number: int, urn: str) -> None:
        refusal = self._records.refusal(identifier)
        if refusal is None or not refusal.deleted:
            self._records.refuse(lifecycle.never(identifier, project, number, urn, self._now()))

    def _pool(self) -> Pool:
        pool = self._records.pool()
        if pool is None:
            raise Unavailable("This pool hasn't been looked at yet. Ask again in a moment.")
        return pool

    def _now(self) -> int:
        return self._means.clock.now()


def _trouble(error: FreeholdError) -> Unavailable:
    """What is wrong with the pool, for who did nothing wrong."""
    return Unavailable(f"The pool can't do that now: {error.message}")
