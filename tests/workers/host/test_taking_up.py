"""What a host does at its start with what is on its machine, before it says anything."""

import asyncio

import pytest
from msgspec.structs import replace

from freehold.store.database import Store, put
from freehold.vocabulary.errors import Conflict, Unavailable
from freehold.vocabulary.guest import GuestState, Power, Refusal
from freehold.vocabulary.request import Intent
from freehold.workers.host.reconciler import PERIOD_S
from freehold.workers.host.taking_up import AGAIN_S
from tests.workers.host.bench import GUEST, PROJECT, Bench, settled

S = GuestState
FAULT = Conflict("The build failed.").fault()


async def without_record(bench: Bench, refusal: Refusal, power: Power = Power.RUNNING) -> None:
    """A guest is here, and this disk was put back to when it had been refused, before it came."""
    await bench.running()
    if power is Power.OFF:
        await bench.hypervisor.stop(GUEST)
    await bench.kill()
    bench.lose_store()
    bench.store = await bench._store("host")
    await bench.store.commit([put(GUEST, refusal)], "an old copy of the disk")
    await bench.store.close()


@pytest.mark.parametrize("power", [Power.RUNNING, Power.OFF])
async def test_what_is_here_after_it_was_refused_came_after_that(bench: Bench, power: Power) -> None:
    """Who heard of the refusal would have the guest built elsewhere, beside this one."""
    await without_record(bench, Refusal(guest=GUEST, project=PROJECT, deed=1, urn="u", fault=FAULT), power)
    deed = bench.given[GUEST]
    assert deed is not None
    bench.deeds, bench.unseen = [deed], frozenset({GUEST})
    bench.intents[GUEST] = Intent(guest=GUEST, deed=deed)
    read = bench.store.position()
    await bench.open()
    assert bench.store.read_as(Refusal, GUEST) is None
    assert bench.store.since(read).complete_needed, "nobody reads now that it was refused"
    await bench.clock.advance(5 * PERIOD_S)
    assert bench.lost and set(bench.lost) == {GUEST}
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is power and held.disk_gib == 10
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is (S.RUNNING if power is Power.RUNNING else S.STOPPED))
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1


async def test_a_start_that_ends_in_the_middle_leaves_nobody_who_reads_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await without_record(bench, Refusal(guest=GUEST, project=PROJECT, deed=1, urn="u", fault=FAULT))
    read, begin_epoch = bench.store.position(), Store.begin_epoch

    async def killed(_store: Store, _epoch: str) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(Store, "begin_epoch", killed)
    with pytest.raises(RuntimeError, match="killed"):
        await bench.open()
    await bench.store.close()
    monkeypatch.setattr(Store, "begin_epoch", begin_epoch)
    await bench.open()
    assert bench.store.read_as(Refusal, GUEST) is None
    assert bench.store.since(read).complete_needed


@pytest.mark.parametrize("field", ["deleted", "kept_copy"])
async def test_what_was_deleted_or_is_kept_apart_stays_so(bench: Bench, field: str) -> None:
    refusal = Refusal(guest=GUEST, project=PROJECT, deed=1, urn="u", fault=FAULT)
    await without_record(bench, replace(refusal, **{field: True}))
    await bench.open()
    assert bench.refusal().deed == 1


async def test_a_refusal_of_which_nothing_is_here_stays(bench: Bench) -> None:
    bench.hypervisor.fail("make_disk", Unavailable("the machine is busy"))
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is None)
    await bench.kill()
    await bench.open()
    assert bench.refusal().deed == 1


async def test_nothing_is_told_before_the_machine_was_looked_at(bench: Bench) -> None:
    await without_record(bench, Refusal(guest=GUEST, project=PROJECT, deed=1, urn="u", fault=FAULT))
    for _ in range(3):
        bench.hypervisor.fail("guests", Unavailable("the machine is busy"))
    told: list[bytes] = []

    async def hear(body: bytes) -> None:
        told.append(body)

    await bench.bus.subscribe(f"freehold.event.c.host.{(await store_id(bench))}", hear)
    opening = asyncio.ensure_future(bench.open())
    await settled()
    assert not opening.done() and not told
    await bench.clock.advance(3 * AGAIN_S)
    await opening
    assert bench.store.read_as(Refusal, GUEST) is None
    assert await bench.fabric.plugged() == {GUEST}, "it may be that guest's"


async def store_id(bench: Bench) -> str:
    """The id of the host's store, which is closed."""
    store = await bench._store("host")
    await store.close()
    return store.id
