"""What a new process makes of what the last one left."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.image import CreateImage, DeleteImage, Image, ImageStatus
from freehold.workers.image.lifecycle import MISSING
from tests.workers.image.bench import IMAGE, OTHER, Bench, an_image, chunks

S = ImageStatus


class Stubborn(MemoryImageStore):
    """An image store whose disk can be pulled out."""

    pulled = False

    async def delete(self, image: str) -> None:
        self._ensure()
        await super().delete(image)

    async def images(self) -> frozenset[str]:
        self._ensure()
        return await super().images()

    def _ensure(self) -> None:
        if self.pulled:
            raise Broken("the disk is away.")


@pytest.fixture
async def stubborn(tmp_path: Path) -> AsyncIterator[tuple[Bench, Stubborn]]:
    images = Stubborn()
    bench = Bench(tmp_path, images)
    await bench.open()
    yield bench, images
    images.pulled = False
    await bench.end()


async def endless() -> AsyncIterator[bytes]:
    yield b"\0" * 512
    await asyncio.Event().wait()


async def test_an_upload_that_died_with_its_process_may_come_again(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    taking = asyncio.create_task(bench.worker.transfers.take(IMAGE, endless()))
    async with asyncio.timeout(5):
        while bench.record().status is not S.SAVING:
            await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    await bench.images.write(IMAGE, chunks(b"half"), 10)  # what a process that was killed leaves
    await bench.close()
    await bench.open()
    assert bench.record().status is S.QUEUED
    assert "Upload them again" in bench.record().message
    assert await bench.images.images() == frozenset()
    await bench.worker.transfers.take(IMAGE, chunks(b"\0" * 512))


async def test_bytes_of_a_deleted_image_go_when_the_store_lets_them(stubborn: tuple[Bench, Stubborn]) -> None:
    bench, images = stubborn
    await bench.change(CreateImage(image=an_image()))
    await bench.worker.transfers.take(IMAGE, chunks(b"\0" * 512))
    images.pulled = True
    await bench.change(DeleteImage(id=IMAGE))
    await bench.close()
    await bench.open()  # a store that can't be listed is no reason not to start
    assert bench.store.read_as(Image, IMAGE) is None
    images.pulled = False
    assert await images.images() == {IMAGE}
    await bench.close()
    await bench.open()
    assert await images.images() == frozenset()


async def test_lost_bytes_are_shown_and_found_ones_too(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    await bench.worker.transfers.take(IMAGE, chunks(b"\0" * 512))
    await bench.close()
    await bench.images.delete(IMAGE)
    await bench.open()
    assert (bench.record().status, bench.record().message) == (S.ACTIVE, MISSING)
    await bench.close()
    await bench.images.write(IMAGE, chunks(b"\0" * 512), 512)
    await bench.open()
    assert bench.record().message == ""


async def test_bytes_that_are_not_ours_are_left_alone(bench: Bench) -> None:
    await bench.images.write(OTHER, chunks(b"another's"), 10)
    await bench.change(CreateImage(image=an_image(OTHER)))
    await bench.change(DeleteImage(id=OTHER))
    await bench.close()
    await bench.open()
    assert await bench.images.images() == {OTHER}


async def test_a_start_with_nothing_to_mend_writes_nothing(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    await bench.worker.transfers.take(IMAGE, chunks(b"\0" * 512))
    before = bench.store.position()
    await bench.close()
    await bench.open()
    assert bench.store.position() == before
