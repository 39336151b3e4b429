"""What every cache of images promises (see freehold/drivers/imagefetch/interface.py)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from aiohttp.web import Application, Request, Response, get

from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.secret import Secret

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
CONTENT = b"bytes of a disk" * 100_000


def offer(image: str, url: str = "http://127.0.0.1:1/", content: bytes = CONTENT) -> ImageOffer:
    return ImageOffer(
        id=image,
        disk_format="raw",
        size_bytes=len(content),
        virtual_bytes=len(content),
        checksum_sha256=hashlib.sha256(content).hexdigest(),
        min_disk_gib=0,
        min_ram_mib=0,
        url=url,
        key=Secret("key"),
    )


class Bench(Protocol):
    """A cache, and the world around it."""

    @property
    def cache(self) -> ImageCache: ...
    def offer(self, image: str) -> ImageOffer: ...
    def downloads(self) -> int: ...
    def forget(self, image: str) -> None: ...


@dataclass
class HttpBench:
    cache: ImageCache
    server: BaseTestServer
    asked: list[str]
    gone: set[str]

    def offer(self, image: str) -> ImageOffer:
        return offer(image, str(self.server.make_url(f"/{image}")))

    def downloads(self) -> int:
        return len(self.asked)

    def forget(self, image: str) -> None:
        self.gone.add(image)


@dataclass
class SimulatedBench:
    cache: SimulatedImageCache

    def offer(self, image: str) -> ImageOffer:
        return offer(image)

    def downloads(self) -> int:
        return len(self.cache.fetched)

    def forget(self, image: str) -> None:
        self.cache.faults[image] = NotFound("gone.")


@asynccontextmanager
async def http_bench(folder: Path) -> AsyncIterator[HttpBench]:
    asked: list[str] = []
    gone: set[str] = set()

    async def answer(request: Request) -> Response:
        asked.append(request.match_info["image"])
        await asyncio.sleep(0.01)
        return Response(status=404) if asked[-1] in gone else Response(body=CONTENT)

    app = Application()
    app.add_routes([get("/{image}", answer)])
    offload = ThreadOffload(threads=2)
    async with TestServer(app) as server:
        cache = HttpImageCache(folder, offload)
        yield HttpBench(cache, server, asked, gone)
        await cache.close()
    offload.close()


@pytest.fixture(params=["http", "simulated"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        yield SimulatedBench(SimulatedImageCache(SystemClock(), tmp_path, fetch_s=0.01))
        return
    async with http_bench(tmp_path) as made:
        yield made


async def test_a_fetched_image_stays_where_it_is(bench: Bench) -> None:
    path = await bench.cache.fetch(bench.offer(IMAGE))
    assert path.is_file()
    assert await bench.cache.fetch(bench.offer(IMAGE)) == path
    assert bench.downloads() == 1


async def test_one_download_serves_all_who_wait(bench: Bench) -> None:
    paths = await asyncio.gather(*(bench.cache.fetch(bench.offer(IMAGE)) for _ in range(20)))
    assert len(set(paths)) == 1
    assert bench.downloads() == 1


async def test_one_who_gives_up_waiting_ends_nothing_for_the_others(bench: Bench) -> None:
    first = asyncio.create_task(bench.cache.fetch(bench.offer(IMAGE)))
    second = asyncio.create_task(bench.cache.fetch(bench.offer(IMAGE)))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).is_file()
    assert bench.downloads() == 1


async def test_two_images_have_two_files(bench: Bench) -> None:
    assert await bench.cache.fetch(bench.offer(IMAGE)) != await bench.cache.fetch(bench.offer(OTHER))


async def test_an_image_that_is_gone_is_not_found_and_is_asked_for_anew_the_next_time(bench: Bench) -> None:
    bench.forget(IMAGE)
    for _ in range(2):
        with pytest.raises(NotFound):
            await bench.cache.fetch(bench.offer(IMAGE))
    assert (await bench.cache.fetch(bench.offer(OTHER))).is_file()


async def test_evicting_keeps_what_it_is_told_to_keep(bench: Bench) -> None:
    kept, dropped = await bench.cache.fetch(bench.offer(IMAGE)), await bench.cache.fetch(bench.offer(OTHER))
    await bench.cache.evict(frozenset({IMAGE}))
    assert kept.is_file()
    assert not dropped.exists()
    await bench.cache.fetch(bench.offer(OTHER))
    assert dropped.is_file()
    assert bench.downloads() == 3


async def test_evicting_leaves_what_is_being_fetched(bench: Bench) -> None:
    fetching = asyncio.create_task(bench.cache.fetch(bench.offer(IMAGE)))
    while bench.downloads() == 0 and not fetching.done():
        await bench.cache.evict(frozenset())
        await asyncio.sleep(0)
    assert (await fetching).is_file() or bench.downloads() == 1


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", IMAGE.replace("-", ""), ""])
async def test_only_ids_name_files(bench: Bench, name: str) -> None:
    with pytest.raises(BadRequest):
        await bench.cache.fetch(offer(name))
