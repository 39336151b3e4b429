"""The rules of volumes and snapshots in the ledger: what an admission becomes by what came. Pure.

    stage        by                                          becomes
    -            AdmitVolume                                 ADMITTED; a snapshot or a copy PLACED where its volume is
    ADMITTED     a scheduler's choice                        PLACED under the next number
    PLACED       the pool's refusal of that number           ADMITTED, with that pool refused; FAILED if no other helps
    PLACED       the owner's record says it is there         ACTIVE: the request has ended
    before       no pool has room, or its deadline           FAILED: the request has ended
    ACTIVE
    FAILED       the owner's record says it is there         ACTIVE: it came too late for its request, and is there
    any          DeleteVolume, no pool can have it           gone
    any          DeleteVolume otherwise                      carried to its owner until that has refused it for good
    any          the owner's refusal for good                gone
    ACTIVE       its owner's complete state lacks it         as it was, and sent there until it is shown
    none         an owner's record of it                     as the owner says: this ledger was put back to before it;
                                                             not shown, and removed, if it is known to have ended

The owner's refusal on its disk is the only evidence that ends a place; no clock does.
"""

from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, Fault, QuotaExceeded
from freehold.vocabulary.tenant import Resource
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.vocabulary.volume import SIZE_GIB_MAX, Snapshot, Volume, VolumeRefusal, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import AdmitVolume, VolumeAdmission, VolumePlace, VolumeStage
from freehold.vocabulary.word import Word

PLACES_MAX: Final = 5
"""Pools that are tried for a volume."""
DEADLINE_PASSED: Final = Fault(
    code="NoAnswer", message="It wasn't made before its deadline. Try again, or ask the operator."
)
_ENDED: Final = frozenset({VolumeStage.ACTIVE, VolumeStage.FAILED})
_ELSEWHERE: Final = frozenset({"NoRoom", "Unavailable", "NoAnswer", "Broken", "StoreFailed"})
"""Refusals after which another pool may do."""


class Stray(Word, frozen=True, kw_only=True):
    """A volume or a snapshot that a pool has and isn't to have."""

    place: VolumePlace
    project: str
    snapshot_of: str = ""


def wanted(admission: VolumeAdmission) -> dict[Resource, int]:
    """What it takes of its project's quota."""
    counted = Resource.SNAPSHOTS if admission.snapshot_of else Resource.VOLUMES
    return {counted: 1, Resource.GIGABYTES: admission.size_gib()}


def check_size(size_gib: int) -> None:
    """Raises BadRequest for what no volume has."""
    if not 0 < size_gib <= SIZE_GIB_MAX:
        raise BadRequest(f"A volume has 1 to {SIZE_GIB_MAX} GiB; {size_gib} were asked for.")


def admitted(
    asked: AdmitVolume, identifier: str, urn: str, place: VolumePlace | None, now: int, deadline_s: float
) -> VolumeAdmission:
    """The admission of what was asked. `place`: where it must lie."""
    return VolumeAdmission(
        id=identifier,
        project=asked.project,
        user=asked.user,
        urn=urn,
        created=now,
        expires=clock_time(unix_ms(now) + round(deadline_s * 1000)),
        spec=asked.spec,
        labels=asked.labels,
        snapshot_of=asked.snapshot_of,
        stage=VolumeStage.ADMITTED if place is None else VolumeStage.PLACED,
        place=place,
        updated=now,
    )


def is_unfinished(admission: VolumeAdmission) -> bool:
    """Whether somebody is still to be asked for something."""
    if admission.delete_urn or admission.lost or admission.grow_urn:
        return True
    return admission.stage not in _ENDED


def is_over(admission: VolumeAdmission, now: int) -> bool:
    """Whether the deadline of its making has passed."""
    return admission.stage not in _ENDED and unix_ms(admission.expires) <= unix_ms(now)


def placed(admission: VolumeAdmission, store: str, cluster: str, now: int) -> VolumeAdmission:
    """The admission with a pool to be sent to. Raises Conflict if it gets none now."""
    if admission.delete_urn or admission.stage is not VolumeStage.ADMITTED or admission.live_place() is not None:
        raise Conflict(f"{admission.id} needs no pool now.")
    number = 1 if admission.place is None else admission.place.number + 1
    place = VolumePlace(store=store, cluster=cluster, number=number)
    return replace(admission, place=place, stage=VolumeStage.PLACED, updated=now)


def seen(admission: VolumeAdmission, record: Volume | Snapshot, now: int) -> VolumeAdmission:
    """The admission after its owner's record was seen."""
    place = admission.live_place()
    if place is None or place.store != record.store:
        return admission
    after = replace(admission, lost=False) if admission.lost else admission
    after = _seen_grown(after, record)
    if record.state is not VolumeState.CREATING and after.stage is not VolumeStage.ACTIVE:
        after = replace(after, stage=VolumeStage.ACTIVE, fault=None)
    return after if after == admission else replace(after, updated=now)


def is_stray(admission: VolumeAdmission, record: Volume | Snapshot) -> bool:
    """Whether it was made by a pool that isn't, or isn't any more, the one to have it."""
    place = admission.place
    return place is None or place.store != record.store or admission.refused_number >= place.number


def _seen_grown(admission: VolumeAdmission, record: Volume | Snapshot) -> VolumeAdmission:
    """A snapshot is as large as its volume was, which may be more than whoever asked for it knew of."""
    spec, size_gib = admission.spec, record.spec.size_gib if isinstance(record, Volume) else record.size_gib
    if size_gib > spec.size_gib:
        admission = replace(admission, spec=replace(spec, size_gib=size_gib))
    if isinstance(record, Snapshot):
        return admission
    has_ended = record.spec.size_gib >= admission.grows_to_gib or record.refused_urn == admission.grow_urn
    if admission.grow_urn and has_ended:
        admission = replace(admission, grows_to_gib=0, grow_urn="")
    return admission


def growth_refused(admission: VolumeAdmission, record: Volume | Snapshot) -> Fault | None:
    """Why its owner didn't make it larger, as it was asked to; None if it did, or still may."""
    if isinstance(record, Snapshot) or not admission.grow_urn or record.refused_urn != admission.grow_urn:
        return None
    reason = "Its pool doesn't say why." if record.fault is None else record.fault.message
    return Conflict(f"It couldn't be made larger. {reason}").fault()


def refusal_seen(admission: VolumeAdmission, refusal: VolumeRefusal, store: str, now: int) -> VolumeAdmission | None:
    """The admission after a pool's refusal was seen; None when it has ended."""
    place = admission.live_place()
    if place is None or place.store != store or (refusal.number < place.number and not refusal.deleted):
        return admission
    if refusal.deleted:
        return None
    if admission.delete_urn:  # not for good yet: its owner is asked on
        return admission
    after = replace(
        admission,
        refused_number=place.number,
        refused=(*admission.refused, refusal.fault),
        refused_pools=(*admission.refused_pools, store),
        lost=False,
        updated=now,
    )
    fixed = bool(admission.snapshot_of) or refusal.fault.code not in _ELSEWHERE
    if admission.stage in _ENDED or fixed or len(after.refused) >= PLACES_MAX or _lies_with_another(admission.spec):
        return failed(after, refusal.fault, now)
    return replace(after, stage=VolumeStage.ADMITTED)


def _lies_with_another(spec: VolumeSpec) -> bool:
    """Whether it must lie in the pool of what it is a copy of."""
    return spec.source is not None and spec.source.kind != "image"


def stray(record: Volume | Snapshot) -> Stray:
    """What a pool has and isn't to have."""
    number, of = (record.number, "") if isinstance(record, Volume) else (1, record.volume)
    place = VolumePlace(store=record.store, cluster=record.cluster, number=number)
    return Stray(place=place, project=record.project, snapshot_of=of)


def adopted(record: Volume | Snapshot, now: int) -> VolumeAdmission:
    """The admission of something that its owner shows and this ledger has lost, as it was put back to an old copy."""
    if isinstance(record, Volume):
        spec, snapshot_of, number = record.spec, "", record.number
    else:
        spec, snapshot_of, number = VolumeSpec(size_gib=record.size_gib), record.volume, 1
    return VolumeAdmission(
        id=record.id,
        project=record.project,
        user=record.user,
        urn=record.urn,
        created=record.created,
        expires=now,
        spec=spec,
        labels=record.labels,
        snapshot_of=snapshot_of,
        stage=VolumeStage.ACTIVE if record.state is not VolumeState.CREATING else VolumeStage.PLACED,
        place=VolumePlace(store=record.store, cluster=record.cluster, number=number),
        updated=now,
    )


def failed(admission: VolumeAdmission, fault: Fault, now: int) -> VolumeAdmission:
    """The admission when its request has failed for good."""
    return replace(admission, stage=VolumeStage.FAILED, fault=fault, updated=now)


def lost(admission: VolumeAdmission, now: int) -> VolumeAdmission:
    """The admission when its owner has no record of it any more."""
    if admission.stage is not VolumeStage.ACTIVE or admission.lost or admission.live_place() is None:
        return admission
    return replace(admission, lost=True, updated=now)


def delete_asked(admission: VolumeAdmission, urn: str, now: int, *, force: bool) -> VolumeAdmission | None:
    """The admission with the intent to delete; None if no pool can have it. A second delete changes nothing."""
    if admission.live_place() is None:
        return None
    if admission.delete_urn and (admission.delete_forced or not force):
        return admission
    return replace(admission, delete_urn=admission.delete_urn or urn, delete_forced=force, updated=now)


def delete_taken_back(admission: VolumeAdmission, now: int) -> VolumeAdmission:
    """The admission when its owner doesn't let it go."""
    return replace(admission, delete_urn="", delete_forced=False, updated=now)


def grow_asked(admission: VolumeAdmission, size_gib: int, urn: str, now: int) -> VolumeAdmission:
    """The admission that is to be larger; the same if it is by this request. Raises BadRequest, or Conflict if it can't
    be now.
    """
    if admission.grow_urn == urn:
        return admission
    if admission.delete_urn or admission.lost or admission.stage is not VolumeStage.ACTIVE or admission.snapshot_of:
        raise Conflict(f"Volume {admission.id} can't be extended now: it must be available.")
    if size_gib <= admission.size_gib():
        raise BadRequest(f"Volume {admission.id} has {admission.size_gib()} GiB: it can only be made larger.")
    if admission.grow_urn:
        raise Conflict(f"Volume {admission.id} is being extended already.")
    return replace(admission, grows_to_gib=size_gib, grow_urn=urn, updated=now)


def grow_refused(admission: VolumeAdmission, urn: str, now: int) -> VolumeAdmission:
    """The admission when its owner doesn't make it larger."""
    return replace(admission, grows_to_gib=0, grow_urn="", updated=now) if admission.grow_urn == urn else admission


def too_large(size_gib: int, most_gib: int) -> QuotaExceeded:
    """That one volume may not have so much."""
    return QuotaExceeded(f"A volume of {size_gib} GiB was asked for; one may have {most_gib} GiB in this project.")
