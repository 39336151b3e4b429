"""What an image's bytes are, and whether a host may open them.

A disk image can name other files: a qcow2 header a backing file or an external data file, a vmdk descriptor its
extents. A host that followed such a name would give a tenant the host's own files, so bytes that refer to anything
outside themselves are refused. Two readers look: the format inspectors of oslo.utils (OpenStack's answer to
CVE-2024-32498 and its kin), and the checks here for what they let pass: sizes, lengths, encryption and headers too
short for them to recognise. Everything blocks; only headers are read.
"""

import struct
from io import SEEK_END, BytesIO
from typing import BinaryIO, Final

from oslo_utils.imageutils import format_inspector

from freehold.drivers.imagestore.interface import Inspected
from freehold.vocabulary.errors import BadRequest, TooLarge
from freehold.vocabulary.image import FORMATS, UPLOAD_BYTES_MAX, VIRTUAL_BYTES_MAX
from freehold.vocabulary.units import MIB

HEAD_BYTES: Final = MIB
"""Every format that is told apart here shows itself in the first 34 KiB; a vmdk descriptor may be up to 1 MiB."""

QCOW2_MAGIC: Final = b"QFI\xfb"
_QCOW2_HEADER: Final = struct.Struct(">4sIQIIQIIQQI")
"""magic, version, backing offset, backing length, cluster bits, virtual bytes, encryption, L1 entries, L1 offset,
refcount offset, refcount clusters (QEMU, docs/interop/qcow2.rst)."""
_QCOW2_CORRUPT: Final = 2
_CLUSTER_BITS: Final = range(9, 22)
_L1_BYTES_MAX: Final = 32 * MIB
"""QEMU's own limit (QCOW_MAX_L1_SIZE)."""

_MAGICS: Final = (
    (QCOW2_MAGIC, "qcow2"),
    (b"QED\0", "qed"),
    (b"KDMV", "vmdk"),
    (b"COWD", "vmdk"),
    (b"conectix", "vhd"),
    (b"vhdxfile", "vhdx"),
    (b"LUKS\xba\xbe", "luks"),
)
_DISK_FORMATS: Final = frozenset({"raw", "gpt", "iso"})
"""What an inspector may call the content of a raw disk: nothing it knows, a partition table (also MBR), a CD; the last
two together are a hybrid ISO. Their own safety checks are not run: nobody ever probes the format of a raw disk, and a
boot sector without partitions is honest."""


def inspect(file: BinaryIO, disk_format: str) -> Inspected:
    """Looks at the bytes of `file`, said to be of `disk_format`.

    Raises BadRequest saying what is wrong with them, TooLarge for a virtual or real size over the limits.
    """
    size_bytes = file.seek(0, SEEK_END)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if disk_format not in FORMATS:
        raise BadRequest(
            f"images of format {disk_format!r} can't be booted here. Convert it to one of: {', '.join(FORMATS)}."
        )
    if not head:
        raise BadRequest("the image is empty: no bytes arrived.")
    virtual_bytes = _qcow2(head, size_bytes) if disk_format == "qcow2" else _raw(head, size_bytes)
    if size_bytes > UPLOAD_BYTES_MAX:
        raise TooLarge(f"the image has {size_bytes} bytes; at most {UPLOAD_BYTES_MAX} are allowed.")
    if virtual_bytes > VIRTUAL_BYTES_MAX:
        raise TooLarge(f"the image's disk would have {virtual_bytes} bytes; at most {VIRTUAL_BYTES_MAX} are allowed.")
    return Inspected(disk_format=disk_format, virtual_bytes=virtual_bytes)


def inspect_head(head: bytes, size_bytes: int, disk_format: str) -> Inspected:
    """The same, of bytes that lie elsewhere, of which these are the first `HEAD_BYTES`."""
    return inspect(_Headed(head, size_bytes), disk_format)


class _Headed(BytesIO):
    """The first bytes of something, as a file that is as long as the whole: what looks into it reads no more."""

    def __init__(self, head: bytes, size_bytes: int) -> None:
        super().__init__(head)
        self._size_bytes = size_bytes

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """See io. From the end, it only says where the end is."""
        return self._size_bytes + offset if whence == SEEK_END else super().seek(offset, whence)


def _raw(head: bytes, size_bytes: int) -> int:
    """The virtual size of a raw disk. Raises BadRequest for what some program could take for another format."""
    found = _magic(head) or _descriptor(head) or ", ".join(sorted(_others(head)))
    if found:
        raise BadRequest(
            f"the bytes are not a raw disk: they look like {found}. Upload it as what it is, or convert it to raw."
        )
    return size_bytes


def _qcow2(head: bytes, size_bytes: int) -> int:
    """The virtual size of a qcow2 image that stands for itself alone."""
    found = _magic(head)
    if found != "qcow2":
        raise BadRequest(
            f"the bytes are not qcow2: they look like {found or 'raw'}. Upload it as what it is, or convert it."
        )
    if len(head) < max(_QCOW2_HEADER.size, 512):
        raise BadRequest("the qcow2 header is cut off: the image isn't whole. Upload all of it.")
    _check_by_inspectors(head)
    return _check_qcow2_header(head, size_bytes)


def _check_qcow2_header(head: bytes, size_bytes: int) -> int:
    fields = _QCOW2_HEADER.unpack_from(head)
    version, cluster_bits, virtual_bytes, encryption, l1_entries, l1_offset = fields[1], *fields[4:9]
    if encryption:
        raise BadRequest("the qcow2 image is encrypted, and hosts don't have its key. Decrypt it first.")
    if version >= 3 and head[79] & _QCOW2_CORRUPT:
        raise BadRequest(
            "the qcow2 image is marked as corrupt. Repair it with `qemu-img check -r all` and upload it again."
        )
    if cluster_bits not in _CLUSTER_BITS:
        raise BadRequest(f"the qcow2 header is damaged: clusters of 2^{cluster_bits} bytes aren't possible.")
    # One entry of L1 stands for an L2 table, which fills a cluster with 8-byte entries, each standing for a cluster.
    l1_needed = -(-virtual_bytes // (1 << (2 * cluster_bits - 3)))
    if l1_entries < l1_needed or l1_entries * 8 > _L1_BYTES_MAX:
        raise BadRequest(
            f"the qcow2 header is damaged: a table of {l1_entries} entries can't hold {virtual_bytes} bytes."
        )
    if l1_offset + l1_entries * 8 > size_bytes:
        raise BadRequest("the qcow2 image is cut off: its table lies behind its end. Upload all of it.")
    return int(virtual_bytes)


def _check_by_inspectors(head: bytes) -> None:
    found = _recognised(head)
    names = sorted(str(one) for one in found)
    if names != ["qcow2"]:
        raise BadRequest(f"the bytes look like several formats at once ({', '.join(names)}). Make the image anew.")
    try:
        found[0].safety_check()
    except format_inspector.SafetyCheckFailed as error:
        reasons = "; ".join(str(failure) for failure in error.failures.values())
        raise BadRequest(
            f"the qcow2 image can't be taken: {reasons}. Make one that stands alone (`qemu-img convert`)."
        ) from error
    except format_inspector.ImageFormatError as error:
        raise BadRequest(f"the qcow2 image can't be read: {error}.") from error


def _magic(head: bytes) -> str:
    return next((name for magic, name in _MAGICS if head.startswith(magic)), "")


def _descriptor(head: bytes) -> str:
    """The name vmdk for a text that QEMU takes for its descriptor: ``version=`` after blank lines and comments."""
    if b"# disk descriptorfile" in head[:4096].lower():
        return "vmdk"
    for line in head[:4096].splitlines():
        if line.strip() and not line.lstrip().startswith(b"#"):
            return "vmdk" if line.strip().lower().startswith(b"version=") else ""
    return ""


def _others(head: bytes) -> frozenset[str]:
    return frozenset(str(found) for found in _recognised(head)) - _DISK_FORMATS


def _recognised(head: bytes) -> list[format_inspector.FileInspector]:
    """The inspectors that recognise the image by its head; only the raw one if none does."""
    wrapper = format_inspector.InspectWrapper(BytesIO(head))
    while wrapper.read(64 * 1024):
        pass
    wrapper.close()
    try:
        return wrapper.formats or []
    except (AttributeError, LookupError, ValueError, struct.error) as error:
        # An inspector that gave up half-way can trip over what it hasn't read: vmdk's does over text that turns binary.
        raise BadRequest(
            "the bytes can't be told from those of a vmdk or another format. Convert the image anew."
        ) from error
