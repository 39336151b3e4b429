"""The bytes door, by a real HTTP client and by one who breaks off."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from yarl import URL

from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.drivers.imagestore.folder import FolderImageStore
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Broken, Fault
from freehold.vocabulary.image import BeginDownload, BeginUpload, BytesDoor, CreateImage, DeleteImage, ImageStatus
from freehold.vocabulary.units import MIB
from freehold.workers.image import door
from freehold.workers.image.door import DoorAddress
from tests.drivers.imagestore.crafted import mbr_disk, qcow2_with_backing_file
from tests.workers.image.bench import IMAGE, OTHER, Bench, a_build, an_image

DISK = mbr_disk(3 * MIB) + b"tail"
S = ImageStatus


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench over a real folder, with its door open on a free port."""
    offload = ThreadOffload(threads=2)
    bench = Bench(tmp_path, FolderImageStore(tmp_path / "images", offload))
    await bench.listen()
    await bench.open(DoorAddress())
    yield bench
    await bench.end()
    offload.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


def bearer(admission: BytesDoor) -> dict[str, str]:
    return {"Authorization": f"Bearer {admission.key.reveal()}"}


async def upload(bench: Bench, http: aiohttp.ClientSession, body: bytes = DISK, **fields: str) -> tuple[int, bytes]:
    await bench.change(CreateImage(image=an_image(**fields)))
    admission = await bench.ask(BeginUpload(id=IMAGE), BytesDoor)
    async with http.put(admission.url, data=body, headers=bearer(admission)) as answer:
        return answer.status, await answer.read()


async def download(bench: Bench, http: aiohttp.ClientSession, wanted: str = "") -> tuple[int, bytes]:
    admission = await bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    headers = bearer(admission) | ({"Range": wanted} if wanted else {})
    async with http.get(admission.url, headers=headers) as answer:
        return answer.status, await answer.read()


async def test_what_goes_in_comes_out(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    status, body = await upload(open_bench, http)
    assert status == 200
    assert msgspec.json.decode(body, type=Done).position == open_bench.store.position()
    record = open_bench.record()
    assert (record.status, record.size_bytes) == (S.ACTIVE, len(DISK))
    assert record.checksum_md5 == hashlib.md5(DISK).hexdigest()
    assert record.checksum_sha256 == hashlib.sha256(DISK).hexdigest()
    assert await download(open_bench, http) == (200, DISK)


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, len(DISK)),
        (f"bytes={2 * MIB - 3}-{2 * MIB + 2}", 2 * MIB - 3, 2 * MIB + 3),
        ("bytes=-4", len(DISK) - 4, len(DISK)),
        (f"bytes={len(DISK) - 1}-{len(DISK) + 100}", len(DISK) - 1, len(DISK)),
    ],
)
async def test_a_range_of_it(
    open_bench: Bench, http: aiohttp.ClientSession, wanted: str, start: int, stop: int
) -> None:
    await upload(open_bench, http)
    assert await download(open_bench, http, wanted) == (206, DISK[start:stop])


@pytest.mark.parametrize("wanted", [f"bytes={len(DISK)}-", "bytes=x", "bytes=5-4", "bytes=0-1,3-4"])
async def test_a_range_that_is_not_there(open_bench: Bench, http: aiohttp.ClientSession, wanted: str) -> None:
    await upload(open_bench, http)
    assert (await download(open_bench, http, wanted))[0] == 416


async def test_hostile_bytes_come_back_as_a_fault(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    status, body = await upload(open_bench, http, qcow2_with_backing_file(b"/etc/shadow"), disk_format="qcow2")
    fault = msgspec.json.decode(body, type=Fault)
    assert (status, fault.code) == (400, "BadRequest")
    assert "backing file" in fault.message
    assert open_bench.record().status is S.KILLED
    assert await open_bench.images.images() == frozenset()


async def test_too_many_bytes_are_refused(
    open_bench: Bench, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.workers.image.effects.UPLOAD_BYTES_MAX", MIB)
    assert (await upload(open_bench, http))[0] == 413
    assert open_bench.record().status is S.KILLED


async def test_no_key_no_bytes(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    await upload(open_bench, http)
    reading = await open_bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    await open_bench.change(CreateImage(image=an_image(OTHER)))
    writing_other = await open_bench.ask(BeginUpload(id=OTHER), BytesDoor)
    tries = [
        http.get(reading.url),
        http.get(reading.url, headers={"Authorization": "Bearer "}),
        http.get(reading.url, headers={"Authorization": f"Basic {reading.key.reveal()}"}),
        http.get(reading.url, headers=bearer(writing_other)),
        http.put(writing_other.url, data=b"x", headers=bearer(reading)),
        http.get(writing_other.url, headers=bearer(reading)),
        http.get(URL(reading.url.replace("/images/", "/images/..%2f"), encoded=True), headers=bearer(reading)),
    ]
    for attempt in tries:
        async with attempt as answer:
            assert answer.status == 401
            assert (await answer.json())["code"] == "Unauthorized"
    assert open_bench.record(OTHER).status is S.QUEUED


async def test_a_key_opens_for_ten_minutes(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    await upload(open_bench, http)
    admission = await open_bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    for ahead_s, status in ((590, 200), (601, 401)):
        open_bench.clock.ahead_s = ahead_s
        async with http.get(admission.url, headers=bearer(admission)) as answer:
            assert answer.status == status


async def test_an_image_that_was_deleted_is_gone_here_too(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    await upload(open_bench, http)
    admission = await open_bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    await open_bench.change(DeleteImage(id=IMAGE))
    async with http.get(admission.url, headers=bearer(admission)) as answer:
        assert answer.status == 404


async def test_a_second_upload_conflicts(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    await open_bench.change(CreateImage(image=an_image()))
    admission = await open_bench.ask(BeginUpload(id=IMAGE), BytesDoor)
    for status in (200, 409):
        async with http.put(admission.url, data=DISK, headers=bearer(admission)) as answer:
            assert answer.status == status
    assert await download(open_bench, http) == (200, DISK)


async def _send(admission: BytesDoor, head: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = URL(admission.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    key = admission.key.reveal()
    writer.write(f"PUT {url.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{head}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def _until(bench: Bench, status: S) -> None:
    async with asyncio.timeout(10):
        while bench.record().status is not status:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("head", "body"),
    [("Content-Length: 1000", b"x" * 512), ("Transfer-Encoding: chunked", b"200\r\n" + b"x" * 512 + b"\r\n")],
    ids=["length", "chunked"],
)
async def test_a_sender_who_breaks_off_may_send_again(
    open_bench: Bench, http: aiohttp.ClientSession, head: str, body: bytes
) -> None:
    await open_bench.change(CreateImage(image=an_image()))
    admission = await open_bench.ask(BeginUpload(id=IMAGE), BytesDoor)
    _, writer = await _send(admission, head, body)
    await _until(open_bench, S.SAVING)
    writer.close()
    await _until(open_bench, S.QUEUED)
    assert "connection broke" in open_bench.record().message
    assert await open_bench.images.images() == frozenset()
    async with http.put(admission.url, data=DISK, headers=bearer(admission)) as answer:
        assert answer.status == 200


async def test_a_sender_who_falls_silent_is_cut_off(open_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SILENCE_S_MAX", 0.05)
    await open_bench.change(CreateImage(image=an_image()))
    reader, writer = await _send(await open_bench.ask(BeginUpload(id=IMAGE), BytesDoor), "Content-Length: 1000", b"x")
    await _until(open_bench, S.SAVING)
    await _until(open_bench, S.QUEUED)
    assert b" 503 " in await reader.readline()
    writer.close()


async def test_bytes_that_run_short_break_the_connection_off(open_bench: Bench, http: aiohttp.ClientSession) -> None:
    await upload(open_bench, http)
    path = open_bench.images.local_path(IMAGE)
    assert path is not None
    path.write_bytes(DISK[:MIB])
    with pytest.raises(aiohttp.ClientError):
        await download(open_bench, http)


async def test_a_host_fetches_what_a_build_offers(
    open_bench: Bench, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await upload(open_bench, http)
    await open_bench.build(a_build())
    async with asyncio.timeout(10):
        offer = (await open_bench.passed.get()).image
    assert offer is not None
    offload = ThreadOffload()
    cache = HttpImageCache(tmp_path / "cache", offload)
    assert (await cache.fetch(offer)).read_bytes() == DISK
    await cache.close()
    offload.close()


async def test_the_advertised_url_is_the_one_that_is_given_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.open(DoorAddress(advertise="https://images.cloud.example/"))
    await bench.change(CreateImage(image=an_image()))
    admission = await bench.ask(BeginUpload(id=IMAGE), BytesDoor)
    assert admission.url == f"https://images.cloud.example/images/{IMAGE}"
    await bench.end()


async def test_a_place_that_is_taken_is_a_finished_sentence(open_bench: Bench, tmp_path: Path) -> None:
    await open_bench.change(CreateImage(image=an_image()))
    taken = URL((await open_bench.ask(BeginUpload(id=IMAGE), BytesDoor)).url).port
    assert taken is not None
    second = Bench(tmp_path / "second")
    with pytest.raises(Broken, match="can't listen"):
        await second.open(DoorAddress(port=taken))
    await second.end()
