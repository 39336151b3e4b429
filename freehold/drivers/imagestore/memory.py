"""Image bytes in memory, for tests and the simulation."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from io import BytesIO
from pathlib import Path

from freehold.drivers.imagestore.inspection import inspect
from freehold.drivers.imagestore.interface import Inspected, Written
from freehold.drivers.imagestore.names import absent, checked
from freehold.vocabulary.errors import NoRoom, TooLarge
from freehold.vocabulary.units import MIB


class MemoryImageStore:
    """See ImageStore. `room_bytes` is all that it can hold."""

    def __init__(self, room_bytes: int = 64 * MIB) -> None:
        self._room_bytes = room_bytes
        self._kept: dict[str, bytes] = {}

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """See ImageStore."""
        checked(image)
        others_bytes = sum(len(kept) for other, kept in self._kept.items() if other != image)
        arrived = bytearray()
        async for chunk in chunks:
            arrived += chunk
            if len(arrived) > size_bytes_max:
                raise TooLarge(f"there are more bytes than the {size_bytes_max} that are allowed here.")
            if len(arrived) + others_bytes > self._room_bytes:
                raise NoRoom("the image store is full. Delete images and try again.")
        self._kept[image] = bytes(arrived)
        md5 = hashlib.md5(arrived, usedforsecurity=False).hexdigest()
        return Written(size_bytes=len(arrived), md5=md5, sha256=hashlib.sha256(arrived).hexdigest())

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See ImageStore."""
        checked(image)
        return self._read(image, offset)

    async def _read(self, image: str, offset: int) -> AsyncGenerator[bytes, None]:
        kept = self._bytes(image)
        for start in range(offset, len(kept), MIB):
            yield kept[start : start + MIB]

    async def size_bytes(self, image: str) -> int:
        """See ImageStore."""
        return len(self._bytes(image))

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """See ImageStore."""
        return inspect(BytesIO(self._bytes(image)), disk_format)

    async def delete(self, image: str) -> None:
        """See ImageStore."""
        checked(image)
        self._kept.pop(image, None)

    async def images(self) -> frozenset[str]:
        """See ImageStore."""
        return frozenset(self._kept)

    def local_path(self, image: str) -> Path | None:
        """See ImageStore."""
        checked(image)
        return None

    def _bytes(self, image: str) -> bytes:
        checked(image)
        if image not in self._kept:
            raise absent(image)
        return self._kept[image]
