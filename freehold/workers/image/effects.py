"""What the image worker does to the world. Each effect may be repeated, and answers with what came of it."""

from collections.abc import AsyncGenerator, AsyncIterator

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus
from freehold.drivers.imagestore.interface import ImageStore
from freehold.runtime.log import logger
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Fault, FreeholdError
from freehold.vocabulary.image import UPLOAD_BYTES_MAX
from freehold.vocabulary.request import Build, GiveUp
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.workers.image.lifecycle import Arrived, Bad, CutOff, Outcome

_log = logger("image")


class Effects:
    """The image store and the bus."""

    def __init__(self, images: ImageStore, bus: Bus, shards: Shards = ONE_SHARD) -> None:
        self._images, self._bus, self._shards = images, bus, shards

    async def take(self, image: str, disk_format: str, chunks: AsyncIterator[bytes]) -> Outcome:
        """Keeps the bytes and looks into them. What isn't Arrived may have left bytes: `discard` them."""
        try:
            written = await self._images.write(image, chunks, UPLOAD_BYTES_MAX)
            inspected = await self._images.inspect(image, disk_format)
        except BadRequest as error:
            return Bad(fault=error.fault())
        except FreeholdError as error:
            return CutOff(fault=error.fault())
        return Arrived(
            size_bytes=written.size_bytes,
            virtual_bytes=inspected.virtual_bytes,
            md5=written.md5,
            sha256=written.sha256,
        )

    async def discard(self, image: str) -> bool:
        """Deletes bytes. False if the image store couldn't; the reconciler tries again."""
        try:
            await self._images.delete(image)
        except FreeholdError as error:
            _log.warning("bytes not deleted yet", image=image, error=error.message)
            return False
        return True

    async def lying(self) -> frozenset[str] | None:
        """The images that have bytes in the store; None if it can't say."""
        try:
            return await self._images.images()
        except FreeholdError as error:
            _log.error("the image store can't be listed", error=error.message)
            return None

    def read(self, image: str, offset: int) -> AsyncGenerator[bytes, None]:
        """An image's bytes from `offset` on."""
        return self._images.read(image, offset)

    async def pass_on(self, build: Build) -> None:
        """Sends a build to the schedulers."""
        await talk.say(self._bus, subjects.BUILD_SCHEDULER, build)

    async def give_up(self, build: Build, fault: Fault) -> None:
        """Tells the registrar that a build can't have its image. If it isn't heard, the build comes again."""
        _log.info("a build can't have its image", urn=build.urn, guest=build.guest, reason=fault.message)
        deed = build.deed.number if build.deed else 0
        notice = GiveUp(urn=build.urn, guest=build.guest, deed=deed, fault=fault)
        try:
            await talk.ask(self._bus, subjects.ask_ledger(self._shards.of(build.project), "image"), notice, Done)
        except FreeholdError as error:
            _log.warning("the registrar wasn't told; it asks again", urn=build.urn, error=error.message)
