"""Volumes: disks that outlive guests; the pools they lie in, their snapshots, and what their owners are asked."""

from enum import StrEnum

import msgspec

from freehold.vocabulary.attachment import Attachment, AttachVolume, DetachVolume
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.word import Message, Word

SIZE_GIB_MAX = 16 * 1024
"""Of one volume."""


class VolumeState(StrEnum):
    """Where a volume or a snapshot stands: its bytes are made, there, added to, deleted, or not to be had."""

    CREATING = "creating"
    AVAILABLE = "available"
    EXTENDING = "extending"
    DELETING = "deleting"
    ERROR = "error"


class SourceKind(StrEnum):
    """What a volume's first bytes are a copy of."""

    IMAGE = "image"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"


class Source(Word, frozen=True, kw_only=True):
    """One of them."""

    kind: SourceKind
    id: str


class VolumeLabels(Word, frozen=True, kw_only=True):
    """What people call a volume or a snapshot, and note of it."""

    name: str = ""
    description: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class VolumeSpec(Word, frozen=True, kw_only=True):
    """What a volume is asked to be."""

    size_gib: int
    type: str = ""
    """The id of its volume type; empty: of none."""
    type_name: str = ""
    """The name that the type had: pools say by name which they take."""
    zone: str = ""
    """The cluster that it is to be in; empty: any."""
    source: Source | None = None
    bootable: bool = False
    multi_attach: bool = False
    """Several guests may have it at once."""
    image: dict[str, str] = msgspec.field(default_factory=dict)
    """What is noted of the image that it is a copy of."""


class Pool(Word, frozen=True, kw_only=True):
    """Where one volume worker keeps bytes (kind ``volume_pool``, key its store's id), written in the same transaction
    as each claim.

    `used_gib` is what has been promised, whatever of it has been written.
    """

    id: str
    name: str
    cluster: str
    driver: str
    total_gib: int
    used_gib: int = 0
    volumes: int = 0
    snapshots: int = 0
    types: tuple[str, ...] = ()
    """The names of the volume types that it takes; none: it takes any."""
    closed: bool = False
    """It takes no new volumes."""
    version: str = ""
    updated: int = 0

    def free_gib(self) -> int:
        """What can still be promised."""
        return self.total_gib - self.used_gib


class Volume(Word, frozen=True, kw_only=True):
    """A volume as its owner has it (kind ``volume``, key its id). `number`: the place under which it was sent there."""

    id: str
    project: str
    user: str
    store: str
    cluster: str
    number: int
    urn: str
    """The request that made it."""
    spec: VolumeSpec
    labels: VolumeLabels
    state: VolumeState = VolumeState.CREATING
    grows_to_gib: int = 0
    """While it is EXTENDING, by the request `grow_urn`."""
    grow_urn: str = ""
    fault: Fault | None = None
    """Why it is in ERROR, or why it wasn't extended."""
    attachments: tuple[Attachment, ...] = ()
    number_last: int = 0
    """The highest number that any of its attachments has had."""
    cut_off: tuple[int, ...] = ()
    """Numbers that it may still be served under, and must not be."""
    refused_urn: str = ""
    """The last request for it that couldn't be done; `fault` says why."""
    created: int = 0
    updated: int = 0


class Snapshot(Word, frozen=True, kw_only=True):
    """A volume as it was at one moment (kind ``snapshot``, key its id), in the pool of the volume."""

    id: str
    volume: str
    project: str
    user: str
    store: str
    cluster: str
    urn: str
    size_gib: int
    labels: VolumeLabels
    state: VolumeState = VolumeState.CREATING
    fault: Fault | None = None
    created: int = 0
    updated: int = 0


class VolumeRefusal(Word, frozen=True, kw_only=True):
    """An owner will not make a volume or a snapshot under this number nor any lower one (kind ``volume_refusal``, key
    its id), on its disk. Also written when it was deleted: a request that comes late can't bring it back.
    """

    id: str
    project: str
    number: int
    urn: str
    fault: Fault
    deleted: bool = False
    time: int = 0


# --- asked by the registrar ------------------------------------------------------------------------------------------


class MakeVolume(Message, frozen=True, kw_only=True):
    """Asks for a volume under a place that the registrar has recorded; asked again until its log shows the volume, or
    that it is refused. `offer`: the image that it is to be a copy of. Answer: Done, which promises that it is on disk
    what has become of it.
    """

    volume: str
    project: str
    user: str
    store: str
    number: int
    urn: str
    spec: VolumeSpec
    labels: VolumeLabels
    created: int
    offer: ImageOffer | None = None
    restore: bool = False
    """The volume was made before, and its owner's record of it was lost: nothing is made, what is there is taken up."""


class RemoveVolume(Message, frozen=True, kw_only=True):
    """Asks for the end of a volume, or that it is never made under `number`. Errors: Conflict (it has snapshots, or is
    in use). `force`: whatever its state. Answer: Done.
    """

    volume: str
    project: str
    number: int
    urn: str
    force: bool = False


class GrowVolume(Message, frozen=True, kw_only=True):
    """Asks for more room in a volume. Errors: NotFound, Conflict, NoRoom. Answer: Done."""

    volume: str
    size_gib: int
    urn: str


class TakeSnapshot(Message, frozen=True, kw_only=True):
    """Asks for a snapshot of a volume as it is now. Answer: Done, as for MakeVolume."""

    snapshot: str
    volume: str
    project: str
    user: str
    urn: str
    size_gib: int
    labels: VolumeLabels
    created: int
    restore: bool = False
    """See MakeVolume."""


class RemoveSnapshot(Message, frozen=True, kw_only=True):
    """Asks for the end of a snapshot, or that it is never taken. Errors: Conflict. Answer: Done."""

    snapshot: str
    volume: str
    project: str
    urn: str


PoolQuestion = MakeVolume | RemoveVolume | GrowVolume | TakeSnapshot | RemoveSnapshot


# --- asked by the API ------------------------------------------------------------------------------------------------


class LabelVolume(Message, frozen=True, kw_only=True):
    """Replaces a volume's labels, and whether it can be booted. Errors: NotFound. Answer: Done."""

    volume: str
    labels: VolumeLabels
    bootable: bool
    image: dict[str, str] | None = None
    """What is noted of the image that it is a copy of; None: that stays as it is."""


class LabelSnapshot(Message, frozen=True, kw_only=True):
    """Replaces a snapshot's labels. Errors: NotFound. Answer: Done."""

    snapshot: str
    labels: VolumeLabels


class ResetState(Message, frozen=True, kw_only=True):
    """An operator says that a volume or a snapshot in ERROR is AVAILABLE after all, or the other way round. Errors:
    NotFound, Conflict. Answer: Done.
    """

    id: str
    state: VolumeState


VolumeLabelling = LabelVolume | LabelSnapshot | ResetState
VolumeQuestion = VolumeLabelling | AttachVolume | DetachVolume
