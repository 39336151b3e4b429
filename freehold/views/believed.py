"""What an owner may say, record by record. Pure: a fallen machine can lie about itself only.

    a kind that another role owns                        refused: a host has no admissions, users or signing keys
    a host's record of another host, or another cluster  refused
    a guest that another host has                        refused
    a volume or a snapshot of another pool               refused
    a record under a key that isn't its own              refused: it would stand in the place of another
    a host with room that no machine has                 refused: the record before stands

Who reads applies this before anything else does. What a host may hold a record of by the registrar's deeds, and which
addresses its guests have by the network worker's leases, is seen where records are joined.
"""

from typing import Final

from freehold.vocabulary.codec import KINDS, OWNED_BY
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.guest import Action, Guest, Refusal
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.image import ImageMember, member_key
from freehold.vocabulary.volume import Pool, Snapshot, Volume, VolumeRefusal
from freehold.vocabulary.word import Word

VCPUS_MAX: Final = 1_000_000
RAM_MIB_MAX: Final = 1 << 30
"""One PiB."""
DISK_GIB_MAX: Final = 1 << 30
"""One EiB."""

OTHER_ROLE: Final = "another role's"
OTHER_HOST: Final = "another host's"
OTHER_POOL: Final = "another pool's"
OTHER_KEY: Final = "another's key"
NO_MACHINE: Final = "no machine's figures"
REASONS: Final = (OTHER_ROLE, OTHER_HOST, OTHER_POOL, OTHER_KEY, NO_MACHINE)


def refused_kind(owner: Owner, kind: str) -> str:
    """Why an owner may say nothing of this kind, not even that something is gone; empty if it may."""
    return OTHER_ROLE if kind in KINDS and OWNED_BY[kind] != owner.role else ""


def refused(owner: Owner, key: str, record: Word) -> str:
    """Why a record of a kind that the owner may speak of isn't taken; empty if it is."""
    match record:
        case Host():
            if (record.id, record.cluster) != (owner.store, owner.cluster):
                return OTHER_HOST
            if key != record.id:
                return OTHER_KEY
            return "" if _is_a_machine(record.total) and _is_a_machine(record.used) else NO_MACHINE
        case Guest():
            if (record.host, record.cluster) != (owner.store, owner.cluster):
                return OTHER_HOST
            return "" if key == record.id else OTHER_KEY
        case Action():
            return "" if key == f"{record.guest}/{record.urn}" else OTHER_KEY
        case ImageMember():
            return "" if key == member_key(record.image, record.project) else OTHER_KEY
        case Refusal():
            return "" if key == record.guest else OTHER_KEY
        case Pool() | Volume() | Snapshot() | VolumeRefusal():
            return _refused_of_pool(owner, key, record)
    return ""


def _refused_of_pool(owner: Owner, key: str, record: Pool | Volume | Snapshot | VolumeRefusal) -> str:
    if isinstance(record, Pool) and (record.id, record.cluster) != (owner.store, owner.cluster):
        return OTHER_POOL
    if isinstance(record, Volume | Snapshot) and (record.store, record.cluster) != (owner.store, owner.cluster):
        return OTHER_POOL
    return "" if key == record.id else OTHER_KEY


def is_under(deed: Deed, guest: Guest) -> bool:
    """Whether a guest's record is that of the host which the deed names."""
    return (guest.host, guest.deed) == (deed.host, deed.number)


def _is_a_machine(room: Capacity) -> bool:
    return 0 <= room.vcpus <= VCPUS_MAX and 0 <= room.ram_mib <= RAM_MIB_MAX and 0 <= room.disk_gib <= DISK_GIB_MAX
