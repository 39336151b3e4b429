"""Images streamed over HTTP from the image worker's bytes door into a folder of the host.

Three kinds of files: ``<id>-<sha256>`` is a verified base, the same with ``.stamp`` is what it looked like when it was
last verified, and with ``.part`` it is one that is arriving.
"""

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from freehold.drivers.imagestore.interface import Written
from freehold.drivers.imagestore.receiving import BLOCK_BYTES, on_disk, publish, receive
from freehold.runtime.log import logger
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import BadRequest, Broken, NoRoom, NotFound, TooLarge, Unavailable
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.word import Word

CONNECT_S_MAX: Final = 10.0
SILENCE_S_MAX: Final = 60.0
"""How long a server may send nothing before the download is given up."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"(?P<image>[0-9a-f-]{36})-[0-9a-f]{64}(\.part|\.stamp)?")

_log = logger("imagefetch")


class _Stamp(Word, frozen=True, kw_only=True):
    """What a file looked like when its bytes were last found right."""

    size_bytes: int
    changed_ns: int
    inode: int


class HttpImageCache:
    """See ImageCache. `offload` should have a few threads of its own: hashing a big image is long."""

    def __init__(self, folder: Path, offload: Offload) -> None:
        self._folder, self._offload = folder, offload
        self._fetching: dict[str, asyncio.Task[Path]] = {}
        self._evicting = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, offer: ImageOffer) -> Path:
        """See ImageCache."""
        name = _name(offer)
        task = self._fetching.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._ensure(offer, self._folder / name), name=f"fetch {name}"
            )
            self._fetching[name] = task
            task.add_done_callback(lambda ended: self._ended(name, ended))
        # Whoever gives up waiting must not end the download for the others.
        return await asyncio.shield(task)

    def _ended(self, name: str, task: asyncio.Task[Path]) -> None:
        del self._fetching[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("image not fetched", image=name[:36], error=str(error))

    async def _ensure(self, offer: ImageOffer, path: Path) -> Path:
        async with self._evicting:
            pass  # what is being evicted at this moment isn't there any more when we look
        await on_disk(path, self._offload, lambda: self._folder.mkdir(parents=True, exist_ok=True, mode=0o755))
        if not await on_disk(path, self._offload, lambda: _is_right(path, offer)):
            await self._download(offer, path)
        return path

    async def _download(self, offer: ImageOffer, path: Path) -> None:
        await on_disk(path, self._offload, lambda: _check_room(self._folder, offer))
        part = path.with_name(path.name + ".part")
        try:
            written = await receive(part, self._bytes(offer), offer.size_bytes, self._offload)
        except TooLarge as error:
            raise Broken(f"the server of image {offer.id} sent more than its {offer.size_bytes} bytes.") from error
        await on_disk(path, self._offload, lambda: _accept(part, path, offer, written))
        _log.info("image fetched", image=offer.id, size_bytes=written.size_bytes)

    async def _bytes(self, offer: ImageOffer) -> AsyncIterator[bytes]:
        """What the server sends. The key goes to the offered URL only: a redirect isn't followed."""
        headers = {"Authorization": f"Bearer {offer.key.reveal()}", "Accept-Encoding": "identity"}
        try:
            async with self._http().get(offer.url, headers=headers, allow_redirects=False) as answer:
                _check_answer(offer, answer.status)
                async for chunk in answer.content.iter_chunked(BLOCK_BYTES):
                    yield chunk
        except (aiohttp.InvalidURL, ValueError) as error:
            raise BadRequest(f"the offer of image {offer.id} has no URL that can be fetched.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the server of image {offer.id} can't be reached: {reason}. Try again.") from error

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX, sock_read=SILENCE_S_MAX)
            self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self._session

    async def evict(self, keep: frozenset[str]) -> None:
        """See ImageCache."""

        def remove(fetching: frozenset[str]) -> None:
            if not self._folder.is_dir():
                return
            for path in self._folder.iterdir():
                if _evictable(path.name, keep, fetching):
                    path.unlink(missing_ok=True)

        async with self._evicting:
            await on_disk(self._folder, self._offload, partial(remove, frozenset(self._fetching)))

    async def close(self) -> None:
        """See ImageCache."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def _name(offer: ImageOffer) -> str:
    if not is_uuid(offer.id) or _SHA256.fullmatch(offer.checksum_sha256) is None:
        raise BadRequest(f"the offer of image {offer.id!r} is not one: its id or its SHA-256 isn't well-formed.")
    return f"{offer.id}-{offer.checksum_sha256}"


def _evictable(name: str, keep: frozenset[str], fetching: frozenset[str]) -> bool:
    """Whether a file is ours, isn't being fetched, and is half a file or of an image that nobody keeps."""
    found = _NAME.fullmatch(name)
    if found is None or name.partition(".")[0] in fetching:
        return False
    return name.endswith(".part") or found["image"] not in keep


def _check_answer(offer: ImageOffer, status: int) -> None:
    match status:
        case 200:
            return
        case 401 | 403:
            raise Unavailable(f"the key for image {offer.id} has expired. A new offer brings a new one.")
        case 404 | 410:
            raise NotFound(f"image {offer.id} is gone from its server.")
        case _:
            raise Unavailable(f"the server of image {offer.id} answered {status}. Try again.")


def _check_room(folder: Path, offer: ImageOffer) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < offer.size_bytes:
        raise NoRoom(f"image {offer.id} has {offer.size_bytes} bytes; the host's cache has room for {free_bytes}.")


def _accept(part: Path, path: Path, offer: ImageOffer, written: Written) -> None:
    """Makes a file that has arrived the base, if it is the right one; else it is gone. Blocks."""
    if (written.size_bytes, written.sha256) != (offer.size_bytes, offer.checksum_sha256):
        part.unlink(missing_ok=True)
        raise Broken(
            f"what arrived of image {offer.id} isn't what was offered ({written.size_bytes} bytes, other SHA-256)."
        )
    part.chmod(0o444)
    publish(part, path)
    _stamp(path)


def _is_right(path: Path, offer: ImageOffer) -> bool:
    """Whether the cached file is there and has the offered bytes. Reads all of it if it has changed. Blocks."""
    try:
        seen = _seen(path)
    except FileNotFoundError:
        return False
    if seen.size_bytes == offer.size_bytes and seen == _last_seen(path):
        return True
    if seen.size_bytes == offer.size_bytes and _sha256(path) == offer.checksum_sha256:
        path.chmod(0o444)
        _stamp(path)
        return True
    _log.warning("cached image is damaged; it is fetched again", image=offer.id)
    return False


def _seen(path: Path) -> _Stamp:
    stat = path.stat()
    return _Stamp(size_bytes=stat.st_size, changed_ns=stat.st_mtime_ns, inode=stat.st_ino)


def _last_seen(path: Path) -> _Stamp | None:
    try:
        return msgspec.json.decode(_stamp_path(path).read_bytes(), type=_Stamp)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # reading the image again costs time, never truth


def _stamp(path: Path) -> None:
    _stamp_path(path).write_bytes(msgspec.json.encode(_seen(path)))


def _stamp_path(path: Path) -> Path:
    return path.with_name(path.name + ".stamp")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
