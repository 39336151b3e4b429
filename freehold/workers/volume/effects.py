"""What a volume worker does to the bytes of its pool. Each effect may be repeated; FreeholdError: it wasn't done."""

from collections.abc import AsyncIterator
from typing import Final

from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.volumestore.interface import Pool as Room
from freehold.drivers.volumestore.interface import Volume as Seen
from freehold.drivers.volumestore.interface import VolumePlan, VolumeStore
from freehold.runtime.log import logger
from freehold.runtime.tasks import Offload
from freehold.vocabulary.attachment import Attachment, Export, Opened
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.units import GIB, MIB
from freehold.vocabulary.volume import Snapshot, SourceKind, Volume

BLOCK_BYTES: Final = 4 * MIB

_log = logger("volume")


class Effects:
    """The pool, and the cache that images are fetched into."""

    def __init__(self, pool: VolumeStore, images: ImageCache, offload: Offload) -> None:
        self._pool, self._images, self._offload = pool, images, offload

    async def room(self) -> Room:
        """How much there is."""
        return await self._pool.pool()

    async def make(self, volume: Volume, offer: ImageOffer | None, source_volume: str) -> None:
        """Makes a volume's bytes. `source_volume`: the volume that it is a copy of, or whose snapshot."""
        plan = VolumePlan(volume=volume.id, size_bytes=volume.spec.size_gib * GIB)
        source = volume.spec.source
        if source is None:
            await self._pool.make(plan)
        elif source.kind is SourceKind.IMAGE:
            await self._make_from_image(plan, offer)
        else:
            snapshot = source.id if source.kind is SourceKind.SNAPSHOT else ""
            await self._pool.make_copy(plan, source_volume, snapshot)

    async def _make_from_image(self, plan: VolumePlan, offer: ImageOffer | None) -> None:
        if offer is None:
            raise Unavailable(f"What volume {plan.volume} is to be a copy of isn't known here any more.")
        path = await self._images.fetch(offer)

        async def chunks() -> AsyncIterator[bytes]:
            file = await self._offload(lambda: path.open("rb"))
            try:
                while chunk := await self._offload(lambda: file.read(BLOCK_BYTES)):
                    yield chunk
            finally:
                await self._offload(file.close)

        await self._pool.make_from_image(plan, offer.disk_format, chunks())

    async def grow(self, volume: Volume) -> None:
        """Makes a volume as large as it is to be."""
        await self._pool.extend(volume.id, volume.grows_to_gib * GIB)

    async def remove(self, volume: str) -> None:
        """Deletes a volume's bytes, if there are any; nobody reads them any more then."""
        for export in await self.exports(volume):
            await self._pool.withdraw(volume, export.number)
        await self._pool.delete(volume)

    async def take(self, snapshot: Snapshot) -> None:
        """Takes a snapshot."""
        await self._pool.take_snapshot(snapshot.volume, snapshot.id)

    async def remove_snapshot(self, snapshot: Snapshot) -> None:
        """Deletes a snapshot, if it is there."""
        try:
            await self._pool.delete_snapshot(snapshot.volume, snapshot.id)
        except NotFound:
            return  # its volume is gone, and it went with that

    async def has(self, record: Volume | Snapshot) -> bool:
        """Whether the bytes of a volume or a snapshot are there. Raises Unavailable or Broken, as those that follow do,
        if that can't be seen.
        """
        held = await self._seen(record.id if isinstance(record, Volume) else record.volume)
        return held is not None and (isinstance(record, Volume) or record.id in held.snapshots)

    async def lie_here(self, volume: str) -> bool:
        """Whether there is anything of a volume, be it half made."""
        try:
            return volume in await self._pool.volumes()
        except FreeholdError as error:
            raise _unseen(volume, error) from error

    async def snapshots(self, volume: str) -> frozenset[str]:
        """Those that a volume has, also if no record is of them."""
        held = await self._seen(volume)
        return frozenset(() if held is None else held.snapshots)

    async def size_gib(self, volume: str) -> int:
        """How much a volume has; 0 if it isn't there."""
        held = await self._seen(volume)
        return 0 if held is None else held.size_bytes // GIB

    async def _seen(self, volume: str) -> Seen | None:
        try:
            return await self._pool.look(volume)
        except NotFound:
            return None
        except FreeholdError as error:
            raise _unseen(volume, error) from error

    # --- attachments ---
    async def exports(self, volume: str) -> tuple[Export, ...]:
        """What a volume is served as."""
        return tuple(one for one in await self.every_export() if one.volume == volume)

    async def every_export(self) -> tuple[Export, ...]:
        """What all of them are served as."""
        return tuple(served.export for served in await self._pool.exports())

    async def serve(self, volume: Volume, attachment: Attachment, key: bytes) -> Opened:
        """Serves a volume under an attachment's number, to the host that has the key."""
        export = Export(
            volume=volume.id,
            number=attachment.number,
            reader=attachment.host,
            multi_attach=volume.spec.multi_attach,
        )
        try:
            served = await self._pool.export(export)
        except NotFound as error:
            raise Unavailable(f"The bytes of volume {volume.id} aren't in its pool now.") from error
        except Conflict as error:  # to somebody that nothing here knows of: who has a claim comes, or is cut off
            raise Unavailable(f"Volume {volume.id} is still served to another. {error.message}") from error
        return Opened(served=served, certificate=await self._pool.certify(attachment.host, key))

    async def cut_off(self, volume: str, number: int) -> None:
        """Serves a volume under a number no more; whoever had it open is cut off."""
        try:
            await self._pool.withdraw(volume, number)
        except NotFound:
            return  # its bytes are gone, and that went with them

    async def strangers(self, known: frozenset[str]) -> None:
        """Reports bytes that no record is of: they are left alone."""
        try:
            found = await self._pool.volumes() - known
        except FreeholdError as error:
            _log.error("the pool can't be listed", error=error.message)
            return
        for volume in sorted(found):
            _log.warning("bytes of no volume of this pool; they are left alone", volume=volume)

    async def tidy(self, images: frozenset[str]) -> None:
        """Gives back what deleted snapshots held, and lets go of fetched images but `images`."""
        try:
            await self._images.evict(images)
            await self._pool.tidy()
        except FreeholdError as error:
            _log.warning("the pool wasn't tidied", error=error.message)

    async def close(self) -> None:
        """Lets go of the pool: what is exported stays so."""
        await self._pool.close()


def _unseen(volume: str, error: FreeholdError) -> FreeholdError:
    """What is wrong with the pool when it can't be looked into: nothing is wrong with the volume."""
    if isinstance(error, Broken):
        return error
    return Unavailable(f"Volume {volume} can't be looked at now. {error.message}")
