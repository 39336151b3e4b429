"""A place for image bytes.

Promises of every member, checked by `tests/contract/test_imagestore.py`:

- `write` shows nothing until it has ended well: a reader sees the whole or nothing, and a write that failed or was cut
  off leaves what was there before.
- What was written is read back byte for byte, or the read raises; bytes are streamed, never held whole in memory.
- `delete` of what isn't there does nothing. A reader that has begun before a delete reads to the end or gets an error,
  never other bytes.
- Ids are UUID texts (BadRequest otherwise).
- A store that is only read takes a write of the very bytes that it has, and refuses any other (Forbidden). What is
  deleted there stays.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Protocol

from freehold.vocabulary.word import Word


class Written(Word, frozen=True, kw_only=True):
    """What was seen on the way."""

    size_bytes: int
    md5: str
    sha256: str


class Inspected(Word, frozen=True, kw_only=True):
    """What an image's bytes say of themselves, found safe."""

    disk_format: str
    virtual_bytes: int


class ImageStore(Protocol):
    """See the module."""

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """Keeps the bytes under `image`, replacing what was there.

        Raises TooLarge past `size_bytes_max`, NoRoom when the store is full, and what `chunks` raises.
        """

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` on. Raises NotFound."""

    async def size_bytes(self, image: str) -> int:
        """How many bytes there are. Raises NotFound."""

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """Looks into the bytes: they must be of `disk_format` and refer to nothing outside themselves (no backing file,
        no external data file, no vmdk extents). Raises BadRequest saying what is wrong, NotFound if there are none.
        """

    async def delete(self, image: str) -> None:
        """Deletes the bytes."""

    async def images(self) -> frozenset[str]:
        """Every image that has bytes here, also half-written ones from before a crash (which the caller deletes)."""

    def local_path(self, image: str) -> Path | None:
        """Where the bytes lie, if they are a file on this machine that may be read in place."""
