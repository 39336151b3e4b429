"""Bytes in and bytes gone, while others ask for the opposite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, NoRoom, NotFound, Unavailable
from freehold.vocabulary.image import CreateImage, DeleteImage, Image, ImageStatus
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.crafted import qcow2, qcow2_with_backing_file
from tests.workers.image.bench import IMAGE, Bench, an_image, chunks

S = ImageStatus


class Sender:
    """One who has sent something and can be told to go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"\0" * 512
        self.begun.set()
        await self.go_on.wait()
        yield b"\0" * 512


def held(bench: Bench) -> bool:
    return bench.store.read_private("image_held", IMAGE) is not None


async def test_the_record_says_what_goes_on(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    sender = Sender()
    taking = asyncio.create_task(bench.worker.transfers.take(IMAGE, sender.chunks()))
    await sender.begun.wait()
    assert bench.record().status is S.SAVING
    with pytest.raises(Conflict):
        await bench.worker.transfers.take(IMAGE, chunks(b"another's"))
    sender.go_on.set()
    done = await taking
    assert done.position == bench.store.position()
    assert bench.record().status is S.ACTIVE
    assert held(bench)


async def test_hostile_bytes_kill_the_image_and_are_deleted(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image(disk_format="qcow2")))
    with pytest.raises(BadRequest, match="backing file"):
        await bench.worker.transfers.take(IMAGE, chunks(qcow2_with_backing_file(b"/etc/shadow")))
    assert bench.record().status is S.KILLED
    assert "backing file" in bench.record().message
    assert await bench.images.images() == frozenset()
    assert not held(bench)
    with pytest.raises(Conflict, match="Delete it"):
        await bench.worker.transfers.take(IMAGE, chunks(qcow2()))


@pytest.mark.parametrize(
    "parts", [(chunks(b"\0" * 512, then=Unavailable("it broke.")), Unavailable), (chunks(b"\0" * (65 * MIB)), NoRoom)]
)
async def test_what_was_cut_off_may_come_again(
    bench: Bench, parts: tuple[AsyncIterator[bytes], type[Exception]]
) -> None:
    await bench.change(CreateImage(image=an_image()))
    sent, raised = parts
    with pytest.raises(raised):
        await bench.worker.transfers.take(IMAGE, sent)
    assert bench.record().status is S.QUEUED
    assert bench.record().message
    assert not held(bench)
    await bench.worker.transfers.take(IMAGE, chunks(b"\0" * 512))
    assert (bench.record().status, bench.record().message) == (S.ACTIVE, "")


async def test_an_image_deleted_while_its_bytes_arrive_leaves_nothing(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    sender = Sender()
    taking = asyncio.create_task(bench.worker.transfers.take(IMAGE, sender.chunks()))
    await sender.begun.wait()
    await bench.change(DeleteImage(id=IMAGE))
    with pytest.raises(Conflict, match="still being deleted"):
        await bench.change(CreateImage(image=an_image()))
    sender.go_on.set()
    with pytest.raises(NotFound, match="deleted while"):
        await taking
    assert bench.store.read_as(Image, IMAGE) is None
    assert await bench.images.images() == frozenset()
    await bench.change(CreateImage(image=an_image()))


async def test_settling_touches_neither_active_images_nor_bytes_that_arrive(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image()))
    sender = Sender()
    taking = asyncio.create_task(bench.worker.transfers.take(IMAGE, sender.chunks()))
    await sender.begun.wait()
    await bench.worker.transfers.settle(IMAGE)
    assert bench.record().status is S.SAVING
    sender.go_on.set()
    await taking
    await bench.worker.transfers.settle(IMAGE)
    assert await bench.images.images() == {IMAGE}


class Slow(MemoryImageStore):
    """An image store that deletes when it is told to go on; `fails` times it doesn't delete at all."""

    def __init__(self) -> None:
        super().__init__()
        self.fails, self.deleting, self.go_on = 1, asyncio.Event(), asyncio.Event()

    async def delete(self, image: str) -> None:
        if self.fails:
            self.fails -= 1
            raise Broken("the disk is away.")
        self.deleting.set()
        await self.go_on.wait()
        await super().delete(image)


async def test_new_bytes_wait_until_the_old_ones_are_deleted(tmp_path: Path) -> None:
    images = Slow()
    bench = Bench(tmp_path, images)
    await bench.open()
    await bench.change(CreateImage(image=an_image()))
    with pytest.raises(Unavailable):
        await bench.worker.transfers.take(IMAGE, chunks(b"x", then=Unavailable("it broke.")))
    settling = asyncio.create_task(bench.worker.transfers.settle(IMAGE))
    await images.deleting.wait()
    with pytest.raises(Conflict, match="still being deleted"):
        await bench.worker.transfers.take(IMAGE, chunks(b"y"))
    images.go_on.set()
    await settling
    await bench.worker.transfers.take(IMAGE, chunks(b"y"))
    assert bench.record().status is S.ACTIVE
    await bench.end()
