"""What a new volume's first bytes are a copy of: an image, a snapshot or a volume; or nothing."""

from dataclasses import dataclass, field
from typing import Any, Final

from freehold.api.call import Call
from freehold.api.reading import find, not_found
from freehold.api.sharing import sees
from freehold.api.volume.joined import Joined, named
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.image import Image, ImageStatus
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import Source, SourceKind, VolumeState

PROPERTY_LENGTH_MAX: Final = 255
"""Longer properties of an image aren't noted of volumes that are copies of it."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What is copied, and what the volume has from it. `least`: (GiB, why) that it can't be smaller than."""

    source: Source | None = None
    size_gib: int = 0
    """Its own, where a volume is made as large as that unless told otherwise."""
    least: tuple[tuple[int, str], ...] = ()
    bootable: bool = False
    image: dict[str, str] = field(default_factory=dict)
    copy_of: str = ""
    image_owner: str = ""
    zone: str = ""
    type: tuple[str, str] | None = None
    """Id and name of the volume type of what is copied; None where there is no such thing."""

    def check_size(self, size_gib: int) -> None:
        """Raises BadRequest for a volume that is too small for it."""
        for least_gib, what in self.least:
            if size_gib < least_gib:
                raise BadRequest(
                    f"Invalid input received: Volume size {size_gib}GB cannot be smaller than the {what} {least_gib}GB."
                )


async def copied(call: Call, image: str | None, snapshot: str | None, volume: str | None) -> Copied:
    """What is meant. Raises BadRequest for more than one, and what doesn't allow it now; NotFound, also for what the
    caller's project doesn't see.
    """
    if sum(one is not None for one in (image, snapshot, volume)) > 1:
        raise BadRequest("Invalid input: say only one of imageRef, snapshot_id and source_volid.")
    if image is not None:
        return await _of_image(call, image)
    if snapshot is not None:
        return await _of_snapshot(call, snapshot)
    return Copied() if volume is None else await _of_volume(call, volume)


async def _of_image(call: Call, key: str) -> Copied:
    image = await find(call, Image, key)
    if image is None or not await sees(call, image):
        raise BadRequest("Invalid image identifier or unable to access requested image.")
    if image.status is not ImageStatus.ACTIVE:
        raise BadRequest(f"Image {image.id} is not active: its status is {image.status.value}.")
    holds_bytes = image.virtual_bytes or image.size_bytes or 0
    return Copied(
        source=Source(kind=SourceKind.IMAGE, id=image.id),
        least=((image.min_disk_gib, "image minDisk size"), (-(-holds_bytes // GIB), "size of the image")),
        bootable=True,
        image=_noted(image),
        image_owner=call.cloud.view.owner(Image, image.id),
    )


def _noted(image: Image) -> dict[str, str]:
    told: dict[str, Any] = {
        **image.properties,
        "image_id": image.id,
        "image_name": image.name,
        "checksum": image.checksum_md5,
        "container_format": image.container_format,
        "disk_format": image.disk_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "size": image.size_bytes,
    }
    texts = {name: str(value) for name, value in told.items() if value is not None}
    return {name: text for name, text in texts.items() if len(text) <= PROPERTY_LENGTH_MAX}


async def _of_snapshot(call: Call, key: str) -> Copied:
    snapshot = await _own(call, key, snapshot=True)
    volume = await named(call, snapshot.admission.snapshot_of, snapshot=False)
    return _copy(SourceKind.SNAPSHOT, snapshot, volume, "original snapshot size")


async def _of_volume(call: Call, key: str) -> Copied:
    volume = await _own(call, key, snapshot=False)
    return _copy(SourceKind.VOLUME, volume, volume, "original volume size")


async def _own(call: Call, key: str, *, snapshot: bool) -> Joined:
    """Of the project's own: an admin sees those of others, and doesn't copy them into his."""
    item = await named(call, key, snapshot=snapshot)
    if item.admission.project != call.caller.project:
        raise NotFound(not_found(item.noun, key))
    if item.status != VolumeState.AVAILABLE:
        raise BadRequest(f"Invalid {item.noun.lower()}: {item.id} is {item.status}; it can be copied when available.")
    return item


def _copy(kind: SourceKind, item: Joined, volume: Joined, what: str) -> Copied:
    spec = volume.spec
    return Copied(
        source=Source(kind=kind, id=item.id),
        size_gib=item.size_gib,
        least=((item.size_gib, what),),
        bootable=spec.bootable,
        image=spec.image,
        copy_of=volume.id,
        zone=item.zone,
        type=(volume.admission.spec.type, volume.admission.spec.type_name),
    )
