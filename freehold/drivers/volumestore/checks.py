"""What every pool of volumes checks, and how exports are named: the same for every member."""

from collections.abc import Iterable
from typing import Final

from freehold.drivers.volumestore.interface import VolumePlan
from freehold.vocabulary.attachment import Export
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.units import GIB

SIZE_BYTES_MAX: Final = 64 * 1024 * GIB
NUMBER_MAX: Final = 9_999_999
LIMIT_MAX: Final = 10**15
"""QEMU's own (THROTTLE_VALUE_MAX)."""
KEY_BYTES: Final = 32
IMAGE_FORMATS: Final = ("raw", "qcow2")


def check_id(identifier: str, what: str) -> str:
    """The id itself. Raises BadRequest unless it is a UUID in canonical form. `what` has it, such as ``a volume``."""
    if not is_uuid(identifier):
        raise BadRequest(f"The id of {what} must be a UUID in lower case.")
    return identifier


def check_volume(volume: str) -> str:
    """The id itself. Raises BadRequest unless it is a UUID."""
    return check_id(volume, "a volume")


def check_size(size_bytes: int) -> None:
    """Raises BadRequest for a size that no volume may have."""
    if size_bytes % GIB or not GIB <= size_bytes <= SIZE_BYTES_MAX:
        raise BadRequest(
            f"A volume has a multiple of {GIB} bytes, from 1 GiB to {SIZE_BYTES_MAX // GIB} GiB, not {size_bytes}."
        )


def check_plan(plan: VolumePlan) -> None:
    """Raises BadRequest for a volume that can't be made anywhere."""
    check_volume(plan.volume)
    check_size(plan.size_bytes)
    if plan.encryption:
        raise BadRequest("Volumes aren't encrypted at rest here. Ask for one without encryption.")


def check_image_format(image_format: str) -> None:
    """Raises BadRequest for a format that volumes aren't made from."""
    if image_format not in IMAGE_FORMATS:
        raise BadRequest(f"A volume can't be made from an image of format {image_format!r}, only from raw and qcow2.")


def check_content(plan: VolumePlan, content_bytes: int, what: str) -> None:
    """Raises BadRequest if what the volume is to begin with is larger than it."""
    if content_bytes > plan.size_bytes:
        need = -(-content_bytes // GIB)
        raise BadRequest(f"A volume of {plan.size_bytes // GIB} GiB is too small for {what}, which needs {need} GiB.")


def is_growth(volume: str, size_bytes: int, wanted_bytes: int) -> bool:
    """Whether there is anything to do to make a volume of `size_bytes` one of `wanted_bytes`. Raises BadRequest if it
    would have to shrink."""
    check_size(wanted_bytes)
    if wanted_bytes < size_bytes:
        raise BadRequest(f"Volume {volume} has {size_bytes // GIB} GiB; a volume can't be made smaller.")
    return wanted_bytes > size_bytes


def check_export(export: Export) -> None:
    """Raises BadRequest for an export that can't be anywhere."""
    check_volume(export.volume)
    check_id(export.reader, "a reader")
    check_number(export.number)
    for limit in (export.limits.iops_max, export.limits.bytes_per_s_max):
        if not 0 <= limit <= LIMIT_MAX:
            raise BadRequest(f"A limit lies between 1 and {LIMIT_MAX}, or is 0 for none, not {limit}.")


def check_number(number: int) -> None:
    """Raises BadRequest for a number that no attachment may have."""
    if not 1 <= number <= NUMBER_MAX:
        raise BadRequest(f"The number of an attachment lies between 1 and {NUMBER_MAX}, not at {number}.")


def is_exported(export: Export, exports: Iterable[Export]) -> bool:
    """Whether this very export is among those that the volume has. Raises Conflict if it can't be beside them."""
    for other in exports:
        if other == export:
            return True
        if other.number == export.number:
            raise Conflict(f"Attachment {export.number} of volume {export.volume} is another one and stays so.")
        if not (other.multi_attach and export.multi_attach):
            raise Conflict(
                f"Volume {export.volume} is exported under attachment {other.number}. Withdraw that first; only "
                "multi-attach volumes are exported twice."
            )
    return False


def check_unexported(volume: str, exports: Iterable[Export], verb: str) -> None:
    """Raises Conflict if there are any. `verb`: what isn't possible then, such as ``deleted``."""
    export = next(iter(exports), None)
    if export is not None:
        raise Conflict(f"Volume {volume} is exported under attachment {export.number} and can't be {verb} now.")


def check_uncopied(volume: str, copies: int, verb: str) -> None:
    """Raises Conflict while copies of the volume or its snapshots are being made."""
    if copies:
        raise Conflict(f"Volume {volume} is being copied and can't be {verb} until that is done.")


def check_unwritten(volume: str, exports: Iterable[Export]) -> None:
    """Raises Conflict if somebody may write on the volume now."""
    if any(export.writable for export in exports):
        raise Conflict(f"Volume {volume} is exported and may be written to. Copy a snapshot of it.")


def check_key(public_key: bytes) -> None:
    """Raises BadRequest unless it has the length of an Ed25519 key."""
    if len(public_key) != KEY_BYTES:
        raise BadRequest(f"The public key of a reader has {KEY_BYTES} bytes (Ed25519), not {len(public_key)}.")


def absent(volume: str) -> NotFound:
    """That there is no such volume."""
    return NotFound(f"There is no volume {volume} in this pool.")


def export_name(volume: str, number: int) -> str:
    """What NBD calls the export."""
    return f"{volume}.{number}"


def export_description(volume: str, number: int) -> str:
    """What NBD says of the export."""
    return f"volume {volume}, attachment {number}"
