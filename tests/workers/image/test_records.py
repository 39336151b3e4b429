"""What the image worker keeps, and what it tells nobody."""

from freehold.vocabulary.envelope import Position
from freehold.vocabulary.image import CreateImage
from freehold.workers.image.records import Records
from tests.workers.image.bench import IMAGE, OTHER, PROJECT, Bench, an_image


async def test_that_bytes_may_lie_there_outlives_the_record(bench: Bench) -> None:
    records = Records(bench.store)
    records.stage(an_image(), "test", held=True)
    records.stage_gone(IMAGE, "test")
    assert records.get(IMAGE) is None
    assert records.held() == {IMAGE}
    records.stage_cleared(IMAGE)
    assert not records.is_held(IMAGE)


async def test_a_projects_images_are_counted(bench: Bench) -> None:
    records = Records(bench.store)
    await bench.change(CreateImage(image=an_image()))
    await bench.change(CreateImage(image=an_image(OTHER, project="another")))
    assert [records.owned(project) for project in (PROJECT, "another", "a third")] == [1, 1, 0]


async def test_the_secret_of_the_door_is_made_once_and_never_told(bench: Bench) -> None:
    records = Records(bench.store)
    secret = records.door_key(lambda _: b"another", 32)
    assert len(secret) == 32
    assert secret == records.door_key(lambda _: b"yet another", 32)
    rows = [row.value for row in bench.store.complete(("", "")).rows]
    told = [entry.value or b"" for entry in bench.store.since(Position(epoch=bench.store.epoch)).entries]
    assert all(secret not in value for value in rows + told)
