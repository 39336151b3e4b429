"""What is read of a base image before a disk is laid on it."""

import struct
from pathlib import Path

import pytest

from freehold.drivers.hypervisor.base_image import virtual_size
from freehold.vocabulary.errors import BadRequest, Broken


def qcow2(*, backing: int = 0, crypt: int = 0, features: int = 0, version: int = 3, size: int = 5 << 30) -> bytes:
    fields = (b"QFI\xfb", version, backing, 0, 16, size, crypt, 1, 0x30000, 0x10000, 1, 0, 0, features)
    return struct.pack(">4sIQIIQIIQQIIQQ", *fields) + bytes(24)


def test_sizes(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(qcow2())
    assert virtual_size(image, "qcow2") == 5 << 30
    assert virtual_size(image, "raw") == len(qcow2())  # a raw image is raw whatever it begins with


@pytest.mark.parametrize(
    "content",
    [b"", b"QFI\xfb", b"x" * 200, qcow2(backing=4096), qcow2(crypt=1), qcow2(features=4), qcow2(version=9)],
    ids=["empty", "short", "no magic", "backing file", "encrypted", "external data", "version"],
)
def test_a_qcow2_that_must_not_be_used(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(content)
    with pytest.raises(BadRequest):
        virtual_size(image, "qcow2")


def test_an_image_that_is_not_there_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(Broken):
        virtual_size(tmp_path / "image", "raw")
