"""How bytes are cut."""

from freehold.drivers.imagestore.swift_segments import segment_bytes
from freehold.vocabulary.image import UPLOAD_BYTES_MAX
from freehold.vocabulary.units import GIB

MANIFEST_SEGMENTS_MAX = 1000
OBJECT_BYTES_MAX = 5 * GIB


def test_the_largest_image_fits_into_one_manifest() -> None:
    sizes = [segment_bytes(number) for number in range(MANIFEST_SEGMENTS_MAX)]
    assert sum(sizes) >= UPLOAD_BYTES_MAX
    assert max(sizes) <= OBJECT_BYTES_MAX
    assert sizes == sorted(sizes)
