"""Images over HTTP: what comes wrong, what is found damaged, and what is never given away."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response, StreamResponse, get

from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Broken, FreeholdError, NoRoom, NotFound, Unavailable
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.secret import Secret

IMAGE = "11111111-2222-4333-8444-555555555555"
CONTENT = b"bytes of a disk" * 200_000
KEY = "a key that opens this image"


class Origin:
    """A server of images that does what the test says."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.status = 200
        self.headers: dict[str, str] = {}
        self.keys: list[str] = []
        self.cut_at: int | None = None

    async def answer(self, request: Request) -> StreamResponse:
        self.keys.append(request.headers.get("Authorization", ""))
        if self.cut_at is None:
            return Response(status=self.status, body=self.content, headers=self.headers)
        response = StreamResponse(headers={"Content-Length": str(len(self.content))})
        await response.prepare(request)
        await response.write(self.content[: self.cut_at])
        assert request.transport is not None
        request.transport.close()
        return response


Offers = Callable[..., ImageOffer]


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
async def offered(origin: Origin) -> AsyncIterator[Offers]:
    app = Application()
    app.add_routes([get("/images/{image}", origin.answer), get("/elsewhere", origin.answer)])
    async with TestServer(app) as server:

        def offer(image: str = IMAGE, content: bytes = CONTENT, **changed: str) -> ImageOffer:
            return ImageOffer(
                id=image,
                disk_format="raw",
                size_bytes=len(content),
                virtual_bytes=len(content),
                checksum_sha256=changed.get("sha256", hashlib.sha256(content).hexdigest()),
                min_disk_gib=0,
                min_ram_mib=0,
                url=changed.get("url", str(server.make_url(f"/images/{image}"))),
                key=Secret(KEY),
            )

        yield offer


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[HttpImageCache]:
    offload = ThreadOffload(threads=2)
    made = HttpImageCache(tmp_path / "cache", offload)
    yield made
    await made.close()
    offload.close()


async def test_the_bytes_arrive_with_the_key_and_become_read_only(
    cache: HttpImageCache, origin: Origin, offered: Offers
) -> None:
    path = await cache.fetch(offered())
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert origin.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("content", "raised"),
    [(CONTENT[:-1] + b"X", Broken), (CONTENT + b"X", Broken), (CONTENT[:-1], Broken), (b"", Broken)],
    ids=["other bytes", "more", "fewer", "none"],
)
async def test_wrong_bytes_are_never_seen(
    cache: HttpImageCache, origin: Origin, offered: Offers, tmp_path: Path, content: bytes, raised: type[FreeholdError]
) -> None:
    origin.content = content
    with pytest.raises(raised):
        await cache.fetch(offered())
    assert list((tmp_path / "cache").iterdir()) == []
    origin.content = CONTENT
    assert (await cache.fetch(offered())).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "raised"),
    [(404, NotFound), (401, Unavailable), (403, Unavailable), (500, Unavailable), (204, Unavailable)],
)
async def test_what_the_server_says(
    cache: HttpImageCache, origin: Origin, offered: Offers, status: int, raised: type[FreeholdError]
) -> None:
    origin.status = status
    with pytest.raises(raised) as caught:
        await cache.fetch(offered())
    assert KEY not in caught.value.message


async def test_a_line_that_breaks_is_tried_again_later(
    cache: HttpImageCache, origin: Origin, offered: Offers, tmp_path: Path
) -> None:
    origin.cut_at = 100_000
    with pytest.raises(Unavailable):
        await cache.fetch(offered())
    assert list((tmp_path / "cache").iterdir()) == []
    origin.cut_at = None
    assert (await cache.fetch(offered())).is_file()


async def test_nobody_there_is_unavailable(cache: HttpImageCache, offered: Offers) -> None:
    with pytest.raises(Unavailable, match="Try again"):
        await cache.fetch(offered(url="http://127.0.0.1:1/"))


async def test_a_redirect_does_not_get_the_key(cache: HttpImageCache, origin: Origin, offered: Offers) -> None:
    origin.status, origin.headers = 302, {"Location": "/elsewhere"}
    with pytest.raises(Unavailable):
        await cache.fetch(offered())
    assert len(origin.keys) == 1


@pytest.mark.parametrize("changed", [{"sha256": "../../etc/passwd"}, {"sha256": "AB" * 32}, {"url": "no url"}])
async def test_an_offer_that_is_none_is_refused(
    cache: HttpImageCache, offered: Offers, changed: dict[str, str]
) -> None:
    with pytest.raises(BadRequest):
        await cache.fetch(offered(**changed))


async def test_a_disk_without_room_says_so_before_it_begins(
    cache: HttpImageCache, origin: Origin, offered: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(NoRoom, match="room for 10"):
        await cache.fetch(offered())
    assert origin.keys == []


def _damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"X" + CONTENT[1:], CONTENT[:-1], b""], ids=["one byte", "cut off", "empty"])
async def test_a_damaged_base_is_fetched_again(
    cache: HttpImageCache, origin: Origin, offered: Offers, content: bytes
) -> None:
    path = await cache.fetch(offered())
    with path.open("rb") as guest:
        _damage(path, content)
        assert await cache.fetch(offered()) == path
        assert guest.read() == content  # whoever had it open keeps what it had
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert len(origin.keys) == 2


async def test_a_base_that_was_only_touched_is_read_again_and_kept(
    cache: HttpImageCache, origin: Origin, offered: Offers
) -> None:
    path = await cache.fetch(offered())
    os.utime(path, ns=(1, 1))
    await cache.fetch(offered())
    assert len(origin.keys) == 1


@pytest.mark.parametrize("stamp", [None, b"", b"{", b"[]"], ids=["gone", "empty", "cut off", "other"])
async def test_a_lost_stamp_costs_a_reading_and_no_download(
    cache: HttpImageCache, origin: Origin, offered: Offers, stamp: bytes | None
) -> None:
    path = await cache.fetch(offered())
    beside = path.with_name(path.name + ".stamp")
    beside.unlink() if stamp is None else beside.write_bytes(stamp)
    assert await cache.fetch(offered()) == path
    assert len(origin.keys) == 1
    assert beside.stat().st_size > len(stamp or b"")


async def test_a_stamped_base_is_not_read_again(
    cache: HttpImageCache, offered: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache.fetch(offered())
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("the whole image was read"))
    await cache.fetch(offered())


async def test_other_bytes_under_the_same_id_get_another_path(
    cache: HttpImageCache, origin: Origin, offered: Offers
) -> None:
    first = await cache.fetch(offered())
    origin.content = b"other"
    second = await cache.fetch(offered(content=b"other"))
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"other")


async def test_a_successor_finds_the_cache_and_clears_what_was_half_done(
    cache: HttpImageCache, origin: Origin, offered: Offers, tmp_path: Path
) -> None:
    path = await cache.fetch(offered())
    half = path.with_name(path.name.replace("1111", "2222", 1) + ".part")
    half.write_bytes(b"half")
    stranger = path.with_name("notes.txt")
    stranger.write_text("not ours")
    offload = ThreadOffload()
    successor = HttpImageCache(tmp_path / "cache", offload)
    assert await successor.fetch(offered()) == path
    await successor.evict(frozenset({IMAGE, half.name[:36]}))
    await successor.close()
    offload.close()
    assert path.is_file()
    assert not half.exists()
    assert stranger.exists()
    assert len(origin.keys) == 1


async def test_closing_gives_up_what_is_being_fetched(offered: Offers, tmp_path: Path) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def silent(_: Request) -> Response:
        asked.set()
        await never.wait()
        return Response()

    app = Application()
    app.add_routes([get("/silent", silent)])
    offload = ThreadOffload()
    cache = HttpImageCache(tmp_path, offload)
    async with TestServer(app) as server:
        fetching = asyncio.create_task(cache.fetch(offered(url=str(server.make_url("/silent")))))
        await asked.wait()
        await cache.close()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        never.set()
    offload.close()
    assert list(tmp_path.iterdir()) == []
