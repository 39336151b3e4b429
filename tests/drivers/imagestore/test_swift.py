"""Swift's segments and tokens; its server when it is full, away, or slow to say what it has; lines that break."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from freehold.config import read
from freehold.drivers.imagestore import over_http, swift, swift_account, swift_segments
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.pick import image_store
from freehold.drivers.imagestore.swift import SwiftImageStore
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Broken, NoRoom, NotFound, Unavailable
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.lines import broken_line
from tests.servers import PASSWORD
from tests.swift_server import USER, SwiftServer

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
LONG = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(6 * MIB // 32)) + b"the end"


@pytest.fixture
def offload() -> Iterator[ThreadOffload]:
    made = ThreadOffload(threads=2)
    yield made
    made.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a mebibyte."""
    monkeypatch.setattr(swift_segments, "SEGMENT_BYTES", ())
    monkeypatch.setattr(swift_segments, "LAST_SEGMENT_BYTES", MIB)


class Cloud:
    """Image workers with one Swift. `store()` is the store of one as a process has it that has just been started."""

    def __init__(self, server: SwiftServer, folder: Path, offload: ThreadOffload) -> None:
        self.server, self.folder, self.offload = server, folder, offload
        self.owner = str(uuid4())

    def store(self, port: int = 0, url: str = "", owner: str = "") -> ImageStore:
        place = url or self.server.url
        if port:
            place = place.replace(f":{self.server.port}", f":{port}")
        settings = read(None, state=self.folder, image_store=place, image_store_secret_file=self.server.secrets)
        return image_store(settings, "images", owner or self.owner, self.offload)

    def names(self) -> list[str]:
        return self.server.names(self.owner)


@pytest.fixture
def cloud(swift: SwiftServer, tmp_path: Path, offload: ThreadOffload) -> Cloud:
    return Cloud(swift, tmp_path, offload)


async def chunks(content: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), MIB // 8):
        yield content[start : start + MIB // 8]
    if then is not None:
        raise then


async def bytes_of(images: ImageStore, image: str = IMAGE, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in images.read(image, offset)])


# --- segments --------------------------------------------------------------------------------------------------------


async def test_what_is_longer_than_a_segment_is_cut_and_read_as_one(cloud: Cloud, small: None) -> None:
    images = cloud.store()
    written = await images.write(IMAGE, chunks(LONG), len(LONG))
    assert written.sha256 == hashlib.sha256(LONG).hexdigest() and written.size_bytes == len(LONG)
    assert await bytes_of(images, offset=MIB - 1) == LONG[MIB - 1 :]
    assert len([name for name in cloud.names() if name.startswith(f"-segments/{IMAGE}/")]) == 7
    await images.delete(IMAGE)
    assert cloud.names() == []


@pytest.mark.parametrize("length", [MIB - 1, MIB, MIB + 1, 2 * MIB])
async def test_bytes_that_end_near_a_segments_end_are_whole(cloud: Cloud, small: None, length: int) -> None:
    images = cloud.store()
    await images.write(IMAGE, chunks(LONG[:length]), length)
    assert await bytes_of(images) == LONG[:length]
    assert await images.size_bytes(IMAGE) == length


async def test_what_was_replaced_leaves_no_segments(cloud: Cloud, small: None) -> None:
    images = cloud.store()
    for content in (LONG, LONG[: 3 * MIB], b"short", LONG[: 2 * MIB]):
        await images.write(IMAGE, chunks(content), len(content))
        assert await bytes_of(images) == content
        assert len(cloud.names()) == 1 + (-(-len(content) // MIB) if len(content) > MIB else 0)


async def test_a_write_that_was_cut_off_leaves_no_segments_and_what_was_there(cloud: Cloud, small: None) -> None:
    images = cloud.store()
    await images.write(IMAGE, chunks(b"first"), 5)
    with pytest.raises(ConnectionResetError):
        await images.write(IMAGE, chunks(LONG, then=ConnectionResetError()), len(LONG))
    assert cloud.names() == [f"/{IMAGE}"]
    assert await bytes_of(images) == b"first"


async def test_segments_of_a_killed_process_are_listed_and_deleted(cloud: Cloud, small: None) -> None:
    killed, sent = cloud.store(), asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        async for chunk in chunks(LONG):
            yield chunk
        sent.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(killed.write(IMAGE, never_ending(), 2 * len(LONG)))
    await sent.wait()
    while len(left := cloud.names()) < 6:
        await asyncio.sleep(0.01)
    assert not any(name == f"/{IMAGE}" for name in left)
    images = cloud.store()  # its successor, while requests of the first are under way
    assert await images.images() == {IMAGE}
    with pytest.raises(NotFound):
        await images.size_bytes(IMAGE)
    await images.delete(IMAGE)
    assert cloud.names() == [] and await images.images() == frozenset()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_deleting_and_replacing_leave_the_write_that_goes_on(cloud: Cloud, small: None) -> None:
    images = cloud.store()
    await images.write(IMAGE, chunks(LONG), len(LONG))

    async def meanwhile() -> AsyncIterator[bytes]:
        async for chunk in chunks(LONG[: 3 * MIB]):
            yield chunk
        await images.delete(IMAGE)
        async for chunk in chunks(LONG[3 * MIB : 5 * MIB]):
            yield chunk
        await images.write(IMAGE, chunks(LONG[: 2 * MIB]), len(LONG))
        async for chunk in chunks(LONG[5 * MIB :]):
            yield chunk

    await images.write(IMAGE, meanwhile(), len(LONG))
    assert await bytes_of(images) == LONG
    assert len(cloud.names()) == 1 + 7


async def test_deleting_takes_the_segments_of_a_write_that_has_just_ended(
    cloud: Cloud, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, sweep = cloud.store(), SwiftImageStore._sweep
    deleting: list[asyncio.Task[None]] = []

    async def sweeping(*given: Any) -> None:
        if not deleting:
            deleting.append(asyncio.create_task(images.delete(IMAGE)))
        await sweep(*given)

    monkeypatch.setattr(SwiftImageStore, "_sweep", sweeping)
    await images.write(IMAGE, chunks(LONG), len(LONG))
    await deleting[0]
    assert cloud.names() == []


async def test_lost_segments_break_the_read(cloud: Cloud, small: None) -> None:
    images = cloud.store()
    await images.write(IMAGE, chunks(LONG), len(LONG))
    third = next(name for name in cloud.names() if name.endswith("000002"))
    cloud.server.ask("DELETE", f"images/some/cloud/{cloud.owner}{third}")
    with pytest.raises(Broken, match="Upload the image again"):
        await bytes_of(images)


async def test_long_listings_come_in_pages(cloud: Cloud, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift, "LISTED_MAX", 2)
    images, several = cloud.store(), {str(uuid4()) for _ in range(3)}
    for image in several:
        await images.write(image, chunks(LONG[: 3 * MIB]), 3 * MIB)
    assert await images.images() == several
    for image in several:
        await images.delete(image)
    assert cloud.names() == []


async def test_what_a_late_listing_lacks_is_looked_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    images = cloud.store()
    await images.write(IMAGE, chunks(b"here"), 4)
    await images.write(OTHER, chunks(b"gone"), 4)
    cloud.server.ask("DELETE", f"images/some/cloud/{cloud.owner}/{OTHER}")

    async def late(*_: object) -> AsyncIterator[object]:
        for listed in ():
            yield listed

    monkeypatch.setattr(SwiftImageStore, "_listed", late)
    assert await images.images() == {IMAGE}


async def test_two_workers_with_one_container_see_each_their_own(cloud: Cloud, small: None) -> None:
    one, other = cloud.store(), cloud.store(owner=str(uuid4()))
    await one.write(IMAGE, chunks(LONG), len(LONG))
    assert await one.images() == {IMAGE} and await other.images() == frozenset()
    await other.delete(IMAGE)
    assert await bytes_of(one) == LONG


# --- lines and tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["in segments", "whole"])
async def test_where_the_connection_breaks_it_is_read_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, cut: str
) -> None:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    if cut == "in segments":
        request.getfixturevalue("small")
    await cloud.store().write(IMAGE, chunks(LONG), len(LONG))
    async with broken_line(cloud.server.port, breaks=0, after_bytes=MIB + 123_456) as (line, port):
        images = cloud.store(port)
        assert await images.size_bytes(IMAGE) == len(LONG)
        line.breaks = 4
        assert await bytes_of(images, offset=5) == LONG[5:] and line.breaks == 0


async def test_what_is_replaced_while_it_is_read_is_not_mixed(cloud: Cloud, small: None) -> None:
    direct = cloud.store()
    await direct.write(IMAGE, chunks(LONG), len(LONG))
    async with broken_line(cloud.server.port, breaks=0, after_bytes=2 * MIB) as (line, port):
        images = cloud.store(port)
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


async def test_bytes_that_are_altered_on_their_way_are_sent_again(
    cloud: Cloud, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    async with broken_line(cloud.server.port, breaks=0, after_bytes=0) as (line, port):
        images = cloud.store(port)
        await images.images()
        line.alters_at = MIB // 2
        await images.write(IMAGE, chunks(LONG), len(LONG))
        assert line.alters_at is None
    assert await bytes_of(cloud.store()) == LONG


@pytest.mark.parametrize("cut", ["in segments", "whole"])
async def test_a_token_that_runs_out_under_a_write_is_fetched_anew(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, cut: str
) -> None:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    if cut == "in segments":
        request.getfixturevalue("small")
    images = cloud.store()
    assert await images.images() == frozenset()

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(LONG), MIB):
            cloud.server.forget_tokens()
            yield LONG[start : start + MIB]

    await images.write(IMAGE, slowly(), len(LONG))
    cloud.server.forget_tokens()
    assert await bytes_of(images) == LONG


async def test_a_token_that_runs_out_under_a_read_is_fetched_anew(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    await cloud.store().write(IMAGE, chunks(LONG), len(LONG))
    async with broken_line(cloud.server.port, breaks=0, after_bytes=2 * MIB) as (line, port):
        images, found = cloud.store(port), b""
        await images.size_bytes(IMAGE)
        line.breaks = 1
        line.may.clear()
        async for chunk in images.read(IMAGE):
            found += chunk
            if not line.may.is_set():
                cloud.server.forget_tokens()
                line.may.set()
    assert found == LONG and line.breaks == 0


async def test_a_server_that_is_away_is_said_without_its_keys(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    async with broken_line(cloud.server.port, breaks=1000, after_bytes=0) as (_, port):
        images = cloud.store(port)
        for call in (images.size_bytes(IMAGE), images.write(IMAGE, chunks(LONG), len(LONG)), images.images()):
            with pytest.raises(Unavailable, match="the place for images swift://images/some/cloud can't") as caught:
                await call
            assert PASSWORD not in caught.value.message and "\n" not in caught.value.message


async def test_a_server_that_stands_still_is_not_waited_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((swift_account, "REQUEST_S_MAX"), (over_http, "SILENCE_S_MAX"), (over_http, "PAUSE_S")):
        monkeypatch.setattr(module, name, 0.1)
    images = cloud.store()
    cloud.server.freeze()
    try:
        with pytest.raises(Unavailable, match="didn't answer in time"):
            await images.size_bytes(IMAGE)
    finally:
        cloud.server.thaw()


# --- what a server refuses -------------------------------------------------------------------------------------------


async def test_a_quota_is_no_room(cloud: Cloud, small: None) -> None:
    cloud.server.ask("PUT", "full", X_Container_Meta_Quota_Bytes=str(MIB // 2))
    images = cloud.store(url=cloud.server.url.replace("images/some", "full/some"))
    with pytest.raises(NoRoom, match="quota"):
        await images.write(IMAGE, chunks(LONG), len(LONG))
    assert await images.images() == frozenset()


async def test_a_container_that_is_not_there_is_said(cloud: Cloud) -> None:
    images = cloud.store(url=cloud.server.url.replace("images/some", "none/some"))
    for call in (images.write(IMAGE, chunks(b"x"), 1), images.images()):
        with pytest.raises(Unavailable, match="there is no container none: make it"):
            await call


async def test_a_user_who_is_not_let_in_is_said(cloud: Cloud) -> None:
    images = cloud.store(url=cloud.server.url.replace(USER, "freehold:nobody"))
    with pytest.raises(Unavailable, match="lets nobody in with this user and secret") as caught:
        await images.images()
    assert PASSWORD not in caught.value.message


async def test_without_its_secret_it_is_not_opened(cloud: Cloud) -> None:
    cloud.server.secrets.chmod(0o600)
    settings = read(None, state=cloud.folder, image_store=cloud.server.url)
    with pytest.raises(BadRequest, match="needs password in its file of secrets"):
        image_store(settings, "images", cloud.owner, cloud.offload)
