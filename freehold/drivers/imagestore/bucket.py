"""Image bytes in a bucket: S3 and what speaks like it, Google's and Azure's; an object an image, named by its id.

Bytes are sent on in parts while they arrive, and the bucket shows them when all are there. What is left in it of a
write that was cut off, its server keeps hidden: a rule of the bucket's own is to end unfinished uploads.

What is read is of one version of the object, from its first byte to its last: where the connection breaks, the rest of
that version is asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from freehold.drivers.imagestore.inspection import HEAD_BYTES, inspect_head
from freehold.drivers.imagestore.interface import Inspected, Written
from freehold.drivers.imagestore.names import absent, checked
from freehold.drivers.imagestore.receiving import BLOCK_BYTES, Sums, blocks, bounded
from freehold.drivers.places.buckets import Said
from freehold.drivers.places.refusals import refused
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import Broken, Unavailable
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.place import IMAGES
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from obstore.store import ObjectStore

T = TypeVar("T")

PART_BYTES: Final = 8 * MIB
"""S3 takes 10,000 parts of an object: enough for the largest image."""
PARTS_AT_ONCE: Final = 4
"""Parts on their way at once, which are in memory."""
REQUEST_S_MAX: Final = 120.0
"""For a request without an answer of many bytes; sending a part is one."""
READ_S_MAX: Final = 6 * 3600.0
"""For an answer with all bytes of an image: `SILENCE_S_MAX` ends what stands still."""
SILENCE_S_MAX: Final = 30.0
TRIES_MAX: Final = 4
"""To read on after a connection broke, without a byte between."""


class BucketImageStore:
    """See ImageStore. `reader` and `writer` are the same bucket; an answer of `reader` may take hours."""

    def __init__(
        self,
        writer: "ObjectStore",
        reader: "ObjectStore",
        folder: str,
        shown: str,
        secrets: tuple[Secret, ...],
        offload: Offload,
    ) -> None:
        import obstore

        self._api, self._writer, self._reader, self._folder = obstore, writer, reader, folder
        self._shown, self._secrets, self._offload = shown, secrets, offload

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """See ImageStore."""
        path, arriving = self._path(image), _Arriving(bounded(chunks, size_bytes_max), self._offload)
        sent = self._api.put_async(
            self._writer, path, arriving, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        try:
            await sent
        except self._errors as error:
            if arriving.failed is not None:  # obstore says it in words of its own
                raise arriving.failed from None
            raise self._refused(error) from None
        return arriving.sums.written()

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See ImageStore."""
        return self._read(image, self._path(image), offset)

    async def _read(self, image: str, path: str, offset: int) -> AsyncGenerator[bytes, None]:
        size_bytes, version = await self._head(image, path)
        at, tries = offset, 0
        while at < size_bytes:
            before = at
            try:
                options: Any = {"range": {"offset": at}, "if_match": version}
                answer = await self._in_time(self._api.get_async(self._reader, path, options=options))
                stream = answer.stream(min_chunk_size=BLOCK_BYTES).__aiter__()
                while (chunk := await self._in_time(anext(stream, None))) is not None:
                    at += len(chunk)
                    yield bytes(chunk)
            except (FileNotFoundError, self._api.exceptions.PreconditionError):
                raise Broken(f"the bytes of image {image} were replaced or deleted while they were read.") from None
            except self._errors as error:
                tries = 1 if at > before else tries + 1
                if tries == TRIES_MAX:
                    raise self._refused(error) from None
                continue
            if at < size_bytes:
                raise Broken(f"image {image} became shorter while it was read. Upload the image again.")

    async def size_bytes(self, image: str) -> int:
        """See ImageStore."""
        return (await self._head(image, self._path(image)))[0]

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """See ImageStore."""
        path = self._path(image)
        size_bytes, version = await self._head(image, path)
        head = b""
        if size_bytes:
            options: Any = {"range": (0, min(HEAD_BYTES, size_bytes)), "if_match": version}
            head = bytes(await self._do(self._bytes(path, options)))
        return await self._offload(lambda: inspect_head(head, size_bytes, disk_format))

    async def delete(self, image: str) -> None:
        """See ImageStore."""
        try:
            await self._do(self._api.delete_async(self._writer, self._path(image)))
        except FileNotFoundError:
            return

    async def images(self) -> frozenset[str]:
        """See ImageStore."""
        names = [meta["path"].rpartition("/")[2] for meta in await self._do(self._list())]
        return frozenset(name for name in names if is_uuid(name))

    def local_path(self, image: str) -> "Path | None":
        """See ImageStore. They are never a file of this machine."""
        self._path(image)
        return None

    async def _list(self) -> list[Any]:
        return [meta async for chunk in self._api.list(self._writer, self._folder) for meta in chunk]

    async def _bytes(self, path: str, options: Any) -> Any:
        return await (await self._api.get_async(self._writer, path, options=options)).bytes_async()

    async def _head(self, image: str, path: str) -> tuple[int, str | None]:
        """How many bytes there are, and which version of them. Raises NotFound."""
        try:
            meta = await self._do(self._api.head_async(self._writer, path))
        except FileNotFoundError:
            raise absent(image) from None
        return meta["size"], meta["e_tag"]

    def _path(self, image: str) -> str:
        return f"{self._folder}/{checked(image)}"

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._api.exceptions.BaseError, OSError, ValueError, TimeoutError)

    async def _in_time(self, call: Awaitable[T]) -> T:
        async with asyncio.timeout(SILENCE_S_MAX):
            return await call

    async def _do(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                return await call
        except FileNotFoundError:
            raise
        except self._errors as error:
            raise self._refused(error) from None  # its traceback has the request

    def _refused(self, error: BaseException) -> Unavailable:
        if isinstance(error, TimeoutError):
            error = TimeoutError("it didn't answer in time")
        return refused(IMAGES, self._shown, Said(error), *self._secrets)


class _Arriving:
    """Blocks of bytes on their way to the bucket, summed up as they pass. `failed`: why no more came."""

    def __init__(self, chunks: AsyncIterator[bytes], offload: Offload) -> None:
        self._blocks, self._offload = blocks(chunks), offload
        self.sums = Sums()
        self.failed: BaseException | None = None

    def __aiter__(self) -> "_Arriving":
        return self

    async def __anext__(self) -> bytes:
        try:
            block = await anext(self._blocks)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.failed = error
            raise
        await self._offload(lambda: self.sums.take(block))
        return block
