"""Which images a host may open: honest ones pass, the others are refused with a sentence."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from freehold.drivers.imagestore.inspection import inspect
from freehold.vocabulary.errors import BadRequest, TooLarge
from freehold.vocabulary.image import UPLOAD_BYTES_MAX, VIRTUAL_BYTES_MAX
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.crafted import (
    mbr_disk,
    qcow2,
    qcow2_with_backing_file,
    qcow2_with_data_file,
    vmdk_descriptor,
)

TEXT_THEN_BINARY = b"words and words\n" * 64 + b"\xff" * 4096

HOSTILE = [
    ("no bytes", "raw", b"", "empty"),
    ("no bytes", "qcow2", b"", "empty"),
    ("backing file", "qcow2", qcow2_with_backing_file(b"/etc/shadow"), "backing file"),
    ("backing file, version 2", "qcow2", qcow2(version=2, backing_offset=512, backing_bytes=3), "backing file"),
    ("data file", "qcow2", qcow2_with_data_file(b"/etc/shadow"), "data_file"),
    ("feature of the future", "qcow2", qcow2(features=1 << 40), "Unknown QCOW2 features"),
    ("version of the future", "qcow2", qcow2(version=4), "Unsupported qcow2 version"),
    ("encrypted", "qcow2", qcow2(encryption=2), "encrypted"),
    ("marked corrupt", "qcow2", qcow2(features=1 << 1), "marked as corrupt"),
    ("clusters of 2 GiB", "qcow2", qcow2(cluster_bits=31), "clusters"),
    ("table too small for the size", "qcow2", qcow2(virtual_bytes=1 << 40, l1_entries=1), "can't hold"),
    ("table of 32 GiB", "qcow2", qcow2(l1_entries=0xFFFFFFFF), "can't hold"),
    ("header cut off early", "qcow2", qcow2()[:20], "cut off"),
    ("header cut off late", "qcow2", qcow2()[:500], "cut off"),
    ("table behind the end", "qcow2", qcow2()[: 2 * 65536], "cut off"),
    ("raw said to be qcow2", "qcow2", mbr_disk(), "not qcow2: they look like raw"),
    ("vmdk said to be qcow2", "qcow2", b"KDMV" + b"\0" * 4096, "not qcow2: they look like vmdk"),
    ("qcow2 said to be raw", "raw", qcow2(), "look like qcow2"),
    ("four bytes of qcow2 said to be raw", "raw", b"QFI\xfb", "look like qcow2"),
    ("vmdk descriptor said to be raw", "raw", vmdk_descriptor("/etc/shadow"), "look like vmdk"),
    ("padded to a disk", "raw", vmdk_descriptor("/etc/shadow").ljust(MIB, b"\0"), "look like vmdk"),
    ("padded with spaces", "raw", vmdk_descriptor("/etc/shadow").ljust(MIB, b" "), "look like vmdk"),
    ("without its first line", "raw", vmdk_descriptor("/etc/shadow", "\n# just words\n\n"), "look like vmdk"),
    ("text that turns into binary", "raw", TEXT_THEN_BINARY, "vmdk"),
    ("vmdk said to be raw", "raw", b"KDMV" + b"\0" * 4096, "look like vmdk"),
    ("vhd said to be raw", "raw", b"conectix" + b"\0" * 4096, "look like vhd"),
    ("vdi said to be raw", "raw", b"\0" * 64 + b"\x7f\x10\xda\xbe" + b"\0" * 4096, "look like vdi"),
    ("qed said to be raw", "raw", b"QED\0" + b"\0" * 4096, "look like qed"),
    ("luks said to be raw", "raw", b"LUKS\xba\xbe\0\1" + b"\0" * 4096, "look like luks"),
    ("vmdk as vmdk", "vmdk", vmdk_descriptor("/etc/shadow"), "can't be booted here"),
]


@pytest.mark.parametrize(
    ("what", "disk_format", "content", "says"), HOSTILE, ids=[f"{row[1]}: {row[0]}" for row in HOSTILE]
)
def test_a_hostile_or_broken_image_is_refused_with_a_reason(
    what: str, disk_format: str, content: bytes, says: str
) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        inspect(BytesIO(content), disk_format)
    assert refused.value.message.endswith(".")


HONEST = [
    ("zeros", "raw", b"\0" * MIB, MIB),
    ("partition table", "raw", mbr_disk(), MIB),
    ("boot sector without partitions", "raw", b"\0" * 510 + b"\x55\xaa", 512),
    ("CD", "raw", b"\0" * 32769 + b"CD001" + b"\0" * 8192, 32769 + 5 + 8192),
    ("one byte", "raw", b"x", 1),
    ("version 3", "qcow2", qcow2(), 8 * MIB),
    ("version 2", "qcow2", qcow2(version=2), 8 * MIB),
    ("empty disk", "qcow2", qcow2(virtual_bytes=0, l1_entries=0), 0),
]


@pytest.mark.parametrize(
    ("what", "disk_format", "content", "virtual_bytes"), HONEST, ids=[f"{r[1]}: {r[0]}" for r in HONEST]
)
def test_an_honest_image_passes_with_its_size(what: str, disk_format: str, content: bytes, virtual_bytes: int) -> None:
    found = inspect(BytesIO(content), disk_format)
    assert (found.disk_format, found.virtual_bytes) == (disk_format, virtual_bytes)


def test_a_disk_may_be_as_big_as_the_limit_and_no_bigger() -> None:
    assert (
        inspect(BytesIO(qcow2(virtual_bytes=VIRTUAL_BYTES_MAX, l1_entries=4096)), "qcow2").virtual_bytes
        == VIRTUAL_BYTES_MAX
    )
    with pytest.raises(TooLarge, match="at most"):
        inspect(BytesIO(qcow2(virtual_bytes=VIRTUAL_BYTES_MAX + 1, l1_entries=4097)), "qcow2")


def test_a_raw_file_over_the_upload_limit_is_refused(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(UPLOAD_BYTES_MAX + 1)
    with sparse.open("rb") as file, pytest.raises(TooLarge, match="at most"):
        inspect(file, "raw")


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img isn't installed")
@pytest.mark.parametrize(
    "options", ["compat=1.1", "compat=0.10", "cluster_size=512", "cluster_size=2M,lazy_refcounts=on"]
)
def test_what_qemu_makes_passes(tmp_path: Path, options: str) -> None:
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), "1G"], check=True)
    with path.open("rb") as file:
        assert inspect(file, "qcow2").virtual_bytes == 1 << 30
