"""Bytes in, bytes gone: one thing at a time for each image, whoever asks."""

from collections.abc import AsyncGenerator, AsyncIterator

from freehold.runtime.clock import HybridClock
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, Fault, NotFound, raised_from
from freehold.vocabulary.image import Image, ImageStatus
from freehold.workers.image import lifecycle
from freehold.workers.image.effects import Effects
from freehold.workers.image.lifecycle import Arrived, CutOff, Outcome
from freehold.workers.image.records import Records

NOBODY_SENDS = Fault(code="Unavailable", message="The image worker ended while the bytes arrived. Upload them again.")


class Transfers:
    """`busy` are the images whose bytes are being written or deleted at this moment: nobody else touches those."""

    def __init__(self, records: Records, effects: Effects, clock: HybridClock) -> None:
        self._records, self._effects, self._clock = records, effects, clock
        self.busy: set[str] = set()

    async def take(self, image: str, chunks: AsyncIterator[bytes]) -> Done:
        """Takes an image's bytes in: durable and ACTIVE when this returns.

        Raises NotFound, Conflict, what is wrong with the bytes, or what kept them from arriving; then they are gone.
        """
        begun = lifecycle.begun(self._records.get(image), image, self._clock.now())
        if image in self.busy:
            raise Conflict(f"bytes of image {image} are still being deleted. Try again.")
        self.busy.add(image)
        try:
            self._records.stage(begun, "upload", held=True)
            await self._records.durable()
            outcome = await self._effects.take(image, begun.disk_format or "", chunks)
            position = await self._end(image, outcome)
        finally:
            self.busy.discard(image)
        # What comes next for the image is staged after this: whoever sees that it has ended may send again.
        await self._records.durable()
        if not isinstance(outcome, Arrived):
            raise raised_from(outcome.fault)
        return self._records.done(position, image)

    async def _end(self, image: str, outcome: Outcome) -> Position:
        kept = isinstance(outcome, Arrived) and self._records.get(image) is not None
        cleared = not kept and await self._effects.discard(image)
        # Read again: the record may have been deleted meanwhile. It can't have been made anew, because the id is held.
        record = self._records.get(image)
        if record is None:
            if cleared:
                self._records.stage_cleared(image)
            raise NotFound(f"image {image} was deleted while its bytes arrived.")
        ended = lifecycle.ended(record, outcome, self._clock.now())
        return self._records.stage(ended, "upload", held=not cleared)

    async def settle(self, image: str) -> None:
        """Deletes what bytes of ours an image has that isn't ACTIVE; an upload nobody works on any more is cut off.

        Does nothing while a transfer goes on: that ends with the same.
        """
        record = self._records.get(image)
        active = record is not None and record.status is ImageStatus.ACTIVE
        if active or image in self.busy or not self._records.is_held(image):
            return
        self.busy.add(image)
        try:
            if await self._effects.discard(image):
                self._stage_settled(image, self._records.get(image))
                await self._records.durable()
        finally:
            self.busy.discard(image)

    def _stage_settled(self, image: str, record: Image | None) -> None:
        if record is None or record.status is not ImageStatus.SAVING:
            self._records.stage_cleared(image)
            return
        cut_off = lifecycle.ended(record, CutOff(fault=NOBODY_SENDS), self._clock.now())
        self._records.stage(cut_off, "reconcile", held=False)

    def readable(self, image: str) -> Image:
        """The record of an image whose bytes can be read. Raises NotFound, Conflict."""
        return lifecycle.readable(self._records.get(image), image)

    def read(self, image: str, offset: int) -> AsyncGenerator[bytes, None]:
        """An image's bytes from `offset` on. Raises NotFound."""
        return self._effects.read(image, offset)
