"""What a disk needs to know of its base image: its virtual size, read from the file itself.

Images are inspected before they are stored; what would make a disk read other files of this machine is refused here
again.
"""

import struct
from pathlib import Path

from freehold.vocabulary.errors import BadRequest, Broken

_QCOW2 = struct.Struct(">4sIQIIQIIQQIIQQ")
"""magic, version, backing offset and size, cluster bits, virtual size, crypt method, l1 size and offset, refcount table
offset and clusters, snapshots and their offset, incompatible features (version 3)."""
_EXTERNAL_DATA = 1 << 2


def virtual_size(path: Path, image_format: str) -> int:
    """Bytes that a guest sees of the image. `image_format`: ``raw`` or ``qcow2``.

    Raises BadRequest for another format, a damaged header, and a qcow2 that refers to other files or is encrypted;
    Broken if the file can't be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_QCOW2.size)
        size = path.stat().st_size
    except OSError as error:
        raise Broken(f"The base image {path.name} can't be read: {error.strerror}.") from error
    if image_format == "raw":
        return size
    if image_format == "qcow2":
        return _qcow2_size(header)
    raise BadRequest(f"A root disk can't be made from an image of format {image_format!r}, only from raw and qcow2.")


def _qcow2_size(header: bytes) -> int:
    if len(header) < 72 or header[:4] != b"QFI\xfb":
        raise BadRequest("The base image is said to be qcow2, and isn't.")
    _, version, backing, _, _, size, crypt, *_, features = _QCOW2.unpack(header.ljust(_QCOW2.size, b"\0"))
    if version not in (2, 3):
        raise BadRequest(f"The base image is qcow2 of version {version}; 2 and 3 are known.")
    if backing or (version == 3 and features & _EXTERNAL_DATA):
        raise BadRequest("The base image refers to another file and can't be used.")
    if crypt:
        raise BadRequest("The base image is encrypted and can't be used.")
    return int(size)
