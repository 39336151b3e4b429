"""Images made by hand, field by field: honest ones, and ones that want something from the machine that opens them."""

import struct

from freehold.vocabulary.units import MIB

CLUSTER_BYTES = 1 << 16


def qcow2(
    *,
    version: int = 3,
    virtual_bytes: int = 8 * MIB,
    backing_offset: int = 0,
    backing_bytes: int = 0,
    encryption: int = 0,
    features: int = 0,
    cluster_bits: int = 16,
    l1_entries: int = 16,
    l1_offset: int = 3 * CLUSTER_BYTES,
) -> bytes:
    """An empty qcow2 image of four clusters (QEMU, docs/interop/qcow2.rst)."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        backing_offset,
        backing_bytes,
        cluster_bits,
        virtual_bytes,
        encryption,
        l1_entries,
        l1_offset,
        CLUSTER_BYTES,
        1,
        0,
        0,
    )
    header += struct.pack(">QQQII", features, 0, 0, 4, 104) if version >= 3 else b""
    refcount_table = struct.pack(">Q", 2 * CLUSTER_BYTES)
    refcounts = struct.pack(">4H", 1, 1, 1, 1)
    clusters = (header, refcount_table, refcounts, b"")
    return b"".join(cluster.ljust(CLUSTER_BYTES, b"\0") for cluster in clusters)


def qcow2_with_backing_file(path: bytes) -> bytes:
    """One that says: what I don't hold, read from `path`."""
    image = bytearray(qcow2(backing_offset=512, backing_bytes=len(path)))
    image[512 : 512 + len(path)] = path
    return bytes(image)


def qcow2_with_data_file(path: bytes) -> bytes:
    """One that says: my guest's bytes are in `path` (incompatible feature bit 2, and the extension that names it)."""
    image = bytearray(qcow2(features=1 << 2))
    extension = struct.pack(">II", 0x44415441, len(path)) + path
    image[104 : 104 + len(extension)] = extension
    return bytes(image)


def vmdk_descriptor(path: str, first: str = "# Disk DescriptorFile\n") -> bytes:
    """A text that QEMU takes for a disk whose blocks are in `path`."""
    text = f'{first}version=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "{path}" 0\n'
    return text.encode()


def mbr_disk(size_bytes: int = MIB) -> bytes:
    """A raw disk with one partition."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\x01\x01\0", 0x83, b"\xfe\xff\xff", 1, size_bytes // 512 - 1)
    sector = b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa"
    return sector.ljust(size_bytes, b"\0")
