"""Looks at what lies in the image store and at the records, at the start and periodically, and mends what differs."""

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.image import ImageStatus
from freehold.workers.image import lifecycle
from freehold.workers.image.effects import Effects
from freehold.workers.image.records import Records
from freehold.workers.image.transfers import Transfers

_log = logger("image")


class Reconciler:
    """One path for a restart and for the everyday."""

    def __init__(self, records: Records, effects: Effects, transfers: Transfers, clock: HybridClock) -> None:
        self._records, self._effects, self._transfers, self._clock = records, effects, transfers, clock
        self._strangers: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Bytes of ours that no ACTIVE image has are deleted, dead uploads are cut off, lost bytes are shown."""
        for image in self._records.held():
            await self._transfers.settle(image)
        # Who became ACTIVE after the listing was made isn't in it: only those before are compared with it.
        active = [record.id for record in self._records.all() if record.status is ImageStatus.ACTIVE]
        lying = await self._effects.lying()
        if lying is None:
            return
        for image in active:
            self._audit(image, image in lying)
        self._report_strangers(lying - self._records.held())
        await self._records.durable()

    def _audit(self, image: str, has_bytes: bool) -> None:
        record = self._records.get(image)
        if record is None:
            return
        audited = lifecycle.audited(record, has_bytes=has_bytes, now=self._clock.now())
        if audited is not record:
            self._records.stage(audited, "reconcile")
            say = _log.info if has_bytes else _log.error
            say("the bytes of an image are back" if has_bytes else "the bytes of an image are missing", image=image)

    def _report_strangers(self, strangers: frozenset[str]) -> None:
        for image in sorted(strangers - self._strangers):
            _log.warning("bytes that this worker didn't put there; they are left alone", image=image)
        self._strangers = strangers
