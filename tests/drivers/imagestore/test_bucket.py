"""A bucket whose connection breaks, whose objects change while they are read, and whose server is away."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest

from freehold.config import read
from freehold.drivers.imagestore import bucket
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.pick import image_store
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Broken, Unavailable
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.lines import broken_line
from tests.servers import PASSWORD, SERVERS, Server

IMAGE = "11111111-2222-4333-8444-555555555555"
LONG = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(6 * MIB // 32))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = SERVERS["s3"]()
    yield started
    started.close()


@pytest.fixture
def offload() -> Iterator[ThreadOffload]:
    made = ThreadOffload(threads=2)
    yield made
    made.close()


def opened(server: Server, folder: Path, offload: ThreadOffload, port: int = 0, owner: str = "") -> ImageStore:
    url = server.url.replace(f":{server.port}", f":{port}") if port else server.url
    settings = read(None, state=folder, image_store=url, image_store_secret_file=server.secrets)
    return image_store(settings, "images", owner or str(uuid4()), offload)


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


async def test_where_the_connection_breaks_it_is_read_on(
    server: Server, tmp_path: Path, offload: ThreadOffload
) -> None:
    owner = str(uuid4())
    await opened(server, tmp_path, offload, owner=owner).write(IMAGE, chunks(LONG), len(LONG))
    async with broken_line(server.port, breaks=0, after_bytes=MIB + 123_456) as (line, port):
        images = opened(server, tmp_path, offload, port, owner)
        assert await images.size_bytes(IMAGE) == len(LONG)
        line.breaks, read_back = 5, b""  # the library tries again by itself, but not so often
        line.may.clear()
        async for chunk in images.read(IMAGE, 5):
            read_back += chunk
            line.may.set()
    assert read_back == LONG[5:] and line.breaks == 0


async def test_what_is_replaced_while_it_is_read_is_not_mixed(
    server: Server, tmp_path: Path, offload: ThreadOffload
) -> None:
    owner = str(uuid4())
    direct = opened(server, tmp_path, offload, owner=owner)
    await direct.write(IMAGE, chunks(LONG), len(LONG))
    async with broken_line(server.port, breaks=0, after_bytes=2 * MIB) as (line, port):
        images = opened(server, tmp_path, offload, port, owner)
        await images.size_bytes(IMAGE)
        line.breaks, found = 1, b""
        line.may.clear()
        with pytest.raises(Broken, match="replaced or deleted"):
            async with aclosing(images.read(IMAGE)) as arriving:
                async for chunk in arriving:
                    found += chunk
                    if not line.may.is_set():
                        await direct.write(IMAGE, chunks(bytes(len(LONG))), len(LONG))
                        line.may.set()
    assert found == LONG[: len(found)] and found


async def test_a_server_that_is_away_is_said_without_its_keys(
    server: Server, tmp_path: Path, offload: ThreadOffload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "SILENCE_S_MAX", 3.0)
    async with broken_line(server.port, breaks=1000, after_bytes=0) as (_, port):
        images = opened(server, tmp_path, offload, port)
        for call in (images.size_bytes(IMAGE), images.write(IMAGE, chunks(LONG), len(LONG)), images.images()):
            with pytest.raises(Unavailable, match="the place for images s3://") as caught:
                await call
            assert PASSWORD not in caught.value.message and "\n" not in caught.value.message


async def test_two_workers_with_one_bucket_see_each_their_own(
    server: Server, tmp_path: Path, offload: ThreadOffload
) -> None:
    one, other = (opened(server, tmp_path, offload) for _ in range(2))
    await one.write(IMAGE, chunks(b"one's"), 10)
    assert await one.images() == {IMAGE} and await other.images() == frozenset()
    await other.delete(IMAGE)
    assert await one.size_bytes(IMAGE) == 5


@pytest.mark.parametrize(
    ("place", "secrets", "said"),
    [
        ("postgresql://me@h/images", False, "the place for images is of the kind 'postgresql'; it can be folder:"),
        ("s3://b/../x", False, "the place for images can be s3://BUCKET/PREFIX"),
        ("folder:here", False, "the place for images is 'folder:here'; it can be folder:/PATH"),
        ("", True, "image_store names nothing that wants one"),
        ("folder:/srv/images", True, "image_store names nothing that wants one"),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong_is_said(tmp_path: Path, place: str, secrets: bool, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(None, state=tmp_path, image_store=place, image_store_secret_file=tmp_path / "x" if secrets else None)
    assert said in caught.value.message
