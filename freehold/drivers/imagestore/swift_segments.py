"""Bytes that arrive, cut into segments of a size that can be held until a server has them; each is sent again where its
connection breaks.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final

from freehold.drivers.imagestore.receiving import Sums
from freehold.runtime.tasks import Offload
from freehold.vocabulary.units import MIB

SEGMENT_BYTES: Final = ((256, 16 * MIB), (512, 64 * MIB))
"""Segments before that number are so long. A manifest has at most 1000 (Swift's `max_manifest_segments`), and an
image's size isn't known before its end: the first 4 GiB go in small ones, and 64 GiB have 864.
"""
LAST_SEGMENT_BYTES: Final = 128 * MIB


@dataclass(slots=True)
class Segment:
    """A part of the bytes, in blocks. `is_last`: what came ended within it."""

    number: int
    blocks: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    md5: str = ""
    is_last: bool = False


def segment_bytes(number: int) -> int:
    """How long a segment is that isn't the last."""
    return next((size_bytes for before, size_bytes in SEGMENT_BYTES if number < before), LAST_SEGMENT_BYTES)


async def segments(arriving: AsyncIterator[bytes], sums: Sums, offload: Offload) -> AsyncIterator[Segment]:
    """What arrives in blocks, summed up as it passes. The last segment may be empty."""
    for number in count():
        segment, md5 = Segment(number), hashlib.md5(usedforsecurity=False)

        while segment.size_bytes < segment_bytes(number):
            block = await anext(arriving, None)
            if block is None:
                segment.is_last = True
                break
            await offload(partial(_take, block, sums, md5))
            segment.blocks.append(block)
            segment.size_bytes += len(block)
        segment.md5 = md5.hexdigest()
        yield segment
        if segment.is_last:
            return


def _take(block: bytes, sums: Sums, md5: "hashlib._Hash") -> None:
    sums.take(block)
    md5.update(block)
