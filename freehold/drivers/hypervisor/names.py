"""Checks of what is handed to a hypervisor, the same for every member.

The plans come from our own workers, but they carry ids and names that began as somebody's input, and they end as paths
and as arguments of a program.
"""

import re

from freehold.drivers.hypervisor.interface import ConfigDrive, Nic, Plan
from freehold.vocabulary.attachment import VOLUMES_OF_GUEST_MAX, RemoteDisk
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.ids import is_uuid

VCPUS_MAX = 255
RAM_MIB_MAX = 16 * 1024 * 1024
NICS_MAX = 64
DISKS_MAX = VOLUMES_OF_GUEST_MAX
DISK_GIB_MAX = 64 * 1024
DRIVE_BYTES_MAX = 64 * 1024 * 1024

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_TAP = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_EXPORT = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_FILE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_guest(guest: str) -> str:
    """The id itself. Raises BadRequest unless it is a UUID in canonical form."""
    if not is_uuid(guest):
        raise BadRequest("The id of a guest must be a UUID in lower case.")
    return guest


def check_plan(plan: Plan) -> None:
    """Raises BadRequest where the plan can't work on any machine."""
    check_guest(plan.guest)
    if not 1 <= plan.vcpus <= VCPUS_MAX:
        raise BadRequest(f"A guest has between 1 and {VCPUS_MAX} vCPUs, not {plan.vcpus}.")
    if not 1 <= plan.ram_mib <= RAM_MIB_MAX:
        raise BadRequest(f"A guest has between 1 and {RAM_MIB_MAX} MiB of memory, not {plan.ram_mib}.")
    if len(plan.nics) > NICS_MAX:
        raise BadRequest(f"A guest has at most {NICS_MAX} interfaces, not {len(plan.nics)}.")
    for nic in plan.nics:
        _check_nic(nic)
    if len(plan.disks) > DISKS_MAX:
        raise BadRequest(f"A guest has at most {DISKS_MAX} volumes, not {len(plan.disks)}.")
    for disk in plan.disks:
        check_disk(disk)


def check_disk(disk: RemoteDisk) -> None:
    """Raises BadRequest for a volume that no guest can be given."""
    for identifier in (disk.attachment, disk.volume):
        if not is_uuid(identifier):
            raise BadRequest("The ids of a volume and of its attachment must be UUIDs in lower case.")
    if not _EXPORT.fullmatch(disk.export):
        raise BadRequest(f"{disk.export!r} is not the name of an export.")
    if not (_HOST.fullmatch(disk.host) and _HOST.fullmatch(disk.server_name)) or not 1 <= disk.port <= 65535:
        raise BadRequest(f"Nobody can serve volumes at {disk.host!r}, port {disk.port}.")
    if not disk.credentials.startswith("/") or "," in disk.credentials:
        raise BadRequest("The credentials of a volume are in a folder that is named in full, without commas.")


def _check_nic(nic: Nic) -> None:
    if not _MAC.fullmatch(nic.mac) or int(nic.mac[:2], 16) & 1:
        raise BadRequest(f"{nic.mac!r} is not the MAC address of an interface.")
    if not _TAP.fullmatch(nic.tap) or nic.tap in (".", ".."):
        raise BadRequest(f"{nic.tap!r} is not the name of a tap.")
    if not 68 <= nic.mtu <= 65535:
        raise BadRequest(f"An MTU lies between 68 and 65535, not at {nic.mtu}.")


def check_disk_size(size_gib: int, image_bytes: int) -> None:
    """Raises BadRequest for a disk that is smaller than its image, or larger than any may be."""
    if size_gib > DISK_GIB_MAX:
        raise BadRequest(f"A disk has at most {DISK_GIB_MAX} GiB, not {size_gib}.")
    if size_gib < 1 or size_gib << 30 < image_bytes:
        need = max(1, -(-image_bytes >> 30))
        raise BadRequest(f"A disk of {size_gib} GiB is too small for its image, which needs {need} GiB.")


def check_drive(drive: ConfigDrive) -> None:
    """Raises BadRequest for paths that aren't plain relative ones, and for a drive that is too large."""
    check_guest(drive.guest)
    for path in drive.files:
        if not all(_FILE.fullmatch(part) and part not in (".", "..") for part in path.split("/")):
            raise BadRequest(f"{path!r} can't be the path of a file on a config drive.")
    if sum(len(text.reveal()) for text in drive.files.values()) > DRIVE_BYTES_MAX:
        raise BadRequest(f"A config drive holds at most {DRIVE_BYTES_MAX} bytes.")
