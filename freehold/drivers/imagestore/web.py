"""Images that somebody publishes on the web, read only: what they are is pinned in a list on this machine.

    [11111111-2222-4333-8444-555555555555]     TOML; the id of an image
    path = "debian-12.qcow2"                   under the URL of the place; or a whole http:// or https:// URL
    sha256 = "…"
    size_bytes = 341835776

Neither the server nor the way to it is trusted: what isn't what is pinned breaks before its last bytes are given out.
The list is read whenever it is needed, so it may be changed at any time.

Nothing is ever written there. A write of the very bytes that are pinned ends well all the same, since then they are
kept as the interface promises: that is how a record gets bytes that are published. Any other is refused.
"""

import hashlib
import re
import tomllib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin

import aiohttp
import msgspec

from freehold.drivers.imagestore.inspection import HEAD_BYTES, inspect_head
from freehold.drivers.imagestore.interface import Inspected, Written
from freehold.drivers.imagestore.names import absent, checked
from freehold.drivers.imagestore.over_http import read_on, session, trusted
from freehold.drivers.imagestore.receiving import Sums, blocks, bounded
from freehold.drivers.places.refusals import refused
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import BadRequest, Broken, Forbidden, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.place import IMAGES, Place, is_web_url

REDIRECTS_MAX: Final = 5

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Pinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an image's bytes are, and what they are."""

    path: str
    sha256: str
    size_bytes: int


class WebImageStore:
    """See ImageStore."""

    def __init__(self, place: Place, offload: Offload) -> None:
        """Blocks. Raises BadRequest, also for a list that isn't one."""
        port = f":{place.port}" if place.port else ""
        host = f"[{place.host}]" if ":" in place.host else place.host
        self._base = f"{place.kind}://{host}{port}/{quote(place.path)}".rstrip("/") + "/"
        self._list, self._trust = Path(place.options["list"]), trusted(place.options.get("ca", ""))
        self._shown, self._offload = place.shown(), offload
        _pinned(self._list, self._base)

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        """See ImageStore. Raises Forbidden for bytes that aren't published."""
        pinned = (await self._all()).get(checked(image))
        if pinned is None:
            raise Forbidden(
                f"images of this cloud are published at {self._shown}, and {image} isn't in their list: nothing can be "
                "written there. Ask who runs the cloud to publish it, or take an id that is."
            )
        sums, size_bytes = Sums(), 0
        async for block in blocks(bounded(chunks, size_bytes_max)):
            size_bytes += len(block)
            if size_bytes > pinned.size_bytes:
                raise self._others(image)
            await self._offload(partial(sums.take, block))
        written = sums.written()
        if written.sha256 != pinned.sha256:
            raise self._others(image)
        return written

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See ImageStore. What is before `offset` is read too, for the sum."""
        return self._read(checked(image), offset)

    async def _read(self, image: str, offset: int) -> AsyncGenerator[bytes, None]:
        pinned = await self._of(image)
        sha256, at, held = hashlib.sha256(), 0, b""
        async with session(self._trust) as http:
            opened = partial(self._opened, http, image, pinned)
            async with aclosing(read_on(image, opened, (0, pinned.size_bytes), self._refused)) as chunks:
                async for block in blocks(chunks):
                    await self._offload(partial(sha256.update, block))
                    if held:
                        yield held
                    # Whoever has the last bytes may take that for the end, so they wait for the sum.
                    held = block[max(0, offset - at) :]
                    at += len(block)
        if sha256.hexdigest() != pinned.sha256:
            raise Broken(f"what {self._shown} has as image {image} isn't what is pinned: its SHA-256 is another.")
        if held:
            yield held

    @asynccontextmanager
    async def _opened(
        self, http: aiohttp.ClientSession, image: str, pinned: Pinned, at: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Range": f"bytes={at}-"} if at else {}
        url = urljoin(self._base, pinned.path)
        async with http.get(url, headers=headers, max_redirects=REDIRECTS_MAX + 1) as answer:
            if answer.status in (404, 410):
                raise NotFound(f"{self._shown} has no bytes of image {image}, though the list says where they are.")
            if answer.status != (206 if at else 200):
                raise self._refused(RuntimeError(f"it answered {answer.status}"))
            if at and not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
                raise self._refused(RuntimeError("it gave other bytes than those that were asked for"))
            yield answer

    async def size_bytes(self, image: str) -> int:
        """See ImageStore. As it is pinned."""
        return (await self._of(checked(image))).size_bytes

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        """See ImageStore. Reads them all: a first part alone could be any."""
        size_bytes, head = await self.size_bytes(image), bytearray()
        async with aclosing(self._read(image, 0)) as chunks:
            async for chunk in chunks:
                head += chunk[: HEAD_BYTES - len(head)]
        return await self._offload(lambda: inspect_head(bytes(head), size_bytes, disk_format))

    async def delete(self, image: str) -> None:
        """See ImageStore. They are somebody else's, and stay."""
        checked(image)

    async def images(self) -> frozenset[str]:
        """See ImageStore. Those in the list; whether they are where it says shows when they are read."""
        return frozenset(await self._all())

    def local_path(self, image: str) -> Path | None:
        """See ImageStore. They are never a file of this machine."""
        checked(image)
        return None

    async def _of(self, image: str) -> Pinned:
        pinned = (await self._all()).get(image)
        if pinned is None:
            raise absent(image)
        return pinned

    async def _all(self) -> dict[str, Pinned]:
        try:
            return await self._offload(lambda: _pinned(self._list, self._base))
        except BadRequest as error:
            raise Unavailable(f"{IMAGES.the_place()} {self._shown} can't be used: {error.message}") from error

    def _others(self, image: str) -> Forbidden:
        return Forbidden(
            f"the bytes of image {image} are published at {self._shown}, and those that came are others: nothing can "
            "be written there. Send those that are published, or take another id."
        )

    def _refused(self, error: BaseException) -> FreeholdError:
        if isinstance(error, TimeoutError):
            error = TimeoutError("it didn't answer in time")
        return refused(IMAGES, self._shown, error)


def _pinned(path: Path, base: str) -> dict[str, Pinned]:
    """What a list has. Blocks. Raises BadRequest."""
    try:
        pinned = msgspec.convert(tomllib.loads(path.read_text()), type=dict[str, Pinned])
    except OSError as error:
        raise BadRequest(f"the list of images {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f"the list of images {path} isn't one: {error}") from error
    for image, one in pinned.items():
        if not is_uuid(image):
            raise BadRequest(f"the list of images {path} has {image!r} where an id is: a UUID in lower case")
        if not _SHA256.fullmatch(one.sha256) or one.size_bytes < 0 or not is_web_url(urljoin(base, one.path)):
            raise BadRequest(
                f"the list of images {path} isn't right about {image}: it has path, sha256 as 64 hexadecimal digits in "
                "lower case, and size_bytes"
            )
    return pinned
