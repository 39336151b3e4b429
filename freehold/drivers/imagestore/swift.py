"""Image bytes on OpenStack Swift: an object an image, named by its id.

    PREFIX/OWNER/IMAGE                          what fits into one segment; else a static large object's manifest
    PREFIX/OWNER-segments/IMAGE/WRITE/NUMBER    its segments, under a name of each write's own

The manifest is put last and shows them all at once. Segments that no manifest has any more, a write takes away that was
cut off or has replaced others. Those that a process left which was killed are an image's as much as its manifest is:
they are listed with it, and deleted with it. A write that goes on keeps its own.

What is read is of one version of the object, from its first byte to its last: where the connection breaks, the rest of
that version is asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4
from weakref import WeakValueDictionary

import aiohttp
import msgspec

from freehold.drivers.imagestore.inspection import HEAD_BYTES, inspect_head
from freehold.drivers.imagestore.interface import Inspected, Written
from freehold.drivers.imagestore.names import absent, checked
from freehold.drivers.imagestore.over_http import read_on
from freehold.drivers.imagestore.receiving import Sums, blocks, bounded
from freehold.drivers.imagestore.swift_account import Answer, SwiftAccount, SwiftSession
from freehold.drivers.imagestore.swift_segments import Segment, segments
from freehold.runtime.log import logger
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import Broken, FreeholdError
from freehold.vocabulary.ids import is_uuid

if TYPE_CHECKING:
    from pathlib import Path

LISTED_MAX: Final = 1000
"""Names in an answer."""
DELETES_AT_ONCE: Final = 8
TAKE_BACK_S_MAX: Final = 10.0
"""For a write that was cut off; what is left then, `delete` finds."""

_SEGMENTS: Final = "-segments/"
_BYTES: Final = {"Content-Type": "application/octet-stream"}

_log = logger("imagestore")


class _Listed(msgspec.Struct):
    """An object in a listing, or a folder of them."""

    name: str = ""
    subdir: str = ""


class SwiftImageStore:
    """See ImageStore. Nobody else writes under `owner`."""

    def __init__(self, account: SwiftAccount, prefix: str, owner: str, offload: Offload) -> None:
        self._account, self._offload = account, offload
        self._folder = f"{prefix}/{owner}" if prefix else owner
        self._writes: set[str] = set()
        self._written: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """See ImageStore."""
        checked(image)
        sums, write = Sums(), uuid4().hex
        self._writes.add(write)
        try:
            async with self._account.session() as swift:
                arriving = segments(blocks(bounded(chunks, size_bytes_max)), sums, self._offload)
                await self._write(swift, image, write, arriving)
        finally:
            self._writes.discard(write)
        self._written.add(image)
        return sums.written()

    async def _write(self, swift: SwiftSession, image: str, write: str, arriving: AsyncIterator[Segment]) -> None:
        first = await anext(arriving)
        if first.is_last:
            await self._publish(swift, image, write, first.blocks, {"Etag": first.md5})
            return
        begun: dict[str, Segment] = {}
        try:
            await self._send_all(swift, f"{self._segments(image)}{write}/", first, arriving, begun)
        except BaseException:
            await self._take_back(swift, begun)
            raise
        # From here on only the server knows whether they are shown: of what fails now, `delete` takes them away.
        manifest = [self._named(name, segment) for name, segment in begun.items()]
        body = [msgspec.json.encode(manifest)]
        await self._publish(swift, image, write, body, query={"multipart-manifest": "put"})

    async def _send_all(
        self,
        swift: SwiftSession,
        folder: str,
        first: Segment,
        arriving: AsyncIterator[Segment],
        begun: dict[str, Segment],
    ) -> None:
        """Sends segments, each while the next arrives. `begun`: of those that a server may have."""
        segment: Segment | None = first
        while segment is not None and segment.size_bytes:
            name = f"{folder}{segment.number:06}"
            begun[name] = segment
            sending = asyncio.create_task(self._send(swift, name, segment))
            try:
                segment = await anext(arriving, None)
                await sending
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, swift: SwiftSession, name: str, segment: Segment) -> None:
        await swift.ask("PUT", name, 201, headers=_BYTES | {"Etag": segment.md5}, body=segment.blocks)
        segment.blocks = []

    def _named(self, name: str, segment: Segment) -> dict[str, object]:
        """As a manifest has it; a server compares its own."""
        path = f"/{self._account.container}/{name}"
        return {"path": path, "etag": segment.md5, "size_bytes": segment.size_bytes}

    async def _take_back(self, swift: SwiftSession, begun: Iterable[str]) -> None:
        """By their names: of those that are still on their way a listing knows nothing, and a later delete wins."""
        try:
            async with asyncio.timeout(TAKE_BACK_S_MAX):
                await _delete_all(swift, begun)
        except (FreeholdError, TimeoutError) as error:
            _log.warning("segments of an upload that was cut off are left", error=str(error))

    async def _publish(
        self,
        swift: SwiftSession,
        image: str,
        write: str,
        body: list[bytes],
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> None:
        """Shows what a write has sent in place of what was there, whose segments then go. The write has ended then."""
        async with self._turn(image):
            await swift.ask("PUT", self._name(image), 201, query=query, headers=_BYTES | (headers or {}), body=body)
            try:
                await self._sweep(swift, image)
            except FreeholdError as error:
                _log.warning("segments of replaced bytes are left", image=image, error=error.message)
            self._writes.discard(write)

    async def _sweep(self, swift: SwiftSession, image: str) -> None:
        """Deletes an image's segments, but for those of writes that go on."""
        prefix = self._segments(image)
        names = [listed.name async for listed in self._listed(swift, prefix)]
        await _delete_all(
            swift, [name for name in names if name.removeprefix(prefix).partition("/")[0] not in self._writes]
        )

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See ImageStore."""
        return self._read(checked(image), offset)

    async def _read(self, image: str, offset: int) -> AsyncGenerator[bytes, None]:
        async with self._account.session() as swift:
            size_bytes, version = await self._head(swift, image)
            opened = partial(self._opened, swift, image, version)
            async with aclosing(read_on(image, opened, (offset, size_bytes), self._account.refused)) as chunks:
                async for chunk in chunks:
                    yield chunk

    @asynccontextmanager
    async def _opened(
        self, swift: SwiftSession, image: str, version: str, at: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with swift.opened(self._name(image), _from(version, at)) as answer:
            if answer.status in (404, 412):
                raise _replaced(image)
            if answer.status == 409:
                raise Broken(f"the image store has lost bytes of image {image}. Upload the image again.")
            if answer.status != 206:
                raise self._account.complaint(Answer(answer.status, answer.headers, b""))
            yield answer

    async def size_bytes(self, image: str) -> int:
        """See ImageStore."""
        checked(image)
        async with self._account.session() as swift:
            return (await self._head(swift, image))[0]

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """See ImageStore."""
        checked(image)
        async with self._account.session() as swift:
            size_bytes, version = await self._head(swift, image)
            head = b""
            if size_bytes:
                headers = _from(version, 0, HEAD_BYTES - 1)
                answer = await swift.ask("GET", self._name(image), 206, 404, 412, headers=headers)
                if answer.status != 206:
                    raise _replaced(image)
                head = answer.body
        return await self._offload(lambda: inspect_head(head, size_bytes, disk_format))

    async def delete(self, image: str) -> None:
        """See ImageStore."""
        checked(image)
        async with self._account.session() as swift, self._turn(image):
            await swift.ask("DELETE", self._name(image), 204, 404)
            self._written.discard(image)
            await self._sweep(swift, image)

    async def images(self) -> frozenset[str]:
        """See ImageStore. Listings may be late: what this process has written and isn't listed is looked for."""
        async with self._account.session() as swift:
            whole = {listed.name.rpartition("/")[2] async for listed in self._listed(swift, f"{self._folder}/", "/")}
            prefix = f"{self._folder}{_SEGMENTS}"
            half = {listed.subdir.removeprefix(prefix)[:-1] async for listed in self._listed(swift, prefix, "/")}
            late = [image for image in sorted(self._written - whole) if await self._is_there(swift, image)]
        return frozenset(name for name in {*whole, *half, *late} if is_uuid(name))

    def local_path(self, image: str) -> "Path | None":
        """See ImageStore. They are never a file of this machine."""
        checked(image)
        return None

    async def _is_there(self, swift: SwiftSession, image: str) -> bool:
        return (await swift.ask("HEAD", self._name(image), 200, 404)).status == 200

    async def _head(self, swift: SwiftSession, image: str) -> tuple[int, str]:
        """How many bytes there are, and which version of them: of a large object, a sum of its segments' sums.

        Raises NotFound.
        """
        answer = await swift.ask("HEAD", self._name(image), 200, 404)
        if answer.status == 404:
            raise absent(image)
        size, version = (answer.headers.get(name, "") for name in ("Content-Length", "Etag"))
        if not size.isdecimal() or not version:
            raise self._account.refused(RuntimeError("it doesn't say how long an object is, and of which version"))
        return int(size), version

    async def _listed(self, swift: SwiftSession, prefix: str, delimiter: str = "") -> AsyncIterator[_Listed]:
        """Objects under a prefix; up to a delimiter, if there is one, and then folders too."""
        query = {"format": "json", "prefix": prefix, "limit": str(LISTED_MAX), "marker": ""}
        if delimiter:
            query["delimiter"] = delimiter
        while True:
            answer = await swift.ask("GET", "", 200, query=query)
            page = self._page(answer.body)
            for listed in page:
                yield listed
            if not page:
                return
            query["marker"] = page[-1].name or page[-1].subdir

    def _page(self, body: bytes) -> list[_Listed]:
        try:
            return msgspec.json.decode(body, type=list[_Listed])
        except msgspec.DecodeError as error:
            raise self._account.refused(error) from error

    def _turn(self, image: str) -> asyncio.Lock:
        """Whoever shows or deletes an image's bytes, and then looks for what nobody needs, does it alone."""
        return self._turns.setdefault(image, asyncio.Lock())

    def _name(self, image: str) -> str:
        return f"{self._folder}/{image}"

    def _segments(self, image: str) -> str:
        return f"{self._folder}{_SEGMENTS}{image}/"


async def _delete_all(swift: SwiftSession, names: Iterable[str]) -> None:
    """Some at once. Goes on where one fails, and then raises that."""
    left = iter(names)

    async def some() -> None:
        for name in left:
            await swift.ask("DELETE", name, 204, 404)

    ended = await asyncio.gather(*(some() for _ in range(DELETES_AT_ONCE)), return_exceptions=True)
    failed = [error for error in ended if error is not None]
    if failed:
        raise failed[0]


def _from(version: str, first: int, last: int | str = "") -> dict[str, str]:
    version = version.strip('"')
    return {"If-Match": f'"{version}"', "Range": f"bytes={first}-{last}"}


def _replaced(image: str) -> Broken:
    return Broken(f"the bytes of image {image} were replaced or deleted while they were read.")
