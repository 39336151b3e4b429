"""Looks at the pool and at the records, at the start and now and then, and has what isn't finished worked on."""

from msgspec.structs import replace

from freehold import __version__
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.units import GIB, clock_time
from freehold.vocabulary.volume import Pool
from freehold.workers.volume import lifecycle
from freehold.workers.volume.doing import Doing
from freehold.workers.volume.effects import Effects
from freehold.workers.volume.records import Records

REFUSAL_HORIZON_MS = 30 * 24 * 3600 * 1000
"""How long it is known of a volume that it was deleted: as old a copy of the registrar's disk may come back."""

_log = logger("volume")


class Reconciler:
    """`first` is the pool as this worker is set up; what it says of its room is asked of the driver."""

    def __init__(self, records: Records, effects: Effects, doing: Doing, clock: HybridClock, first: Pool) -> None:
        self._records, self._effects, self._doing, self._clock = records, effects, doing, clock
        self._first = first

    async def look(self) -> None:
        """One path for a restart and for the everyday."""
        await self._look_at_room()
        await self._look_at_sizes()
        self._doing.wake_all()
        await self._effects.strangers(frozenset(volume.id for volume in self._records.volumes()))
        await self._effects.tidy(self._records.images_wanted())
        self._records.forget_refusals(clock_time(self._clock.clock.unix_ms() - REFUSAL_HORIZON_MS))
        await self._records.durable()

    async def _look_at_sizes(self) -> None:
        """A store that was put back to an old copy doesn't know what has grown since."""
        for volume in self._records.volumes():
            try:
                size_gib = await self._effects.size_gib(volume.id)
            except FreeholdError as error:
                _log.error("a volume can't be looked at", volume=volume.id, error=error.message)
                continue
            stands = self._records.volume(volume.id)
            if stands is None:
                continue
            after = lifecycle.as_large_as_it_is(stands, size_gib, self._clock.now())
            if after is not stands:
                self._records.keep(after, "reconcile")

    async def _look_at_room(self) -> None:
        """A pool that can't say how much room it has keeps what it said last, and takes nothing new."""
        stands = self._records.pool()
        try:
            room = await self._effects.room()
        except FreeholdError as error:
            _log.error("the pool can't be used", error=error.message)
            pool = replace(stands or self._first, closed=True)
        else:
            pool = replace(self._first, driver=room.driver, total_gib=room.capacity_bytes // GIB, version=__version__)
        if stands is None or replace(pool, used_gib=0, volumes=0, snapshots=0, updated=0) != replace(
            stands, used_gib=0, volumes=0, snapshots=0, updated=0
        ):
            self._records.keep_pool(pool, "reconcile")
