"""Requests for volumes and snapshots: what the registrar admits, places and pursues."""

from enum import StrEnum

from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.volume import VolumeLabels, VolumeSpec
from freehold.vocabulary.word import Message, Word

MAKING_DEADLINE_S = 3600.0
"""How long a volume may be made before its request fails: an image of many GiB may have to be copied."""


class VolumeStage(StrEnum):
    """How far a volume or a snapshot is known to have come."""

    ADMITTED = "admitted"
    PLACED = "placed"
    ACTIVE = "active"
    FAILED = "failed"


class VolumePlace(Word, frozen=True, kw_only=True):
    """The pool that a volume is sent to: a volume worker's store, and its cluster. Each attempt has a higher number."""

    store: str
    cluster: str
    number: int


class VolumeAdmission(Word, frozen=True, kw_only=True):
    """A volume or a snapshot as the registrar knows it, from the 202 to its owner's refusal (kind ``volume_admission``,
    key its id). Quota is the sum over the admissions.

    The API shows a volume as its owner's record, and as its admission while there is none.
    """

    id: str
    project: str
    user: str
    urn: str
    created: int
    expires: int
    spec: VolumeSpec
    labels: VolumeLabels
    snapshot_of: str = ""
    """The volume that it is a snapshot of; empty: it is a volume."""
    stage: VolumeStage = VolumeStage.ADMITTED
    place: VolumePlace | None = None
    refused_number: int = 0
    """The highest number of a place that its pool has refused on disk."""
    refused: tuple[Fault, ...] = ()
    """Why each attempt was refused."""
    refused_pools: tuple[str, ...] = ()
    fault: Fault | None = None
    lost: bool = False
    """Its owner has no record of it any more: it is sent there again until it has."""
    grows_to_gib: int = 0
    """What it is to have, and counts as, until its owner says that it has it or can't (`grow_urn`)."""
    grow_urn: str = ""
    delete_urn: str = ""
    """Set when a delete has been taken: an intent that stays until its owner's refusal."""
    delete_forced: bool = False
    updated: int = 0

    def live_place(self) -> VolumePlace | None:
        """The newest place, if its pool hasn't refused it on disk: that may have, or may yet make, the volume."""
        return self.place if self.place is not None and self.refused_number < self.place.number else None

    def size_gib(self) -> int:
        """What it takes of its project's quota."""
        return max(self.spec.size_gib, self.grows_to_gib)


# --- asked by the API ------------------------------------------------------------------------------------------------


class AdmitVolume(Message, frozen=True, kw_only=True):
    """Asks for a volume. `image_owner`: the store of the image worker that has the image it is a copy of. Errors:
    QuotaExceeded, Conflict (`idempotency_key` used with another body, project closed). Answer: VolumeAdmitted.
    """

    project: str
    user: str
    spec: VolumeSpec
    labels: VolumeLabels
    snapshot_of: str = ""
    """Asks for a snapshot of that volume, which must be known here."""
    copy_of: str = ""
    """The volume that it is a copy of, or whose snapshot: it lies in the same pool."""
    image_owner: str = ""
    idempotency_key: str = ""
    body_digest: str = ""


class VolumeAdmitted(Word, frozen=True, kw_only=True):
    """The request is durable."""

    id: str
    urn: str
    store: str
    position: Position
    again: bool = False


class DeleteVolume(Message, frozen=True, kw_only=True):
    """Records that a volume or a snapshot is to go, and has its owner told until it is gone. Errors: NotFound,
    Conflict (its owner doesn't allow it now). `project` empty: an admin asks. Answer: Done with the URN as key.
    """

    id: str
    project: str
    urn: str
    """The request's own, by which one that comes twice is known."""
    force: bool = False


class ExtendVolume(Message, frozen=True, kw_only=True):
    """Asks for a larger volume. Errors: NotFound, QuotaExceeded, and what its owner refuses it for. Answer: Done with
    the URN as key.
    """

    id: str
    project: str
    urn: str
    size_gib: int


VolumeRequestQuestion = AdmitVolume | DeleteVolume | ExtendVolume


# --- asked of a scheduler --------------------------------------------------------------------------------------------


class ChoosePool(Message, frozen=True, kw_only=True):
    """Asks a scheduler for a pool with room. `refused`: those that have refused it. Errors: NoRoom, Unavailable.
    Answer: ChosenPool.
    """

    size_gib: int
    type_name: str = ""
    """The name of its type; empty: of none."""
    zone: str = ""
    refused: tuple[str, ...] = ()


class ChosenPool(Word, frozen=True, kw_only=True):
    """The one that fits best."""

    store: str
    cluster: str
