"""The rules of volumes and snapshots, on the worker that owns them: what is and what came, to what is now. Pure.

    none         MakeVolume, TakeSnapshot        CREATING
    none         the same, and it can't be       refused under its number; CREATING if its bytes are there already
    CREATING     its bytes are there             AVAILABLE
    CREATING     they can't be made              gone, and refused under its number
    AVAILABLE    GrowVolume                      EXTENDING
    EXTENDING    it has grown, or can't          AVAILABLE
    any          RemoveVolume, RemoveSnapshot    DELETING, unless something depends on it
    DELETING     its bytes are gone              gone, and refused for good
    none         RemoveVolume, RemoveSnapshot    refused for good
    none         sent again, to be taken up      AVAILABLE if its bytes are there, else ERROR: nobody makes it anew

What is CREATING, EXTENDING or DELETING is worked on until it isn't, by this process or the next (`doing`).
"""

from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, Fault, FreeholdError, NoRoom, NotFound, Unavailable
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.volume import (
    SIZE_GIB_MAX,
    MakeVolume,
    Pool,
    RemoveSnapshot,
    RemoveVolume,
    Snapshot,
    SourceKind,
    TakeSnapshot,
    Volume,
    VolumeLabels,
    VolumeRefusal,
    VolumeSpec,
    VolumeState,
)

SNAPSHOTS_OF_VOLUME_MAX: Final = 64
DELETED: Final = Fault(code="NotFound", message="It was deleted.")
LOST: Final = Fault(
    code="Broken",
    message="The bytes of this volume are not in its pool any more. Restore the pool, or delete the volume.",
)

_BUSY: Final = frozenset({VolumeState.CREATING, VolumeState.EXTENDING, VolumeState.DELETING})


def is_unfinished(record: Volume | Snapshot) -> bool:
    """Whether something is still to be done to its bytes."""
    return record.state in _BUSY


# --- making ----------------------------------------------------------------------------------------------------------


def check_volume(asked: MakeVolume, pool: Pool, source: Volume | Snapshot | None) -> None:
    """Raises BadRequest, NotFound, Conflict, NoRoom or Unavailable if the volume can't be made in this pool. `source`:
    the volume or the snapshot that it is to be a copy of, as it is here.
    """
    if not is_uuid(asked.volume) or not 0 < asked.spec.size_gib <= SIZE_GIB_MAX:
        raise BadRequest(f"A volume has an id that is a UUID, and 1 to {SIZE_GIB_MAX} GiB.")
    if pool.closed:
        raise Unavailable(f"Pool {pool.name} takes no new volumes.")
    wanted = asked.spec.source
    if wanted is not None and wanted.kind is not SourceKind.IMAGE:
        _check_source(asked, source, f"{wanted.kind} {wanted.id}")
    check_room(pool, asked.spec.size_gib)


def _check_source(asked: MakeVolume, source: Volume | Snapshot | None, named: str) -> None:
    if source is None or source.project != asked.project:
        raise NotFound(f"There is no {named} in this pool.")
    if source.state is not VolumeState.AVAILABLE:
        raise Conflict(f"The {named} is {source.state}: it can be copied when it is available.")
    size_gib = source.spec.size_gib if isinstance(source, Volume) else source.size_gib
    if asked.spec.size_gib < size_gib:
        raise BadRequest(f"The {named} has {size_gib} GiB: a copy of it can't be smaller.")


def check_room(pool: Pool, size_gib: int) -> None:
    """Raises NoRoom if so much can't be promised."""
    if pool.free_gib() < size_gib:
        raise NoRoom(f"Pool {pool.name} has {pool.free_gib()} GiB left; {size_gib} are asked for.")


def claimed(asked: MakeVolume, pool: Pool, now: int) -> Volume:
    """The record of a volume that is to be made, or taken up."""
    return Volume(
        id=asked.volume,
        project=asked.project,
        user=asked.user,
        store=pool.id,
        cluster=pool.cluster,
        number=asked.number,
        urn=asked.urn,
        spec=asked.spec,
        labels=asked.labels,
        created=asked.created,
        updated=now,
    )


def check_snapshot(asked: TakeSnapshot, pool: Pool, volume: Volume | None, snapshots: int) -> None:
    """Raises BadRequest, NotFound, Conflict or NoRoom if the volume, which has so many, can't have this one."""
    if not is_uuid(asked.snapshot):
        raise BadRequest("The id of a snapshot must be a UUID in lower case.")
    if volume is None or volume.project != asked.project:
        raise NotFound(f"There is no volume {asked.volume} in this pool.")
    if volume.state is not VolumeState.AVAILABLE:
        raise Conflict(f"Volume {volume.id} is {volume.state}: a snapshot can be taken when it is available.")
    if snapshots >= SNAPSHOTS_OF_VOLUME_MAX:
        raise Conflict(f"Volume {volume.id} has {snapshots} snapshots, the most it may have. Delete some first.")
    check_room(pool, volume.spec.size_gib)


def snapshot_of(asked: TakeSnapshot, pool: Pool, size_gib: int, now: int) -> Snapshot:
    """The record of a snapshot that is to be taken, or taken up."""
    return Snapshot(
        id=asked.snapshot,
        volume=asked.volume,
        project=asked.project,
        user=asked.user,
        store=pool.id,
        cluster=pool.cluster,
        urn=asked.urn,
        size_gib=size_gib,
        labels=asked.labels,
        created=asked.created,
        updated=now,
    )


def refused(identifier: str, project: str, number: int, urn: str, error: FreeholdError, now: int) -> VolumeRefusal:
    """That something isn't made under this number."""
    return VolumeRefusal(id=identifier, project=project, number=number, urn=urn, fault=error.fault(), time=now)


def is_refused(refusal: VolumeRefusal | None, number: int) -> bool:
    """Whether what is asked for has been refused already."""
    return refusal is not None and (refusal.deleted or number <= refusal.number)


def taken_up(record: Volume | Snapshot, *, has_bytes: bool, now: int) -> Volume | Snapshot:
    """The record of something that was here before, and of which the record was lost."""
    if has_bytes:
        return replace(record, state=VolumeState.AVAILABLE, updated=now)
    return replace(record, state=VolumeState.ERROR, fault=LOST, updated=now)


def made(record: Volume | Snapshot, now: int) -> Volume | Snapshot:
    """The record when its bytes are there."""
    return replace(record, state=VolumeState.AVAILABLE, fault=None, updated=now)


# --- growing ---------------------------------------------------------------------------------------------------------


def growing(volume: Volume | None, identifier: str, size_gib: int, pool: Pool, urn: str, now: int) -> Volume:
    """The record of a volume that is to be larger; the same if it is. Raises NotFound, BadRequest, Conflict, NoRoom."""
    held = found(volume, identifier)
    if max(held.spec.size_gib, held.grows_to_gib) == size_gib:
        return held
    if size_gib < held.spec.size_gib or size_gib > SIZE_GIB_MAX:
        raise BadRequest(f"Volume {held.id} has {held.spec.size_gib} GiB; it can be given up to {SIZE_GIB_MAX} GiB.")
    if held.state is not VolumeState.AVAILABLE:
        raise Conflict(f"Volume {held.id} is {held.state}: it can be extended when it is available.")
    check_room(pool, size_gib - held.spec.size_gib)
    return replace(
        held, state=VolumeState.EXTENDING, grows_to_gib=size_gib, grow_urn=urn, fault=None, refused_urn="", updated=now
    )


def grown(volume: Volume, now: int) -> Volume:
    """The record when the volume is as large as it was asked to be."""
    spec = replace(volume.spec, size_gib=volume.grows_to_gib)
    return replace(volume, spec=spec, state=VolumeState.AVAILABLE, grows_to_gib=0, grow_urn="", updated=now)


def not_grown(volume: Volume, fault: Fault, now: int) -> Volume:
    """The record when it can't be so large."""
    return replace(
        volume,
        state=VolumeState.AVAILABLE,
        grows_to_gib=0,
        grow_urn="",
        refused_urn=volume.grow_urn,
        fault=fault,
        updated=now,
    )


def growth_refused(fault: Fault) -> Fault:
    """What its request is refused for from then on: whatever was wrong here, whoever asks again did nothing wrong."""
    return Conflict(f"It couldn't be made larger. {fault.message}").fault()


# --- ending ----------------------------------------------------------------------------------------------------------


def check_unneeded(volume: str, snapshots: int, copies: int) -> None:
    """Raises Conflict if something depends on a volume. `copies`: how many are being made of it."""
    if snapshots:
        raise Conflict(f"Volume {volume} has {snapshots} snapshots. Delete them first.")
    if copies:
        raise Conflict(f"Volume {volume} is being copied. Delete it when that is done.")


def ending(volume: Volume, snapshots: int, copies: int, now: int, *, force: bool) -> Volume:
    """The record of a volume that is to go. Raises Conflict."""
    if volume.state is VolumeState.DELETING:
        return volume
    check_unneeded(volume.id, snapshots, copies)
    if volume.attachments and not force:
        raise Conflict(f"Volume {volume.id} is attached to a server. Detach it first.")
    if volume.state is VolumeState.EXTENDING and not force:
        raise Conflict(f"Volume {volume.id} is being extended. Delete it when that is done.")
    return replace(volume, state=VolumeState.DELETING, grows_to_gib=0, updated=now)


def snapshot_ending(snapshot: Snapshot, copies: int, now: int) -> Snapshot:
    """The record of a snapshot that is to go. Raises Conflict."""
    if copies:
        raise Conflict(f"Snapshot {snapshot.id} is being copied. Delete it when that is done.")
    return replace(snapshot, state=VolumeState.DELETING, updated=now)


def nameless(asked: RemoveVolume, pool: Pool, now: int) -> Volume:
    """The record of a volume that is to go, and of which nothing but its bytes was known here."""
    return Volume(
        id=asked.volume,
        project=asked.project,
        user="",
        store=pool.id,
        cluster=pool.cluster,
        number=asked.number,
        urn=asked.urn,
        spec=VolumeSpec(size_gib=0),
        labels=VolumeLabels(),
        state=VolumeState.DELETING,
        created=now,
        updated=now,
    )


def nameless_snapshot(asked: RemoveSnapshot, pool: Pool, now: int) -> Snapshot:
    """The record of a snapshot that is to go, and of which nothing but its bytes was known here."""
    return Snapshot(
        id=asked.snapshot,
        volume=asked.volume,
        project=asked.project,
        user="",
        store=pool.id,
        cluster=pool.cluster,
        urn=asked.urn,
        size_gib=0,
        labels=VolumeLabels(),
        state=VolumeState.DELETING,
        created=now,
        updated=now,
    )


def as_large_as_it_is(volume: Volume, size_gib: int, now: int) -> Volume:
    """The record with the size that its bytes have, if they are more than it says: it was lost that it has grown. One
    that is to grow had grown already if they are more than it is to be; what is half done isn't measured.
    """
    if volume.state is VolumeState.EXTENDING and size_gib > volume.grows_to_gib:
        return grown(replace(volume, grows_to_gib=size_gib), now)
    if volume.state is not VolumeState.AVAILABLE or size_gib <= volume.spec.size_gib:
        return volume
    return replace(volume, spec=replace(volume.spec, size_gib=size_gib), updated=now)


def ended(record: Volume | Snapshot, urn: str, now: int) -> VolumeRefusal:
    """That it is gone for good."""
    number = record.number if isinstance(record, Volume) else 1
    return VolumeRefusal(
        id=record.id, project=record.project, number=number, urn=urn, fault=DELETED, deleted=True, time=now
    )


def never(identifier: str, project: str, number: int, urn: str, now: int) -> VolumeRefusal:
    """That something which isn't here never comes."""
    return VolumeRefusal(id=identifier, project=project, number=number, urn=urn, fault=DELETED, deleted=True, time=now)


# --- labels ----------------------------------------------------------------------------------------------------------


def found(volume: Volume | None, identifier: str) -> Volume:
    """The record. Raises NotFound if there is none."""
    if volume is None:
        raise NotFound(f"Volume {identifier} could not be found.")
    return volume


def found_snapshot(snapshot: Snapshot | None, identifier: str) -> Snapshot:
    """The record. Raises NotFound if there is none."""
    if snapshot is None:
        raise NotFound(f"Snapshot {identifier} could not be found.")
    return snapshot


def reset(record: Volume | Snapshot, state: VolumeState, now: int) -> Volume | Snapshot:
    """The record in the state that an operator says it is in. Raises BadRequest, Conflict."""
    if state not in (VolumeState.AVAILABLE, VolumeState.ERROR):
        raise BadRequest("An operator can say that it is available, or in error; the other states are its pool's own.")
    if is_unfinished(record):
        raise Conflict(f"{record.id} is {record.state}, and is being worked on. Wait until that has ended.")
    return replace(record, state=state, fault=None, updated=now)
