"""The image store in memory: what is its own."""

from collections.abc import AsyncIterator

import pytest

from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.vocabulary.errors import NoRoom

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_its_room_is_bounded_and_comes_back_by_deleting() -> None:
    images = MemoryImageStore(room_bytes=10)
    await images.write(IMAGE, chunks(b"x" * 8), 10)
    with pytest.raises(NoRoom, match="full"):
        await images.write(OTHER, chunks(b"x" * 8), 10)
    await images.delete(IMAGE)
    await images.write(OTHER, chunks(b"x" * 8), 10)
