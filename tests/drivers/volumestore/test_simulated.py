"""What the simulated pool can do besides keeping its promises."""

import pytest

from freehold.drivers.volumestore.interface import VolumePlan
from freehold.drivers.volumestore.simulated import BLOCK_BYTES, SimulatedPool, SimulatedVolumeStore
from freehold.vocabulary.attachment import Export
from freehold.vocabulary.errors import BadRequest, Forbidden, NoRoom, Unavailable
from freehold.vocabulary.units import GIB

VOLUME = "0cca1991-394f-430f-bed5-f0ca5be05779"
A = "0000000a-394f-430f-bed5-f0ca5be05779"
B = "0000000b-394f-430f-bed5-f0ca5be05779"
EXPORT = Export(volume=VOLUME, number=1, reader=A)


@pytest.fixture
async def store() -> SimulatedVolumeStore:
    store = SimulatedVolumeStore(SimulatedPool(capacity_bytes=4 * BLOCK_BYTES))
    await store.make(VolumePlan(volume=VOLUME, size_bytes=GIB))
    await store.export(EXPORT)
    return store


async def test_a_checker_sees_who_wrote_what(store: SimulatedVolumeStore) -> None:
    store.connect(VOLUME, 1, A).write(7, b"by A")
    assert store.on_machine.volumes[VOLUME].now() == {7: b"by A"}


async def test_a_reader_stays_connected_until_its_export_is_withdrawn(store: SimulatedVolumeStore) -> None:
    reader = store.connect(VOLUME, 1, A)
    reader.write(0, b"first")
    await store.take_snapshot(VOLUME, B)
    await store.extend(VOLUME, 2 * GIB)
    reader.write(0, b"second")
    await store.withdraw(VOLUME, 1)
    with pytest.raises(Unavailable):
        reader.write(0, b"late")
    await store.export(Export(volume=VOLUME, number=1, reader=B))
    with pytest.raises(Unavailable):
        reader.read(0)
    assert store.connect(VOLUME, 1, B).read(0) == b"second"
    with pytest.raises(Forbidden):
        store.connect(VOLUME, 1, A)
    with pytest.raises(Unavailable):
        store.connect(VOLUME, 2, A)


async def test_writers_can_fill_the_pool(store: SimulatedVolumeStore) -> None:
    reader = store.connect(VOLUME, 1, A)
    for block in range(4):
        reader.write(block, b"x")
    reader.write(0, b"y")
    with pytest.raises(NoRoom):
        reader.write(4, b"x")
    assert (await store.pool()).free_bytes == 0


async def test_blocks_have_bounds(store: SimulatedVolumeStore) -> None:
    reader = store.connect(VOLUME, 1, A)
    for block in (-1, GIB // BLOCK_BYTES):
        with pytest.raises(BadRequest):
            reader.read(block)
    with pytest.raises(BadRequest):
        reader.write(0, bytes(BLOCK_BYTES + 1))


async def test_verbs_fail_as_often_as_they_are_told_to(store: SimulatedVolumeStore) -> None:
    for _ in range(2):
        store.fail("withdraw", Unavailable("Not now."))
    with pytest.raises(Unavailable):
        await store.withdraw(VOLUME, 1)
    store.mend()
    await store.withdraw(VOLUME, 1)
    assert await store.exports() == ()
