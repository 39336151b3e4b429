"""The disks of a new server (``block_device_mapping_v2``): its image on its host's own disk, and volumes, of which one
may be what it boots from. Volumes that don't exist are made first, and go again if the server isn't admitted.
"""

import asyncio
import string
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Call
from freehold.api.compute.wire.servers import BlockDeviceIn, ServerIn
from freehold.api.requests import idempotency_key
from freehold.api.volume.joined import IN_USE, Joined, named
from freehold.api.volume.sources import Copied, copied
from freehold.api.volume.types import type_wanted
from freehold.runtime.chance import new_id, new_urn
from freehold.runtime.log import logger
from freehold.vocabulary.attachment import VOLUMES_OF_GUEST_MAX, GuestVolume
from freehold.vocabulary.errors import BadRequest, FreeholdError, NoAnswer, NotFound, Unavailable
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.request import Build
from freehold.vocabulary.volume import SIZE_GIB_MAX, Volume, VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import AdmitVolume, DeleteVolume, VolumeAdmission, VolumePlace, VolumeStage

PLACED_S: Final = 20.0
"""How long a create waits for pools for its new volumes."""
DISK_LETTERS: Final = string.ascii_lowercase[1:]
"""Of the guests' disks after their own, which is vda."""
INVALID: Final = "Block Device Mapping is Invalid:"
_SOURCES: Final = ("volume", "image", "snapshot", "blank")
_log = logger("api")


@dataclass(frozen=True, slots=True)
class Disks:
    """What a server is to have. `image`: on its host's disk; empty: it boots from a volume."""

    image: str
    volumes: tuple[BlockDeviceIn, ...] = ()
    zone: str = ""
    """The cluster of those that are there."""
    there: tuple[GuestVolume, ...] = field(default=())

    def are_plain(self) -> bool:
        """Whether there are no volumes."""
        return not self.volumes


async def disks_wanted(call: Call, server: ServerIn, image: str) -> Disks:
    """What a body asks for; `image`: the one that it names by itself. Raises BadRequest."""
    devices = server.block_devices_v2 or []
    on_host = [one for one in devices if one.source_type == "image" and one.destination_type == "local"]
    volumes = tuple(one for one in devices if one not in on_host)
    for one in volumes:
        _check(one)
    boots = [one for one in devices if _boot_index(one) == 0]
    if len(on_host) > 1 or len(boots) > 1 or any(_boot_index(one) != 0 for one in on_host):
        raise BadRequest(f"{INVALID} one disk has boot_index 0: the image on the host's disk, or a volume.")
    if len(volumes) > VOLUMES_OF_GUEST_MAX:
        raise BadRequest(f"{INVALID} a server has at most {VOLUMES_OF_GUEST_MAX} volumes.")
    named_image = image or next((one.uuid or "" for one in on_host), "")
    if boots and boots[0] in volumes:
        if on_host:
            raise BadRequest(f"{INVALID} a server boots from a volume or from its image, not from both.")
        named_image = ""
    elif volumes and not named_image:
        raise BadRequest(f"{INVALID} no disk has boot_index 0, and there is no image.")
    there = [await _there(call, one, number) for number, one in enumerate(volumes) if one.source_type == "volume"]
    zones = sorted({one.cluster for one in there})
    if len(zones) > 1:
        raise BadRequest(f"{INVALID} its volumes are in several availability zones: {' and '.join(zones)}.")
    return Disks(named_image, volumes, zones[0] if zones else "", tuple(there))


def _boot_index(device: BlockDeviceIn) -> int | None:
    text = str(device.boot_index if device.boot_index is not None else "none").strip().lower()
    if text in ("none", "", "-1"):
        return None
    if not text.isdecimal():
        raise BadRequest(f"{INVALID} boot_index must be a number, not {text[:16]!r}.")
    return int(text)


def _check(device: BlockDeviceIn) -> None:
    if device.source_type not in _SOURCES or (device.destination_type or "volume") != "volume":
        raise BadRequest(
            f"{INVALID} this cloud has the image on the host's disk, and volumes of a volume, an image, a snapshot or "
            "blank; not other local disks."
        )
    if (device.source_type == "blank") is not (device.uuid is None):
        raise BadRequest(f"{INVALID} a disk has a uuid, unless it is blank.")
    if device.source_type != "volume" and device.volume_size is not None:
        _check_size(int(device.volume_size))
    if device.source_type == "blank" and device.volume_size is None:
        raise BadRequest(f"{INVALID} a blank volume needs a volume_size.")


def _check_size(size_gib: int) -> None:
    if not 1 <= size_gib <= SIZE_GIB_MAX:
        raise BadRequest(f"{INVALID} volume_size is from 1 to {SIZE_GIB_MAX} GiB.")


async def _there(call: Call, device: BlockDeviceIn, number: int) -> GuestVolume:
    """A volume that is there. Raises BadRequest for one that isn't, or is in use."""
    try:
        item = await named(call, device.uuid or "", snapshot=False)
    except NotFound as error:
        raise BadRequest(f"{INVALID} failed to get volume {(device.uuid or '')[:64]}.") from error
    if item.admission.project != call.caller.project:
        raise BadRequest(f"{INVALID} failed to get volume {item.id}.")
    volume = free(item)
    if volume.attachments and not volume.spec.multi_attach:
        raise BadRequest(f"{INVALID} volume {item.id} is in use by another server.")
    place = VolumePlace(store=volume.store, cluster=volume.cluster, number=0)
    return _guest_volume(call, device, number, item.id, place, volume.spec.size_gib)


def free(item: Joined) -> Volume:
    """The volume, if it looks as if it could be attached: its owner decides. Raises BadRequest."""
    volume = item.record
    if not isinstance(volume, Volume) or item.status not in (VolumeState.AVAILABLE, IN_USE):
        raise BadRequest(f"Invalid volume: volume {item.id} status must be 'available', but it is '{item.status}'")
    return volume


def _guest_volume(
    call: Call, device: BlockDeviceIn, number: int, volume: str, place: VolumePlace, size_gib: int
) -> GuestVolume:
    boot = _boot_index(device) == 0
    return GuestVolume(
        attachment=new_id(call.cloud.chance),
        volume=volume,
        store=place.store,
        cluster=place.cluster,
        size_gib=size_gib,
        urn="",
        device="/dev/vda" if boot else device.device_name or f"/dev/vd{DISK_LETTERS[number]}",
        tag=device.tag or "",
        delete_on_termination=device.delete_on_termination is True,
        boot=boot,
    )


@asynccontextmanager
async def made(call: Call, disks: Disks, builds: tuple[Build, ...], zone: str) -> AsyncIterator[tuple[Build, ...]]:
    """The builds, each with its volumes: what doesn't exist is made for each, and goes again if the body of this
    context fails. Raises BadRequest for a volume that several are to have, and what the registrar refuses volumes for.
    """
    if disks.are_plain():
        yield builds
        return
    if disks.there and len(builds) > 1:
        raise BadRequest(f"{INVALID} a volume can be given to one server only; leave out min_count and max_count.")
    new: list[str] = []
    try:
        yield tuple([await _with_volumes(call, disks, build, zone, new) for build in builds])
    except NoAnswer:
        raise  # it may have been admitted
    except FreeholdError:
        await ended(call, call.caller.project, new)
        raise


async def _with_volumes(call: Call, disks: Disks, build: Build, zone: str, new: list[str]) -> Build:
    there, volumes = list(disks.there), list[GuestVolume]()
    for number, device in enumerate(disks.volumes):
        if device.source_type == "volume":
            volumes.append(there.pop(0))
            continue
        made_one = await _made(call, device, number, build, zone, new)
        zone = made_one.cluster
        volumes.append(made_one)
    spec: GuestSpec = replace(build.spec, volumes=tuple(volumes), availability_zone=zone or disks.zone)
    return replace(build, spec=spec)


async def _made(call: Call, device: BlockDeviceIn, number: int, build: Build, zone: str, new: list[str]) -> GuestVolume:
    """A new volume that has a pool, or the registrar's refusal."""
    source = await _source(call, device)
    kind = await type_wanted(call, device.volume_type or "", source)
    size_gib = int(device.volume_size or 0) or source.size_gib or max((least for least, _ in source.least), default=0)
    _check_size(size_gib)
    source.check_size(size_gib)
    if zone and source.zone not in ("", zone):
        raise BadRequest(f"{INVALID} what is copied is in availability zone {source.zone}, and the server in {zone}.")
    spec = VolumeSpec(
        size_gib=size_gib,
        type=kind[0],
        type_name=kind[1],
        zone=zone,
        source=source.source,
        bootable=source.bootable,
        image=source.image,
    )
    key = idempotency_key(call)
    question = AdmitVolume(
        project=call.caller.project,
        user=call.caller.user,
        spec=spec,
        labels=VolumeLabels(),
        copy_of=source.copy_of,
        image_owner=source.image_owner,
        idempotency_key=f"{key}/{build.labels.name}/{number}"[:255] if key else "",
        body_digest=f"disk {number} of {build.labels.name}",
    )
    admitted = await asking.new_volume(call, question)
    if not admitted.again:
        new.append(admitted.id)
    return _guest_volume(call, device, number, admitted.id, await _placed(call, admitted.id), size_gib)


async def _source(call: Call, device: BlockDeviceIn) -> Copied:
    try:
        image = device.uuid if device.source_type == "image" else None
        return await copied(call, image, device.uuid if device.source_type == "snapshot" else None, None)
    except NotFound as error:
        raise BadRequest(f"{INVALID} failed to get {device.source_type} {(device.uuid or '')[:64]}.") from error


async def _placed(call: Call, volume: str) -> VolumePlace:
    """The pool of a new volume, once it has one. Raises BadRequest if no pool has room for it, Unavailable."""
    newsroom = call.cloud.view.news
    with newsroom.watch([volume]) as watch:
        try:
            async with asyncio.timeout(PLACED_S):
                while True:
                    admission = call.cloud.view.get(VolumeAdmission, volume)
                    place = None if admission is None else admission.live_place()
                    if place is not None:
                        return place
                    if admission is None or admission.stage is VolumeStage.FAILED:
                        why = "" if admission is None or admission.fault is None else f" {admission.fault.message}"
                        raise BadRequest(f"{INVALID} a volume couldn't be made.{why}")
                    await watch.changed()
        except TimeoutError as error:
            raise Unavailable("No pool has been found for the server's volumes yet. Try again.") from error


async def ended(call: Call, project: str, volumes: Iterable[str]) -> None:
    """Has volumes deleted that no server is to have any more. What is in use, or has snapshots, stays."""
    for volume in volumes:
        try:
            await asking.volume(call, DeleteVolume(id=volume, project=project, urn=new_urn(call.cloud.chance)), project)
        except FreeholdError as error:
            _log.warning("a volume of a server that isn't made is left", volume=volume, error=error.message)
