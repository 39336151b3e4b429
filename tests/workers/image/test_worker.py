"""The image worker, as those who ask it and send it builds see it."""

import asyncio

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Frame
from freehold.vocabulary.errors import Conflict, Forbidden, NotFound
from freehold.vocabulary.image import (
    BeginDownload,
    BeginUpload,
    BytesDoor,
    CreateImage,
    DeleteImage,
    DropMember,
    Image,
    ImageMember,
    ImageStatus,
    SaveMember,
    UpdateImage,
)
from freehold.vocabulary.units import MIB
from freehold.workers.image.lifecycle import MISSING
from tests.workers.image.bench import IMAGE, OTHER, Bench, a_build, an_image, chunks

BYTES = b"\0" * MIB
S = ImageStatus


async def made_active(bench: Bench, image: str = IMAGE) -> None:
    await bench.change(CreateImage(image=an_image(image)))
    await bench.worker.transfers.take(image, chunks(BYTES))


async def gone(bench: Bench, image: str) -> None:
    """Waits until an image's bytes are deleted."""
    async with asyncio.timeout(5):
        while image in await bench.images.images() or bench.store.read_private("image_held", image) is not None:
            await asyncio.sleep(0)


async def test_an_image_is_made_changed_filled_and_deleted(bench: Bench) -> None:
    done = await bench.change(CreateImage(image=an_image()))
    assert (done.store, done.key) == (bench.store.id, IMAGE)
    assert bench.record().status is S.QUEUED
    await bench.change(UpdateImage(image=an_image(name="new")))
    await bench.worker.transfers.take(IMAGE, chunks(BYTES))
    record = bench.record()
    assert (record.name, record.status, record.size_bytes, record.virtual_bytes) == ("new", S.ACTIVE, MIB, MIB)
    await bench.change(DeleteImage(id=IMAGE))
    assert bench.store.read_as(Image, IMAGE) is None
    await gone(bench, IMAGE)


async def test_every_change_is_told_when_it_is_durable(bench: Bench) -> None:
    told: asyncio.Queue[Image] = asyncio.Queue()

    async def listener(frame: Frame) -> None:
        for entry in frame.entries:
            told.put_nowait(decode(entry.value or b"", Image))

    await talk.hear(bench.bus, subjects.events(bench.store.owner), Frame, listener)
    await made_active(bench)
    async with asyncio.timeout(5):
        assert [(await told.get()).status for _ in range(3)] == [S.QUEUED, S.SAVING, S.ACTIVE]


async def test_errors_reach_who_asked(bench: Bench) -> None:
    await bench.change(CreateImage(image=an_image(protected=True)))
    with pytest.raises(Conflict):
        await bench.change(CreateImage(image=an_image()))
    with pytest.raises(Forbidden):
        await bench.change(DeleteImage(id=IMAGE))
    with pytest.raises(Conflict):
        await bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    with pytest.raises(NotFound):
        await bench.ask(BeginUpload(id=OTHER), BytesDoor)


async def test_a_build_goes_on_with_its_image_and_a_key(bench: Bench) -> None:
    await made_active(bench)
    await bench.build(a_build())
    async with asyncio.timeout(5):
        passed = await bench.passed.get()
    offer = passed.image
    record = bench.record()
    assert offer is not None
    assert (offer.id, offer.size_bytes, offer.checksum_sha256) == (IMAGE, MIB, record.checksum_sha256)
    assert offer.url.endswith(f"/images/{IMAGE}")
    assert replace(passed, image=None) == a_build()


async def test_a_repeat_gets_a_fresh_key(bench: Bench) -> None:
    await made_active(bench)
    await bench.build(a_build())
    async with asyncio.timeout(5):
        first = await bench.passed.get()
        bench.clock.ahead_s = 3600
        await bench.build(first)
        second = await bench.passed.get()
    assert first.image is not None
    assert second.image is not None
    assert first.image.key != second.image.key
    assert replace(second.image, key=first.image.key) == first.image


async def test_a_build_without_an_image_goes_on_as_it_is(bench: Bench) -> None:
    await bench.build(a_build(""))
    async with asyncio.timeout(5):
        assert await bench.passed.get() == a_build("")


async def test_a_build_that_can_not_have_its_image_is_given_up_with_a_reason(bench: Bench) -> None:
    await bench.build(a_build())
    await bench.change(CreateImage(image=an_image(OTHER)))
    await bench.build(a_build(OTHER))
    async with asyncio.timeout(5):
        notices = [await bench.given_up.get(), await bench.given_up.get()]
    assert [(notice.deed, notice.fault.code) for notice in notices] == [(0, "NotFound"), (0, "Conflict")]
    assert OTHER in notices[1].fault.message
    assert bench.passed.empty()


async def test_a_project_that_an_image_is_shared_with_builds_of_it(bench: Bench) -> None:
    await made_active(bench)
    theirs, member = replace(a_build(), project="theirs"), ImageMember(image=IMAGE, project="theirs")
    async with asyncio.timeout(5):
        await bench.build(theirs)
        assert (await bench.given_up.get()).fault.code == "NotFound"
        await bench.change(SaveMember(member=member, new=True))
        await bench.build(theirs)
        assert (await bench.passed.get()).project == "theirs"
        await bench.change(DropMember(image=IMAGE, project="theirs"))
        await bench.build(theirs)
        assert (await bench.given_up.get()).fault.code == "NotFound"
    with pytest.raises(NotFound):
        await bench.change(DropMember(image=IMAGE, project="theirs"))


async def test_a_build_after_its_time_is_dropped(bench: Bench) -> None:
    await made_active(bench)
    await bench.build(a_build(expires=1))
    await bench.build(a_build(""))
    async with asyncio.timeout(5):
        assert (await bench.passed.get()).spec.image == ""
    assert bench.given_up.empty()


async def test_what_was_active_is_so_after_a_restart_and_old_keys_still_open(bench: Bench) -> None:
    await made_active(bench)
    before = await bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    bench.clock.ahead_s = 0
    await bench.close()
    await bench.open()
    assert bench.record().status is S.ACTIVE
    after = await bench.ask(BeginDownload(id=IMAGE), BytesDoor)
    assert before.key.reveal()[:7] == after.key.reveal()[:7]
    await bench.build(a_build())
    async with asyncio.timeout(5):
        assert (await bench.passed.get()).image is not None


async def test_an_image_whose_bytes_are_lost_is_not_given_to_builds(bench: Bench) -> None:
    await made_active(bench)
    await bench.close()
    await bench.images.delete(IMAGE)
    await bench.open()
    assert (bench.record().status, bench.record().message) == (S.ACTIVE, MISSING)
    await bench.build(a_build())
    async with asyncio.timeout(5):
        assert (await bench.given_up.get()).fault.code == "Unavailable"
