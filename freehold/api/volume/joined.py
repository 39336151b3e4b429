"""Volumes and snapshots as they are shown: the registrar's admission, joined with the owner's record if it has one.

    status      while
    creating    there is only an admission, or the registrar doesn't know yet that its owner has it
    available   its owner has it
    attaching   a server is to have it, and that server's host hasn't said yet that it knows
    in-use      a server has it
    detaching   the last server that has it is to lose it
    extending   it is to be larger, and its owner hasn't said that it is, or that it can't be
    deleting    it is to go
    error       its owner says so; or no owner would make it

Whose it is, the admission says: what a volume worker tells of another project's isn't shown.
"""

from dataclasses import dataclass
from typing import Final

from freehold.api.call import Call
from freehold.api.reading import find, not_found
from freehold.vocabulary.attachment import AttachmentState
from freehold.vocabulary.errors import Conflict, Fault, NotFound
from freehold.vocabulary.tenant import VolumeType
from freehold.vocabulary.volume import Snapshot, SourceKind, Volume, VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import VolumeAdmission, VolumeStage

IN_USE: Final = "in-use"


@dataclass(frozen=True, slots=True)
class Joined:
    """A volume, or a snapshot."""

    admission: VolumeAdmission
    record: Volume | Snapshot | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.admission.id

    @property
    def noun(self) -> str:
        """What it is called in sentences."""
        return "Snapshot" if self.admission.snapshot_of else "Volume"

    @property
    def spec(self) -> VolumeSpec:
        """What a volume is; of a snapshot, only what it was asked to be."""
        return self.record.spec if isinstance(self.record, Volume) else self.admission.spec

    @property
    def labels(self) -> VolumeLabels:
        """What it is called."""
        return self.admission.labels if self.record is None else self.record.labels

    @property
    def size_gib(self) -> int:
        """How large it is: the larger of what the two say, for one may have been heard before the other."""
        told = self.record.size_gib if isinstance(self.record, Snapshot) else self.spec.size_gib
        return max(told, self.admission.spec.size_gib)

    @property
    def status(self) -> str:
        """Cinder's word for where it stands."""
        admission, record = self.admission, self.record
        if admission.delete_urn:
            return VolumeState.DELETING
        if record is None:
            return VolumeState.ERROR if admission.stage is VolumeStage.FAILED else VolumeState.CREATING
        if record.state is not VolumeState.AVAILABLE:
            return record.state
        if admission.stage is not VolumeStage.ACTIVE:
            return VolumeState.CREATING
        return VolumeState.EXTENDING if admission.grow_urn else _in_use(record)

    @property
    def fault(self) -> Fault | None:
        """Why it is in error, or couldn't be extended."""
        return self.admission.fault if self.record is None else self.record.fault

    @property
    def zone(self) -> str:
        """The cluster that it is in, or is to be in; empty while that isn't known."""
        place = self.admission.live_place()
        return place.cluster if place is not None else self.admission.spec.zone

    @property
    def updated(self) -> int:
        """The clock time of its last change."""
        return max(self.admission.updated, 0 if self.record is None else self.record.updated)

    def source(self, kind: SourceKind) -> str | None:
        """The id of what of a kind it is a copy of."""
        source = self.admission.spec.source
        return source.id if source is not None and source.kind is kind else None


def _in_use(record: Volume | Snapshot) -> str:
    states = {one.state for one in record.attachments} if isinstance(record, Volume) else set()
    if not states:
        return VolumeState.AVAILABLE
    return states.pop().value if len(states) == 1 and AttachmentState.ATTACHED not in states else IN_USE


def joined(call: Call, admission: VolumeAdmission) -> Joined:
    """What its admission and the pool that it was sent to say of it."""
    place = admission.live_place()
    if place is None:
        return Joined(admission)
    view, identifier = call.cloud.view, admission.id
    record = view.get(Snapshot, identifier) if admission.snapshot_of else view.get(Volume, identifier)
    if record is None or (record.project, record.store) != (admission.project, place.store):
        return Joined(admission)
    return Joined(admission, record)


async def volume_of(call: Call) -> Joined:
    """The volume that the path names. Raises NotFound, also for another tenant's."""
    return await named(call, call.params["volume_id"], snapshot=False)


async def snapshot_of(call: Call) -> Joined:
    """The snapshot that the path names. Raises NotFound, also for another tenant's."""
    return await named(call, call.params["snapshot_id"], snapshot=True)


async def named(call: Call, identifier: str, *, snapshot: bool) -> Joined:
    """The volume or snapshot with an id. Raises NotFound, also for another tenant's."""
    admission = await find(call, VolumeAdmission, identifier)
    is_it = admission is not None and bool(admission.snapshot_of) is snapshot
    if admission is None or not is_it or not call.caller.owns(admission.project):
        raise NotFound(not_found("Snapshot" if snapshot else "Volume", identifier))
    return joined(call, admission)


def again(call: Call, item: Joined) -> Joined:
    """It, as the view has it now."""
    return joined(call, call.cloud.view.get(VolumeAdmission, item.id) or item.admission)


def held(item: Joined) -> Volume | Snapshot:
    """Its owner's record. Raises Conflict while there is none."""
    if item.record is None:
        raise Conflict(f"{item.noun} {item.id} is {item.status}: it can be changed when a pool has it.")
    return item.record


def type_of(call: Call, item: Joined) -> tuple[str | None, str | None]:
    """The id and the name of its volume type."""
    spec = item.admission.spec
    if not spec.type:
        return None, None
    kind = call.cloud.view.get(VolumeType, spec.type)
    return spec.type, spec.type_name if kind is None else kind.name
