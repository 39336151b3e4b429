"""What hasn't ended of volumes and snapshots is pursued: each is found a pool, and its owner asked for what is to be,
until the owner's record or refusal is seen.
"""

import asyncio
from typing import Final

from freehold.runtime.log import logger
from freehold.runtime.watchdog import Watchdog
from freehold.vocabulary.errors import Conflict, FreeholdError, NoAnswer, NoRoom, Unavailable
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.volume_request import VolumeAdmission, VolumePlace, VolumeStage
from freehold.workers.base import Means
from freehold.workers.registrar.due import Due
from freehold.workers.registrar.volumes import effects, lifecycle
from freehold.workers.registrar.volumes.records import Records

PURSUED_AT_ONCE_MAX: Final = 64

_log = logger("registrar")


class Reconciler:
    """See the module. News only wakes it; what to do is decided from the store."""

    def __init__(self, means: Means, records: Records, watchdog: Watchdog) -> None:
        self._means, self._records, self._watchdog = means, records, watchdog
        self._due = Due(means.clock.clock, means.chance)

    def wake(self, identifier: str) -> None:
        """Something was written about it: look at it now."""
        self._due.wake(identifier)

    def wake_all(self) -> None:
        """After a start: look at everything that hasn't ended."""
        for admission in self._records.admissions():
            if lifecycle.is_unfinished(admission):
                self.wake(admission.id)
        for store, identifier in self._records.strays():
            self.wake(f"{store}/{identifier}")

    async def run(self) -> None:
        """Pursues what is due, until cancelled."""
        while True:
            while due := self._due.take(PURSUED_AT_ONCE_MAX):
                await self._watchdog.turn("volumes", self._pursue_all(due))
            await self._due.wait()

    async def _pursue_all(self, due: list[str]) -> None:
        await asyncio.gather(*(self.pursue(identifier) for identifier in due))

    async def pursue(self, identifier: str) -> None:
        """Does the next thing for one of them, and plans the try after it."""
        if "/" in identifier:
            await self._remove_stray(identifier)
            return
        admission = self._records.admission(identifier)
        if admission is None or not lifecycle.is_unfinished(admission):
            self._due.forget(identifier)
            return
        self._due.plan(identifier)
        await self._records.store.durable()  # nobody is asked for what isn't on disk
        try:
            await self._next(admission)
        except FreeholdError as error:
            _log.info("a volume waits", volume=identifier, stage=admission.stage, error=error.message)

    async def _remove_stray(self, key: str) -> None:
        store, _, identifier = key.partition("/")
        made = self._records.stray(store, identifier)
        if made is None:
            self._due.forget(key)
            return
        self._due.plan(key)
        await self._records.store.durable()
        try:
            await effects.remove_stray(self._means, identifier, made)
        except FreeholdError as error:
            _log.info("a volume that isn't to be there waits", volume=identifier, store=store, error=error.message)

    async def _next(self, admission: VolumeAdmission) -> None:
        place = admission.live_place()
        if self._records.admission(admission.id) != admission:
            self.wake(admission.id)
        elif admission.delete_urn and place is not None:
            await self._remove(admission, place)
        elif lifecycle.is_over(admission, self._means.clock.now()):
            await self._fail(admission, NoAnswer(lifecycle.DEADLINE_PASSED.message))
        elif place is None:
            await self._find_pool(admission)
        elif admission.grow_urn and not admission.lost:  # an owner that has no record of it would refuse that
            await self._grow(admission, place)
        else:
            await self._make(admission, place)

    async def _remove(self, admission: VolumeAdmission, place: VolumePlace) -> None:
        try:
            await effects.remove(self._means, admission, place)
        except FreeholdError as error:
            if not effects.is_final(error) or admission.delete_forced:
                raise
            await self.delete_refused(admission.id, admission.delete_urn, error)

    async def delete_refused(self, identifier: str, urn: str, error: FreeholdError) -> None:
        """Its owner doesn't let it go: it stays."""
        stands, now = self._records.admission(identifier), self._means.clock.now()
        self._records.refused.keep(urn, error, now)
        if stands is not None and stands.delete_urn == urn:
            self._records.moved(stands, lifecycle.delete_taken_back(stands, now), urn, now)
        await self._records.store.durable()

    async def _find_pool(self, admission: VolumeAdmission) -> None:
        try:
            chosen = await effects.choose_pool(self._means, admission)
        except NoRoom as error:
            await self._fail(admission, error)
            return
        now = self._means.clock.now()
        stands = self._records.admission(admission.id)
        if stands is None:
            return
        try:
            after = lifecycle.placed(stands, chosen.store, chosen.cluster, now)
        except Conflict:
            return  # it is to go meanwhile, or has a pool
        self._records.moved(stands, after, admission.urn, now)
        self.wake(admission.id)

    async def _make(self, admission: VolumeAdmission, place: VolumePlace) -> None:
        offer: ImageOffer | None = None
        if not admission.lost:
            try:
                owner = self._records.image_owner(admission.id)
                offer = await effects.offer_image(self._means, admission, owner)
            except Unavailable:
                raise
            except FreeholdError as error:
                await self._fail(admission, error)
                return
        await effects.make(self._means, admission, place, offer)

    async def _grow(self, admission: VolumeAdmission, place: VolumePlace) -> None:
        try:
            await effects.grow(self._means, admission, place)
        except FreeholdError as error:
            if not effects.is_final(error):
                raise
            await self.grow_refused(admission.id, admission.grow_urn)

    async def grow_refused(self, identifier: str, urn: str) -> None:
        """Its owner doesn't make it larger: what was reserved of the quota is given back."""
        stands, now = self._records.admission(identifier), self._means.clock.now()
        if stands is None:
            return
        after = lifecycle.grow_refused(stands, urn, now)
        if after is not stands:
            self._records.moved(stands, after, urn, now)
        await self._records.store.durable()

    async def _fail(self, admission: VolumeAdmission, error: FreeholdError) -> None:
        stands, now = self._records.admission(admission.id), self._means.clock.now()
        if stands is None or stands.stage in (VolumeStage.ACTIVE, VolumeStage.FAILED):
            return
        self._records.moved(stands, lifecycle.failed(stands, error.fault(), now), admission.urn, now)
        await self._records.store.durable()
