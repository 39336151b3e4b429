"""What a worker sees when it looks at its pool: its room, what has grown since, and what isn't its own."""

import pytest
from msgspec.structs import replace

from freehold import __version__
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Broken, Unavailable
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import Volume, VolumeState
from freehold.workers.volume.reconciler import REFUSAL_HORIZON_MS
from freehold.workers.volume.worker import RECONCILE_PERIOD_S
from tests.owners import turns
from tests.workers.volume.bench import OTHER, THIRD, VOLUME, Bench, a_drop, a_grow, a_make, a_remove

S = VolumeState


async def look(bench: Bench) -> None:
    await bench.worker._reconciler.look()


# --- room ------------------------------------------------------------------------------------------------------------


async def test_a_new_worker_says_what_its_pool_is(bench: Bench) -> None:
    said = bench.said()
    assert (said.id, said.name, said.cluster, said.driver) == (bench.store.id, "pool-1", "c", "simulated")
    assert (said.total_gib, said.used_gib, said.closed, said.version) == (100, 0, False, __version__)


async def test_types_are_as_the_worker_is_set_up_now(bench: Bench) -> None:
    bench.types = ("fast",)
    await bench.reopen()
    assert bench.said().types == ("fast",)


async def test_room_follows_the_driver_and_what_was_promised_stays(bench: Bench) -> None:
    await bench.made(size_gib=3)
    bench.pool.capacity_bytes = 50 * GIB
    await look(bench)
    assert (bench.said().total_gib, bench.said().used_gib, bench.said().volumes) == (50, 3, 1)


async def test_nothing_is_written_when_nothing_is_new(bench: Bench) -> None:
    await bench.made(size_gib=3)
    before = bench.store.position()
    await look(bench)
    await bench.reopen()
    assert bench.store.position() == before


@pytest.mark.parametrize("error", [Broken("The disk is away."), Unavailable("It is away.")], ids=["broken", "away"])
async def test_a_pool_that_can_not_be_used_is_closed_and_keeps_what_it_has(
    bench: Bench, error: Broken | Unavailable
) -> None:
    await bench.made(size_gib=3)
    bench.volumes.fail("pool", error)
    await look(bench)
    assert (bench.said().closed, bench.said().total_gib, bench.said().used_gib) == (True, 100, 3)
    await bench.ask(a_make(OTHER))
    refusal = bench.refusal(OTHER)
    assert refusal is not None and refusal.fault.code == "Unavailable"
    await look(bench)
    assert not bench.said().closed
    await bench.made(THIRD)


async def test_a_worker_whose_pool_was_never_seen_starts_and_takes_nothing(bench: Bench) -> None:
    await bench.close()
    (bench.folder / "volume.db").unlink()
    for verb in ("pool", "volumes", "tidy"):
        bench.volumes.fail(verb, Broken("The disk is away."))
    await bench.open()
    assert (bench.said().closed, bench.said().total_gib) == (True, 0)


async def test_it_looks_again_now_and_then(bench: Bench) -> None:
    await turns()
    bench.pool.capacity_bytes = 50 * GIB
    for total_gib in (50, 60):
        bench.pool.capacity_bytes = total_gib * GIB
        bench.clock.move(RECONCILE_PERIOD_S)
        await turns()
        assert bench.said().total_gib == total_gib


# --- sizes -----------------------------------------------------------------------------------------------------------


async def test_a_store_that_was_put_back_learns_what_has_grown(bench: Bench) -> None:
    held = await bench.made(size_gib=2)
    await bench.ask(a_grow(5))
    await bench.settled()
    bench.worker._records.keep(held, "an old copy")
    await bench.reopen()
    assert bench.volume().spec.size_gib == bench.said().used_gib == 5


async def test_bytes_that_are_less_than_was_promised_change_nothing(bench: Bench) -> None:
    await bench.made(size_gib=2)
    name = bench.pool.volumes[VOLUME].chain.top.name
    bench.pool.volumes[VOLUME].sizes_bytes[name] = GIB
    await look(bench)
    assert bench.volume().spec.size_gib == 2


async def test_one_volume_that_can_not_be_looked_at_is_no_reason_not_to_look_at_the_others(bench: Bench) -> None:
    for volume in (VOLUME, OTHER):
        await bench.made(volume)
        bench.pool.volumes[volume].sizes_bytes[bench.pool.volumes[volume].chain.top.name] = 2 * GIB
    bench.volumes.fail("look", Broken("It is damaged."))
    await look(bench)
    assert [bench.volume(volume).spec.size_gib for volume in (VOLUME, OTHER)] == [1, 2]


async def test_what_is_half_done_is_not_measured(bench: Bench) -> None:
    await bench.made(size_gib=2)
    bench.volumes.hold("extend")
    await bench.ask(a_grow(5))
    await turns()
    bench.pool.volumes[VOLUME].sizes_bytes[bench.pool.volumes[VOLUME].chain.top.name] = 5 * GIB
    await look(bench)
    assert (bench.volume().state, bench.volume().spec.size_gib) == (S.EXTENDING, 2)
    bench.volumes.let_go()
    await bench.settled()
    assert bench.volume().spec.size_gib == 5


# --- what isn't its own, and what is left over -----------------------------------------------------------------------


async def test_strangers_are_left_alone(bench: Bench) -> None:
    await bench.volumes.make(VolumePlan(volume=OTHER, size_bytes=GIB))
    await look(bench)
    await bench.reopen()
    assert OTHER in bench.pool.volumes and bench.store.read_as(Volume, OTHER) is None


async def test_a_pool_that_can_not_be_listed_or_tidied_is_no_reason_not_to_start(bench: Bench) -> None:
    await bench.made()
    bench.volumes.fail("volumes", Broken("The disk is away."))
    bench.volumes.fail("tidy", Broken("The disk is away."))
    await bench.reopen()
    await bench.made(OTHER)


async def test_what_deleted_snapshots_held_is_given_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tidied: list[bool] = []

    async def tidy() -> None:
        tidied.append(True)

    monkeypatch.setattr(bench.volumes, "tidy", tidy)
    await look(bench)
    assert tidied == [True]


async def test_that_something_was_deleted_is_known_for_a_month(bench: Bench) -> None:
    await bench.ask(a_remove())
    await bench.ask(a_drop())
    bench.clock.now_s += REFUSAL_HORIZON_MS / 1000 - 1
    await look(bench)
    assert bench.gone()
    bench.clock.now_s += 2
    await look(bench)
    assert bench.refusal() is None


async def test_what_is_not_finished_is_worked_on_when_it_is_seen(bench: Bench) -> None:
    held = await bench.made()
    bench.worker._records.keep(replace(held, state=S.DELETING), "nobody woke it")
    await look(bench)
    await bench.settled()
    assert bench.gone()


async def test_the_pool_is_told_before_anything_else(bench: Bench) -> None:
    await bench.made()
    entries = bench.store.since(Position(epoch=bench.store.epoch)).entries
    assert entries[0].kind == "volume_pool"
