"""One thing at a time is done to each volume, and to its snapshots: what their records say is still to be done."""

from collections.abc import Callable
from typing import Final

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import FreeholdError, NotFound, Unavailable
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.volume import Snapshot, SourceKind, Volume, VolumeState
from freehold.workers.refused import RefusedRequests
from freehold.workers.volume import lifecycle
from freehold.workers.volume.effects import Effects
from freehold.workers.volume.records import Records

AGAIN_S: Final = 5.0
"""Between two tries of what couldn't be done yet."""

_log = logger("volume")


class Doing:
    """`wake` a volume when something was written of it or of its snapshots."""

    def __init__(
        self, records: Records, refused: RefusedRequests, effects: Effects, clock: HybridClock, tasks: Tasks
    ) -> None:
        self._records, self._refused, self._effects = records, refused, effects
        self._clock, self._tasks = clock, tasks
        self._busy: set[str] = set()
        self.grown: Callable[[str], None] = lambda volume: None
        """Told of a volume that is larger now."""
        self.offers: dict[str, ImageOffer] = {}
        """The newest of each volume that is to be a copy of an image: its key opens the image worker's door for a short
        time, and it is sent again with each repeat of the request.
        """

    def wake(self, volume: str) -> None:
        """Looks at what is to be done to a volume, unless somebody does already."""
        if volume not in self._busy:
            self._busy.add(volume)
            self._tasks.start("volume", self._work(volume))

    def wake_all(self) -> None:
        """Looks at all of them: at the start, and now and then."""
        for volume in self._records.volumes():
            if lifecycle.is_unfinished(volume):
                self.wake(volume.id)
        for snapshot in self._records.snapshots():
            if lifecycle.is_unfinished(snapshot):
                self.wake(snapshot.volume)

    async def _work(self, volume: str) -> None:
        try:
            while (record := self._next(volume)) is not None:
                await self._records.durable()  # nothing is done that the disk doesn't know of
                if not await self._do(record):
                    await self._clock.clock.sleep(AGAIN_S)
        finally:
            self._busy.discard(volume)

    def _next(self, volume: str) -> Volume | Snapshot | None:
        """What is to be done first: a snapshot goes before its volume does."""
        for snapshot in self._records.snapshots_of(volume):
            if lifecycle.is_unfinished(snapshot):
                return snapshot
        itself = self._records.volume(volume)
        return None if itself is None or not lifecycle.is_unfinished(itself) else itself

    async def _do(self, record: Volume | Snapshot) -> bool:
        """Does it, and writes what came of it. False if it is to be tried again. What is whole isn't made again: where
        the store was put back to an old copy, what it was made of may be gone.
        """
        try:
            is_made = record.state is VolumeState.CREATING and await self._effects.has(record)
        except FreeholdError as error:  # nothing is thrown away of what may be whole
            _log.warning("it can't be seen whether it is there", id=record.id, error=error.message)
            return False
        try:
            if not is_made:
                await self._change(record)
        except FreeholdError as error:
            return await self._failed(record, error)
        self._succeeded(record)
        return True

    async def _change(self, record: Volume | Snapshot) -> None:
        if record.state is VolumeState.CREATING:
            await self._make(record)
        elif record.state is VolumeState.EXTENDING and isinstance(record, Volume):
            await self._effects.grow(record)
        elif isinstance(record, Volume):
            await self._effects.remove(record.id)
        else:
            await self._effects.remove_snapshot(record)

    async def _make(self, record: Volume | Snapshot) -> None:
        if isinstance(record, Snapshot):
            await self._effects.take(record)
            return
        source = record.spec.source
        volume = "" if source is None else source.id
        if source is not None and source.kind is SourceKind.SNAPSHOT:
            snapshot = self._records.snapshot(source.id)
            if snapshot is None:
                raise NotFound(f"There is no snapshot {source.id} in this pool.")
            volume = snapshot.volume
        await self._effects.make(record, self.offers.get(record.id), volume)

    def _succeeded(self, record: Volume | Snapshot) -> None:
        now, stands = self._clock.now(), self._stands(record)
        if stands is None or stands.state is not record.state:
            return  # it is to go now: that is next
        match record.state:
            case VolumeState.CREATING:
                self.offers.pop(record.id, None)
                self._records.keep(lifecycle.made(stands, now), record.urn)
            case VolumeState.EXTENDING:
                assert isinstance(stands, Volume)
                self._records.keep(lifecycle.grown(stands, now), "grown")
                self.grown(stands.id)
            case VolumeState.DELETING:
                self.offers.pop(record.id, None)
                self._records.end(stands, lifecycle.ended(stands, record.urn, now), "deleted")

    async def _failed(self, record: Volume | Snapshot, error: FreeholdError) -> bool:
        """What is deleted is tried until it is gone; what is made or grown isn't tried again where that wouldn't help,
        and nothing stays of it.
        """
        now, stands = self._clock.now(), self._stands(record)
        _log.warning("not done", id=record.id, state=record.state, error=error.message)
        if stands is None or stands.state is not record.state:
            return True
        if record.state is VolumeState.DELETING or _may_help(error):
            return False
        if record.state is VolumeState.EXTENDING and isinstance(stands, Volume):
            refusal = self._refused.change(stands.grow_urn, lifecycle.growth_refused(error.fault()), now)
            self._records.keep(lifecycle.not_grown(stands, error.fault(), now), "not grown", [refusal])
            return True
        return await self._discard(stands, error)

    async def _discard(self, record: Volume | Snapshot, error: FreeholdError) -> bool:
        """Takes away what there is of something that can't be made, and refuses it."""
        try:
            if isinstance(record, Volume):
                await self._effects.remove(record.id)
            else:
                await self._effects.remove_snapshot(record)
        except FreeholdError as trouble:
            _log.warning("what is half made isn't deleted yet", id=record.id, error=trouble.message)
            return False
        stands = self._stands(record)
        if stands is None or stands.state is not record.state:
            return True
        number = stands.number if isinstance(stands, Volume) else 1
        refusal = lifecycle.refused(stands.id, stands.project, number, stands.urn, error, self._clock.now())
        self.offers.pop(stands.id, None)
        self._records.end(stands, refusal, "refused")
        return True

    def _stands(self, record: Volume | Snapshot) -> Volume | Snapshot | None:
        """The record as it is now."""
        if isinstance(record, Volume):
            return self._records.volume(record.id)
        return self._records.snapshot(record.id)


def _may_help(error: FreeholdError) -> bool:
    """Whether another try may succeed where this one failed."""
    return isinstance(error, Unavailable)
