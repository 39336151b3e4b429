"""What every image store promises (see freehold/drivers/imagestore/interface.py)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from freehold.config import read
from freehold.drivers.imagestore import swift_segments
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.drivers.imagestore.pick import image_store
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Broken, NotFound, TooLarge, Unavailable
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.crafted import qcow2, qcow2_with_backing_file
from tests.drivers.imagestore.published import Published
from tests.servers import Server
from tests.swift_server import SwiftServer

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
LONG = bytes(range(256)) * 4096 * 3 + b"the end"


WRITABLE = ("folder", "memory", "s3", "swift", "swift in segments", "swift as s3")


@pytest.fixture(params=[*WRITABLE, "web"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageStore]:
    """Every member. What is written to one that is read only, is published first."""
    yield from opened(request, request.param, tmp_path)


@pytest.fixture(params=WRITABLE)
def writable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageStore]:
    """Those that can be written."""
    yield from opened(request, request.param, tmp_path)


def opened(request: pytest.FixtureRequest, member: str, folder: Path) -> Iterator[ImageStore]:
    if member == "memory":
        yield MemoryImageStore()
        return
    offload = ThreadOffload(threads=2)
    if member == "web":
        published = Published(folder, offload)
        yield published
        published.close()
    else:
        place, secrets = placed(request, member)
        settings = read(None, state=folder, image_store=place, image_store_secret_file=secrets)
        yield image_store(settings, "images", str(uuid4()), offload)
    offload.close()


def placed(request: pytest.FixtureRequest, member: str) -> tuple[str, Path | None]:
    """Where a member keeps its bytes, and its file of secrets."""
    if member == "folder":
        return "", None
    if member == "s3":
        server: Server = request.getfixturevalue("started")(member)
        return server.url, server.secrets
    swift: SwiftServer = request.getfixturevalue("swift")
    if member == "swift in segments":
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setattr(swift_segments, "SEGMENT_BYTES", ())
        monkeypatch.setattr(swift_segments, "LAST_SEGMENT_BYTES", MIB)
    return (swift.s3_url, swift.s3_secrets) if member == "swift as s3" else (swift.url, swift.secrets)


async def chunks(content: bytes, size: int = 100_000, then: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if then is not None:
        raise then


async def bytes_of(images: ImageStore, image: str = IMAGE, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in images.read(image, offset)])


async def test_what_was_written_is_read_back_from_any_offset(images: ImageStore) -> None:
    written = await images.write(IMAGE, chunks(LONG), len(LONG))
    assert written.size_bytes == len(LONG) == await images.size_bytes(IMAGE)
    assert written.md5 == hashlib.md5(LONG).hexdigest()
    assert written.sha256 == hashlib.sha256(LONG).hexdigest()
    assert await bytes_of(images) == LONG
    assert await bytes_of(images, offset=2 * MIB + 1) == LONG[2 * MIB + 1 :]
    assert await bytes_of(images, offset=len(LONG)) == b""


async def test_no_bytes_are_bytes_too(images: ImageStore) -> None:
    assert (await images.write(IMAGE, chunks(b""), 10)).size_bytes == 0
    assert await bytes_of(images) == b""


async def test_nothing_is_seen_of_a_write_that_goes_on(writable: ImageStore) -> None:
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield LONG
        await go_on.wait()

    writing = asyncio.create_task(writable.write(IMAGE, slowly(), len(LONG)))
    await asyncio.sleep(0)
    with pytest.raises(NotFound):
        await writable.size_bytes(IMAGE)
    assert writable.local_path(IMAGE) is None
    go_on.set()
    await writing
    assert await bytes_of(writable) == LONG


@pytest.mark.parametrize("error", [Unavailable("the line broke."), ConnectionResetError("the line broke.")])
async def test_a_write_that_was_cut_off_leaves_nothing(writable: ImageStore, error: Exception) -> None:
    with pytest.raises(type(error), match=r"^the line broke\.$"):
        await writable.write(IMAGE, chunks(LONG, then=error), len(LONG))
    with pytest.raises(NotFound):
        await bytes_of(writable)
    assert await writable.images() == frozenset()


async def test_a_write_that_was_cancelled_leaves_nothing(writable: ImageStore) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield LONG
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(writable.write(IMAGE, endless(), len(LONG)))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await writable.images() == frozenset()


async def test_a_write_that_failed_leaves_what_was_there(writable: ImageStore) -> None:
    await writable.write(IMAGE, chunks(b"first"), 10)
    with pytest.raises(TooLarge):
        await writable.write(IMAGE, chunks(b"a second one, longer"), 10)
    assert await bytes_of(writable) == b"first"


async def test_the_bound_is_the_last_that_is_allowed(images: ImageStore) -> None:
    assert (await images.write(IMAGE, chunks(b"x" * 10), 10)).size_bytes == 10
    with pytest.raises(TooLarge, match="10"):
        await images.write(OTHER, chunks(b"x" * 11, size=3), 10)


async def test_a_second_write_replaces_the_first(images: ImageStore) -> None:
    await images.write(IMAGE, chunks(LONG), len(LONG))
    await images.write(IMAGE, chunks(b"shorter"), 100)
    assert await bytes_of(images) == b"shorter"


async def test_images_are_listed_and_deleted_and_deleting_twice_is_fine(images: ImageStore) -> None:
    await images.write(IMAGE, chunks(b"one"), 10)
    await images.write(OTHER, chunks(b"two"), 10)
    assert await images.images() == {IMAGE, OTHER}
    await images.delete(IMAGE)
    await images.delete(IMAGE)
    assert await images.images() == {OTHER}
    assert await bytes_of(images, OTHER) == b"two"


async def test_a_reader_that_has_begun_reads_the_old_bytes_or_gets_an_error(images: ImageStore) -> None:
    await images.write(IMAGE, chunks(LONG), len(LONG))
    reader = images.read(IMAGE)
    first = await anext(reader)
    await images.delete(IMAGE)
    await images.write(IMAGE, chunks(b"other bytes" * MIB), 20 * MIB)
    found = first
    try:
        async for chunk in reader:
            found += chunk
    except Broken:
        assert found == LONG[: len(found)]
    else:
        assert found == LONG


async def test_a_local_path_has_the_bytes(images: ImageStore) -> None:
    await images.write(IMAGE, chunks(LONG), len(LONG))
    path = images.local_path(IMAGE)
    assert path is None or path.read_bytes() == LONG


async def test_bytes_are_inspected_where_they_lie(images: ImageStore) -> None:
    await images.write(IMAGE, chunks(qcow2()), MIB)
    assert (await images.inspect(IMAGE, "qcow2")).virtual_bytes == 8 * MIB
    await images.write(IMAGE, chunks(qcow2_with_backing_file(b"/etc/shadow")), MIB)
    with pytest.raises(BadRequest, match="backing file"):
        await images.inspect(IMAGE, "qcow2")
    with pytest.raises(NotFound):
        await images.inspect(OTHER, "raw")


@pytest.mark.parametrize(
    "name", ["", "..", "../outside", "/etc/passwd", IMAGE + "/x", IMAGE.upper() + "A", IMAGE + ".0.part"]
)
async def test_only_ids_name_bytes(images: ImageStore, name: str) -> None:
    with pytest.raises(BadRequest):
        await images.write(name, chunks(b"x"), 10)
    with pytest.raises(BadRequest):
        await bytes_of(images, name)
    with pytest.raises(BadRequest):
        await images.size_bytes(name)
    with pytest.raises(BadRequest):
        await images.delete(name)
    with pytest.raises(BadRequest):
        images.local_path(name)
