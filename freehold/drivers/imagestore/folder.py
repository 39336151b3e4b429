"""Image bytes as files in a local folder: one file an image, named by its id."""

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

from freehold.drivers.imagestore.inspection import inspect
from freehold.drivers.imagestore.interface import Inspected, Written
from freehold.drivers.imagestore.names import absent, checked
from freehold.drivers.imagestore.receiving import BLOCK_BYTES, on_disk, publish, receive
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.ids import is_uuid

PART = ".part"


class FolderImageStore:
    """See ImageStore. A file that is being written is called ``<id>.<n>.part``.

    `offload` should have a few threads of its own: what runs there is long.
    """

    def __init__(self, folder: Path, offload: Offload) -> None:
        self._folder, self._offload = folder, offload
        self._counter = count()
        self._arriving: set[Path] = set()

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """See ImageStore."""
        final = self._path(image)
        part = self._folder / f"{image}.{next(self._counter)}{PART}"
        self._arriving.add(part)
        try:
            await on_disk(final, self._offload, lambda: self._folder.mkdir(parents=True, exist_ok=True, mode=0o700))
            written = await receive(part, chunks, size_bytes_max, self._offload)
            await on_disk(final, self._offload, lambda: publish(part, final))
        finally:
            self._arriving.discard(part)
        return written

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See ImageStore."""
        return self._read(image, self._path(image), offset)

    async def _read(self, image: str, path: Path, offset: int) -> AsyncGenerator[bytes, None]:
        file, left = await on_disk(path, self._offload, lambda: _open(image, path, offset))
        with file:
            while left > 0:
                block = await on_disk(path, self._offload, partial(file.read, min(BLOCK_BYTES, left)))
                if not block:
                    raise Broken(f"the file of image {image} became shorter while it was read. Upload the image again.")
                left -= len(block)
                yield block

    async def size_bytes(self, image: str) -> int:
        """See ImageStore."""
        path = self._path(image)

        def look() -> int:
            file, size_bytes = _open(image, path, 0)
            file.close()
            return size_bytes

        return await on_disk(path, self._offload, look)

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """See ImageStore."""
        path = self._path(image)

        def look() -> Inspected:
            file, _ = _open(image, path, 0)
            with file:
                return inspect(file, disk_format)

        return await on_disk(path, self._offload, look)

    async def delete(self, image: str) -> None:
        """See ImageStore."""
        path = self._path(image)

        def unlink() -> None:
            for part in set(self._folder.glob(f"{image}.*{PART}")) - self._arriving:
                part.unlink(missing_ok=True)
            path.unlink(missing_ok=True)

        await on_disk(path, self._offload, unlink)

    async def images(self) -> frozenset[str]:
        """See ImageStore."""

        def names() -> frozenset[str]:
            stems = (path.name.partition(".")[0] for path in self._folder.iterdir()) if self._folder.is_dir() else ()
            return frozenset(stem for stem in stems if is_uuid(stem))

        return await on_disk(self._folder, self._offload, names)

    def local_path(self, image: str) -> Path | None:
        """See ImageStore."""
        path = self._path(image)
        return path if path.is_file() else None

    def _path(self, image: str) -> Path:
        return self._folder / checked(image)


def _open(image: str, path: Path, offset: int) -> tuple[BinaryIO, int]:
    """The file at `offset`, and how many bytes are left. Blocks."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise absent(image) from error
    size_bytes = file.seek(0, 2)
    file.seek(offset)
    return file, size_bytes - offset
