"""Bytes that arrive from a stream into a file: hashed on the way, bounded, durable, and all or nothing."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from freehold.drivers.imagestore.interface import Written
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import Broken, FreeholdError, NoRoom, TooLarge
from freehold.vocabulary.units import MIB

T = TypeVar("T")

BLOCK_BYTES: Final = MIB
"""Chunks are gathered up to this before a thread hashes and writes them: a hop for each would cost more."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Sums:
    """Sums up bytes that come by. `take` takes its time."""

    def __init__(self) -> None:
        self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        self._size_bytes = 0

    def take(self, block: bytes) -> None:
        """The next bytes."""
        self._md5.update(block)
        self._sha256.update(block)
        self._size_bytes += len(block)

    def written(self) -> Written:
        """Of all that came."""
        return Written(size_bytes=self._size_bytes, md5=self._md5.hexdigest(), sha256=self._sha256.hexdigest())


class _Part:
    """A file that nobody sees yet. Every method blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._sums = Sums()

    def take(self, block: bytes) -> None:
        self._file.write(block)
        self._sums.take(block)

    def written(self) -> Written:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._sums.written()

    def discard(self) -> None:
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


async def receive(part: Path, chunks: AsyncIterator[bytes], size_bytes_max: int, offload: Offload) -> Written:
    """Streams `chunks` into the file `part` and syncs it; the caller looks at it and then lets it be seen by `publish`.

    Raises TooLarge past `size_bytes_max`, NoRoom when the disk is full, and what `chunks` raises. Then `part` is gone.
    """
    arriving = await on_disk(part, offload, lambda: _Part(part))
    try:
        async for block in blocks(bounded(chunks, size_bytes_max)):
            await on_disk(part, offload, partial(arriving.take, block))
        return await on_disk(part, offload, arriving.written)
    except BaseException:
        await on_disk(part, offload, arriving.discard)
        raise


async def on_disk(path: Path, offload: Offload, work: Callable[[], T]) -> T:
    """Does blocking work on `path`. Raises NoRoom or Broken for what the disk says."""
    try:
        return await offload(work)
    except OSError as error:
        raise disk_error(path, error) from error


def publish(part: Path, final: Path) -> None:
    """Gives a whole file its name, durably, in place of what had that name. Blocks."""
    try:
        part.replace(final)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(final.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable. Blocks."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def disk_error(path: Path, error: OSError) -> FreeholdError:
    """What a failure of the disk under `path` means to others."""
    if error.errno in _FULL:
        return NoRoom(f"the disk of {path.parent} is full. Make room on it and try again.")
    return Broken(f"{path} can't be used: {error.strerror or error}. Look at the disk and its permissions.")


async def bounded(chunks: AsyncIterator[bytes], size_bytes_max: int) -> AsyncIterator[bytes]:
    """The same chunks. Raises TooLarge past `size_bytes_max`."""
    size_bytes = 0
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > size_bytes_max:
            raise TooLarge(f"there are more bytes than the {size_bytes_max} that are allowed here.")
        yield chunk


async def blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, of which none but the last has less than `BLOCK_BYTES`."""
    gathered: list[bytes] = []
    size_bytes = 0
    async for chunk in chunks:
        gathered.append(chunk)
        size_bytes += len(chunk)
        if size_bytes >= BLOCK_BYTES:
            yield b"".join(gathered)
            gathered, size_bytes = [], 0
    if gathered:
        yield b"".join(gathered)
