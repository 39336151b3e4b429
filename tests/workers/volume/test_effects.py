"""What is done to the bytes of a pool: each of it may come again, and an end that is reached already is no error."""

from pathlib import Path

import pytest

from freehold.drivers.volumestore.simulated import BLOCK_BYTES, SimulatedPool, SimulatedVolumeStore
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest, Broken, NotFound, Unavailable
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import SourceKind
from freehold.workers.volume.effects import Effects
from tests.owners import HandClock
from tests.workers.volume.bench import (
    CONTENT,
    IMAGE,
    OTHER,
    SNAPSHOT,
    VOLUME,
    Images,
    a_snapshot,
    a_spec,
    a_volume,
    an_export,
    an_offer,
    of,
)

OF_IMAGE = a_spec(1, source=of(SourceKind.IMAGE, IMAGE))


class World:
    """Effects over a pool and a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.pool = SimulatedPool(capacity_bytes=10 * GIB)
        self.volumes, self.images = SimulatedVolumeStore(self.pool), Images(HandClock(), folder)
        self.effects = Effects(self.volumes, self.images, offload_inline)

    def size_gib(self, volume: str = VOLUME) -> int:
        return self.pool.volumes[volume].size_bytes // GIB

    def write(self, volume: str, content: bytes) -> None:
        """Writes the first block, as a guest would."""
        held = self.pool.volumes[volume]
        held.blocks[held.chain.top.name][0] = content


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_room_is_what_the_driver_says(world: World) -> None:
    room = await world.effects.room()
    assert (room.driver, room.capacity_bytes) == ("simulated", 10 * GIB)


async def test_an_empty_volume_is_made_once(world: World) -> None:
    await world.effects.make(a_volume(size_gib=2), None, "")
    world.write(VOLUME, CONTENT)
    await world.effects.make(a_volume(size_gib=2), None, "")
    assert world.size_gib() == 2 and world.pool.volumes[VOLUME].now() == {0: CONTENT}


async def test_a_volume_begins_with_the_image_that_it_is_offered(world: World) -> None:
    await world.effects.make(a_volume(spec=OF_IMAGE), an_offer(), IMAGE)
    assert world.pool.volumes[VOLUME].now() == {0: CONTENT}
    assert world.images.fetched == [IMAGE]


async def test_without_an_offer_it_waits(world: World) -> None:
    with pytest.raises(Unavailable, match=VOLUME):
        await world.effects.make(a_volume(spec=OF_IMAGE), None, IMAGE)
    assert not world.pool.volumes


async def test_an_image_that_can_not_be_fetched_or_read_leaves_nothing(world: World) -> None:
    world.images.faults[IMAGE] = Unavailable("the image worker is away.")
    with pytest.raises(Unavailable):
        await world.effects.make(a_volume(spec=OF_IMAGE), an_offer(), IMAGE)
    world.images.faults.clear()
    with pytest.raises(BadRequest):
        await world.effects.make(a_volume(spec=OF_IMAGE), an_offer(disk_format="qcow2"), IMAGE)
    assert not world.pool.volumes


@pytest.mark.parametrize("kind", [SourceKind.VOLUME, SourceKind.SNAPSHOT])
async def test_a_copy_is_of_what_was_asked_for(world: World, kind: SourceKind) -> None:
    await world.effects.make(a_volume(OTHER), None, "")
    world.write(OTHER, CONTENT)
    await world.effects.take(a_snapshot(volume=OTHER))
    world.write(OTHER, b"\x01" * BLOCK_BYTES)
    source = of(kind, OTHER if kind is SourceKind.VOLUME else SNAPSHOT)
    await world.effects.make(a_volume(spec=a_spec(2, source=source)), None, OTHER)
    wanted = CONTENT if kind is SourceKind.SNAPSHOT else b"\x01" * BLOCK_BYTES
    assert world.pool.volumes[VOLUME].now() == {0: wanted} and world.size_gib() == 2


async def test_it_grows_to_what_is_asked_and_may_be_told_so_twice(world: World) -> None:
    await world.effects.make(a_volume(), None, "")
    for _ in range(2):
        await world.effects.grow(a_volume(grows_to_gib=3))
        assert world.size_gib() == 3
    assert await world.effects.size_gib(VOLUME) == 3


async def test_what_is_gone_is_removed_again_without_an_error(world: World) -> None:
    await world.effects.make(a_volume(), None, "")
    await world.effects.take(a_snapshot())
    for _ in range(2):
        await world.effects.remove_snapshot(a_snapshot())
    for _ in range(2):
        await world.effects.remove(VOLUME)
    await world.effects.remove_snapshot(a_snapshot())
    assert not world.pool.volumes


async def test_what_is_there_and_what_is_not(world: World) -> None:
    effects = world.effects
    assert not await effects.has(a_volume()) and not await effects.has(a_snapshot())
    assert not await effects.lie_here(VOLUME) and await effects.size_gib(VOLUME) == 0
    await effects.make(a_volume(), None, "")
    assert await effects.has(a_volume()) and not await effects.has(a_snapshot())
    assert await effects.lie_here(VOLUME)
    await effects.take(a_snapshot())
    assert await effects.has(a_snapshot())


async def test_bytes_that_are_half_made_lie_here_and_are_no_volume(world: World) -> None:
    world.volumes._arriving[VOLUME] = None
    assert await world.effects.lie_here(VOLUME) and not await world.effects.has(a_volume())


async def test_a_pool_that_does_not_answer_is_not_taken_for_an_empty_one(world: World) -> None:
    for _ in range(2):
        world.volumes.fail("look", Unavailable("the disk is away."))
    world.volumes.fail("volumes", Unavailable("the disk is away."))
    with pytest.raises(Unavailable):
        await world.effects.has(a_volume())
    with pytest.raises(Unavailable):
        await world.effects.size_gib(VOLUME)
    with pytest.raises(Unavailable):
        await world.effects.lie_here(VOLUME)


async def test_looking_for_strangers_and_tidying_are_no_reason_to_stop(world: World) -> None:
    world.volumes.fail("volumes", Broken("the disk is away."))
    await world.effects.strangers(frozenset())
    world.volumes.fail("tidy", Broken("the disk is away."))
    await world.effects.tidy(frozenset())


async def test_of_fetched_images_those_stay_of_which_a_copy_is_being_made(world: World) -> None:
    wanted, other = an_offer(), an_offer(OTHER)
    paths = [await world.images.fetch(offer) for offer in (wanted, other)]
    await world.effects.tidy(frozenset({wanted.id}))
    assert [path.exists() for path in paths] == [True, False]


async def test_strangers_are_left_alone(world: World) -> None:
    await world.effects.make(a_volume(), None, "")
    await world.effects.strangers(frozenset({OTHER}))
    assert VOLUME in world.pool.volumes


async def test_what_was_exported_stays_so_when_the_worker_lets_go(world: World) -> None:
    await world.effects.make(a_volume(), None, "")
    await world.volumes.export(an_export())
    await world.effects.close()
    assert len(await world.volumes.exports()) == 1


async def test_errors_of_the_pool_reach_who_does_it(world: World) -> None:
    with pytest.raises(NotFound):
        await world.effects.make(a_volume(spec=a_spec(1, source=of(SourceKind.VOLUME, OTHER))), None, OTHER)
    with pytest.raises(NotFound):
        await world.effects.take(a_snapshot())
    with pytest.raises(NotFound):
        await world.effects.grow(a_volume(grows_to_gib=2))
