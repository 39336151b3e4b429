"""A host whose process or machine ends, and the next one."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Conflict, NotFound, Unavailable
from freehold.vocabulary.guest import (
    GuestState,
    Power,
    Refusal,
    Start,
)
from freehold.vocabulary.host import Discard, Fenced
from freehold.vocabulary.request import Intent
from freehold.vocabulary.shards import Shards
from freehold.workers.host.clearance import FENCED_AGAIN_S, UNREAD_AGAIN_S_MAX
from freehold.workers.host.reconciler import PERIOD_S
from freehold.workers.host.worker import CLEARANCE_WAIT_S
from tests.workers.host.bench import (
    GUEST,
    OTHER,
    PROJECT,
    Bench,
    a_spec,
    delete,
    settled,
    start,
    stop,
)

S = GuestState
TWO = Shards(2)

BUILDING = [
    ("fetch", S.FETCHING_IMAGE),
    ("make_disk", S.MAKING_DISK),
    ("plug", S.WIRING),
    ("launch", S.LAUNCHING),
]


@pytest.mark.parametrize(("verb", "state"), BUILDING)
async def test_a_killed_host_goes_on_where_it_was(bench: Bench, verb: str, state: GuestState) -> None:
    bench.hold(verb)
    await bench.send(bench.build())
    assert bench.state() is state
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.state() is S.RUNNING)
    held = bench.hypervisor.look(GUEST)
    assert list(bench.guests()) == [GUEST]
    assert held is not None and held.boots == 1
    bench.check()


async def test_a_killed_host_finishes_a_delete(bench: Bench) -> None:
    await bench.running()
    bench.hold("remove")
    await bench.ask(delete())
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None


async def test_guests_run_on_and_are_not_started_again(bench: Bench) -> None:
    await bench.running()
    seq = bench.store.position().seq
    await bench.kill()
    await bench.open()
    await bench.clock.advance(PERIOD_S)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    assert bench.state() is S.RUNNING
    assert bench.store.position().seq == seq + 1  # the host's own record


async def test_a_restarted_machine_runs_what_ran(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.kill()
    bench.hypervisor.restart_machine("second boot")
    await bench.open()
    await bench.until(lambda: bench.guest(OTHER).boot_count == 2)
    held = bench.hypervisor.look(OTHER)
    assert held is not None and held.boots == 2 and bench.state(OTHER) is S.RUNNING
    assert bench.state() is S.STOPPED
    assert bench.host().boot == "second boot"


async def test_no_guest_is_started_before_the_registrar_was_asked(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    bench.hypervisor.restart_machine("second boot")
    await bench.open()
    await bench.clock.advance(60)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    assert bench.state() is S.RUNNING, "what it was isn't forgotten while nobody answers"
    asking = asyncio.create_task(bench.ask(start()))
    await settled()
    await bench.clock.advance(4)
    with pytest.raises(Unavailable):
        await asking
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed, delete_urn="delete-9")
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.state() is None
    assert bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None


async def test_a_build_in_its_last_step_waits_for_the_registrar_as_well(bench: Bench) -> None:
    bench.hold("launch")
    await bench.send(bench.build())
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    await bench.open()
    await bench.clock.advance(60)
    assert bench.state() is S.LAUNCHING
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 0
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.state() is S.RUNNING


@pytest.mark.parametrize("verb", ["make_disk", "launch"])
async def test_a_guest_that_has_run_is_kept_by_a_host_put_back_to_its_build(bench: Bench, verb: str) -> None:
    bench.hold(verb)
    await bench.send(bench.build())
    await bench.kill()
    deed = bench.build().deed
    assert deed is not None
    bench.deeds, bench.intents[GUEST] = [deed], Intent(guest=GUEST, deed=deed, has_run=True)
    bench.hypervisor.fail(verb, Unavailable("the machine is busy"))
    await bench.open()
    await bench.clock.advance(60)
    assert bench.state() is not None and set(bench.lost) == {GUEST}
    assert bench.hypervisor.look(GUEST) is not None or verb == "make_disk", "what there was of it is there"


@pytest.mark.parametrize("verb", ["make_disk", "launch"])
async def test_a_guest_whose_deed_was_refused_isnt_run_by_a_host_put_back_to_before_that(
    bench: Bench, verb: str
) -> None:
    """Its addresses may be another's by now."""
    bench.hold(verb)
    await bench.send(bench.build())
    await bench.kill()
    deed = bench.build().deed
    assert deed is not None
    bench.intents[GUEST] = Intent(guest=GUEST, deed=deed, refused_deed=deed.number, failed=True)
    await bench.open()
    await bench.clock.advance(60)
    assert bench.state() is S.QUARANTINED
    held = bench.hypervisor.look(GUEST)
    assert held is None or held.boots == 0
    assert not await bench.fabric.plugged()


async def test_a_guest_that_came_back_and_was_refused_isnt_run_by_a_host_put_back_to_before_it_left(
    bench: Bench,
) -> None:
    """It was evacuated, and sent here again under a higher deed, which this host refused for the sake of its copy."""
    await bench.running()
    deed = bench.build(deed=3).deed
    bench.intents[GUEST] = Intent(guest=GUEST, deed=deed, refused_deed=3, failed=True)
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.state() is S.QUARANTINED)
    assert bench.guest().deed == 1
    await bench.until(lambda: (held := bench.hypervisor.look(GUEST)) is not None and held.power is Power.OFF)
    assert not await bench.fabric.plugged()


async def test_a_build_that_failed_is_taken_apart_when_the_registrar_was_heard(bench: Bench) -> None:
    bench.hold("make_disk")
    await bench.send(bench.build())
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    bench.hypervisor.fail("make_disk", Unavailable("the machine is busy"))
    await bench.open()
    await bench.clock.advance(60)
    assert bench.state() is S.REFUSING
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.state() is None
    assert not bench.refusal().deleted


@pytest.mark.parametrize("over", ["ended", "failed", "has_run"])
async def test_a_late_build_of_a_guest_that_is_over_or_has_run_is_not_taken(bench: Bench, over: str) -> None:
    """One that has run here, and of which nothing is left, isn't built anew: the registrar sends it to be restored."""
    deed = None if over == "ended" else bench.build().deed
    bench.intents[GUEST] = replace(Intent(guest=GUEST, deed=deed), **{over: True})
    await bench.send(bench.build(), told=False)
    await settled()
    assert bench.state() is None
    assert bench.hypervisor.look(GUEST) is None


async def test_a_build_under_a_deed_that_the_registrar_hasnt_recorded_is_not_taken(bench: Bench) -> None:
    """Whoever can send to a host can't make up a guest."""
    bench.intents[GUEST] = Intent(guest=GUEST)
    await bench.send(bench.build(), told=False)
    bench.intents[GUEST] = Intent(guest=GUEST, deed=replace(bench.build().deed, host="another"))
    await bench.send(bench.build(), told=False)
    assert bench.state() is None and bench.hypervisor.look(GUEST) is None


async def test_a_registrar_that_has_not_read_this_start_clears_nothing(bench: Bench) -> None:
    """What an earlier process told, and this disk has lost, may reach it yet."""
    await bench.running()
    before = bench.store.position()
    await bench.kill()
    bench.read = before
    await bench.open()
    await bench.clock.advance(5 * UNREAD_AGAIN_S_MAX)
    assert not bench.worker.cleared
    another = replace(bench.store.position(), digest=bytes(16))
    bench.read = replace(another, seq=another.seq + 1)
    await bench.clock.advance(5 * UNREAD_AGAIN_S_MAX)
    assert not bench.worker.cleared, "it has read another history, which this disk doesn't have"
    bench.read = bench.store.position()
    await bench.clock.advance(UNREAD_AGAIN_S_MAX)
    assert bench.worker.cleared


async def test_a_build_isnt_taken_while_the_registrar_cant_be_asked(bench: Bench) -> None:
    await bench.until(lambda: bench.worker.cleared)
    assert bench.registrar is not None
    await bench.registrar.close()
    await bench.send(bench.build(), told=False)
    await settled()
    assert bench.state() is None
    await bench.open_registrar()
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_a_build_of_a_guest_that_is_here_without_a_record_restores_it(bench: Bench) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.kill()
    bench.lose_store()
    await bench.open()
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is S.STOPPED)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1, "it isn't made anew"


@pytest.mark.parametrize("here", [False, True], ids=["given to another host", "refused here"])
async def test_what_runs_without_a_record_is_stopped_and_kept_if_its_guest_is_not_this_hosts(
    bench: Bench, here: bool
) -> None:
    """It was launched here, and the disk was lost before anybody had heard of that."""
    await bench.running()
    build = bench.build()
    assert build.deed is not None
    await bench.kill()
    bench.lose_store()
    await bench.open()
    bench.intents[GUEST] = Intent(guest=GUEST, deed=build.deed)
    await bench.clock.advance(5 * PERIOD_S)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.RUNNING, "it may be on its way, and be restored"
    with pytest.raises(NotFound):
        await bench.ask(Discard(urn="d", host=bench.store.id, user="admin", guest=GUEST))
    elsewhere = build.deed if here else replace(build.deed, number=2, host="another")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere, refused_deed=1)
    await bench.clock.advance(5 * PERIOD_S)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.OFF and held.disk_gib == 10
    assert await bench.fabric.plugged() == frozenset(), "its addresses may be in use elsewhere"
    bench.intents[GUEST] = Intent(guest=GUEST, deed=replace(build.deed, number=3), refused_deed=1)
    await bench.clock.advance(5 * PERIOD_S)
    with pytest.raises(NotFound):
        await bench.ask(Discard(urn="d", host=bench.store.id, user="admin", guest=GUEST))
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere, refused_deed=1)
    await bench.clock.advance(5 * PERIOD_S)
    await bench.ask(Discard(urn="d", host=bench.store.id, user="admin", guest=GUEST))
    assert bench.hypervisor.look(GUEST) is None


async def test_what_runs_without_a_record_goes_if_its_guest_was_deleted(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    bench.lose_store()
    bench.intents[GUEST] = Intent(guest=GUEST, ended=True)
    await bench.open()
    await bench.clock.advance(5 * PERIOD_S)
    assert bench.hypervisor.look(GUEST) is None


async def test_a_build_that_was_withdrawn_leaves_no_tombstone(bench: Bench) -> None:
    """Its guest was to leave a dead host, which failed, and it is tried again: this host may be chosen once more."""
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build(deed=3).deed)
    await bench.ask(replace(delete(deed=2), unless_run=True))
    assert (bench.refusal().deed, bench.refusal().deleted) == (2, False)
    await bench.send(bench.build(deed=2))
    assert bench.state() is None
    await bench.send(bench.build(deed=3))
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_a_guest_given_to_another_host_is_stopped_and_its_disk_kept(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    elsewhere = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere)
    await bench.open()
    await bench.until(lambda: bench.guest().power is Power.OFF)
    assert bench.state() is S.QUARANTINED
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.OFF and held.disk_gib == 10
    assert await bench.fabric.plugged() == frozenset()
    with pytest.raises(Conflict):
        await bench.ask(start())


async def test_a_guest_that_another_host_has_goes_when_it_was_deleted(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    elsewhere = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere)
    await bench.open()
    await bench.clock.advance(60)
    assert bench.state() is S.QUARANTINED and bench.hypervisor.look(GUEST) is not None
    bench.intents[GUEST] = Intent(guest=GUEST, ended=True)
    await bench.clock.advance(60)
    assert bench.state() is None and bench.hypervisor.look(GUEST) is None
    assert bench.refusal().deleted


async def test_what_was_refused_stays_refused_when_the_old_copy_goes_that_was_in_its_way(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    elsewhere = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere)
    await bench.open()
    await bench.until(lambda: bench.state() is S.QUARANTINED)
    await bench.send(bench.build(deed=3))
    await bench.until(lambda: bench.store.read_as(Refusal, GUEST) is not None)
    assert (bench.refusal().deed, bench.refusal().deleted) == (3, False)
    bench.intents[GUEST] = Intent(guest=GUEST, ended=True)
    await bench.clock.advance(60)
    assert bench.state() is None
    assert (bench.refusal().deed, bench.refusal().deleted) == (3, True)


async def test_nothing_is_wired_before_the_registrar_was_asked(bench: Bench) -> None:
    bench.hold("plug")
    await bench.send(bench.build())
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    await bench.open()
    await bench.clock.advance(60)
    assert await bench.fabric.plugged() == frozenset(), "by now its address may be another guest's"
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.state() is S.RUNNING and await bench.fabric.plugged() == {GUEST}


async def test_a_guest_that_was_never_told_of_keeps_its_room_on_a_new_disk(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    bench.lose_store()
    build = bench.build()
    assert build.deed is not None
    bench.deeds, bench.unseen = [build.deed], frozenset({GUEST})
    await bench.open()
    await bench.send(bench.build(OTHER, spec=a_spec(4096)))
    assert bench.guests() == {}, "whether it fits isn't known before the other is back"
    await bench.send(bench.build())
    await bench.clock.advance(60)
    await bench.send(bench.build(OTHER, spec=a_spec(4096)))
    assert bench.guests() == {GUEST: S.RUNNING}
    bench.check()


async def test_a_build_that_may_be_here_takes_no_room_that_a_lost_guest_has(bench: Bench) -> None:
    await bench.send(bench.build(OTHER, spec=a_spec(4096)))
    await bench.until(lambda: bench.state(OTHER) is S.RUNNING)
    await bench.kill()
    bench.lose_store()
    deed, lost = bench.build().deed, bench.build(OTHER).deed
    assert deed is not None and lost is not None
    bench.deeds, bench.unseen = [deed, lost], frozenset({GUEST})
    bench.hypervisor.fail("power", Unavailable("the machine is busy"))
    await bench.open()
    await bench.send(bench.build(spec=a_spec(4096)))
    assert bench.guests() == {}, "whether it is here couldn't be seen, and what the other takes isn't known"
    bench.intents[OTHER] = Intent(guest=OTHER, deed=lost)
    await bench.send(bench.build(OTHER, spec=a_spec(4096)))
    assert bench.guests() == {OTHER: S.RUNNING}
    bench.check()


async def test_a_build_that_is_on_its_way_holds_up_no_other(bench: Bench) -> None:
    await bench.kill()
    build = bench.build()
    assert build.deed is not None
    bench.deeds, bench.unseen = [build.deed], frozenset({GUEST})
    await bench.open()
    await bench.running(OTHER)
    assert bench.lost == ()


async def test_a_guest_keeps_its_port_while_its_record_is_lost(bench: Bench) -> None:
    await bench.running()
    build = bench.build()
    assert build.deed is not None
    bench.deeds = [build.deed]
    await bench.kill()
    bench.lose_store()
    await bench.open()
    await bench.clock.advance(3 * PERIOD_S)
    assert await bench.fabric.plugged() == {GUEST}
    bench.hypervisor.vanish(GUEST)
    await bench.clock.advance(3 * PERIOD_S)
    assert await bench.fabric.plugged() == frozenset(), "nobody runs here that could own it"


async def test_a_port_is_no_strangers_when_all_records_are_here(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    bench.lose_store()
    await bench.open()
    assert await bench.fabric.plugged() == {GUEST}
    await bench.clock.advance(3 * PERIOD_S)
    assert await bench.fabric.plugged() == frozenset(), "the registrar knows of no guest here"
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.RUNNING, "it is left alone all the same"


async def test_who_takes_a_guest_for_lost_is_told_again_of_it(bench: Bench) -> None:
    before = await bench.running()
    stands = bench.store.position()
    await bench.send(bench.build(restore=True))
    entries = bench.store.since(stands).entries
    assert [(entry.kind, entry.key) for entry in entries] == [("guest", GUEST)] and bench.guest() == before


async def test_a_guest_unknown_to_the_registrar_is_left(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    await bench.open()
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is S.RUNNING


async def test_a_shard_that_doesnt_answer_holds_back_only_its_own_guests(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TWO)
    await bench.begin()
    for guest, shard in ((GUEST, 0), (OTHER, 1)):
        build = bench.build(guest, project=of_shard(shard))
        assert build.deed is not None
        await bench.send(replace(build, deed=replace(build.deed, project=of_shard(shard))))
        await bench.until(lambda guest=guest: bench.state(guest) is S.RUNNING)  # type: ignore[misc]
    await bench.kill()
    await bench.others[0].close()
    bench.hypervisor.restart_machine("second boot")
    await bench.open()
    await bench.clock.advance(60)
    assert bench.guest(GUEST).boot_count == 2 and bench.guest(OTHER).boot_count == 1
    with pytest.raises(Unavailable):
        asking = asyncio.create_task(bench.ask(Start(urn="s", guest=OTHER, user="u", project=of_shard(1))))
        await settled()
        await bench.clock.advance(4)
        await asking
    assert bench.host().boot != "second boot", "the machine's restart hasn't been seen to for all"
    # The next process knows which guests were started again, and doesn't do it twice.
    await bench.kill()
    await bench.open()
    await bench.clock.advance(60)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 2 and bench.guest(GUEST).boot_count == 2
    assert bench.registrar is not None
    await bench.registrar.close()
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.guest(OTHER).boot_count == 2 and bench.guest(GUEST).boot_count == 2
    assert bench.host().boot == "second boot"
    bench.check()
    await bench.end()


def of_shard(shard: int) -> str:
    return next(name for name in "abcdefgh" if TWO.of(name) == shard)


# --- a host that is fenced


def gone_to(host: str, number: int = 2) -> Intent:
    return Intent(guest=GUEST, deed=Deed(guest=GUEST, project=PROJECT, number=number, host=host, cluster="c", urn="u"))


def fenced(bench: Bench) -> Fenced:
    return Fenced(urn="urn:f", host=bench.store.id, user="", shard=0)


async def test_a_fenced_host_that_comes_back_keeps_its_copies_off(bench: Bench) -> None:
    await bench.running()
    bench.fenced, bench.intents[GUEST] = True, gone_to("elsewhere")
    await bench.kill()
    bench.hypervisor.power_off(GUEST)
    await bench.open()
    await bench.until(lambda: bench.state() is S.QUARANTINED)
    assert not bench.worker.cleared
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.OFF and held.disk_gib, "its disk is kept"
    assert not await bench.fabric.plugged()
    bench.fenced = False
    await bench.clock.advance(FENCED_AGAIN_S)
    await bench.until(lambda: bench.worker.cleared)
    assert bench.worker._records.host().quarantined == 1
    bench.check()


async def test_a_host_that_is_told_that_it_is_fenced_starts_nothing_until_it_has_asked(bench: Bench) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    bench.fenced = True
    await bench.ask(fenced(bench))
    assert not bench.worker.cleared
    asked = asyncio.ensure_future(bench.ask(start()))
    await settled()
    await bench.clock.advance(CLEARANCE_WAIT_S)
    with pytest.raises(Unavailable, match="is fenced, and starts no guest"):
        await asked
    bench.fenced = False
    await bench.ask(fenced(bench))
    await bench.until(lambda: bench.worker.cleared)
    assert bench.state() is S.STOPPED
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_one_that_runs_on_behind_a_cut_cable_stops_what_has_left(bench: Bench) -> None:
    await bench.running()
    bench.fenced, bench.intents[GUEST] = True, gone_to("elsewhere")
    await bench.ask(fenced(bench))
    await bench.until(lambda: bench.state() is S.QUARANTINED)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.OFF


async def test_a_copy_goes_by_its_operators_word_alone(bench: Bench) -> None:
    await bench.running()
    order = Discard(urn="urn:d", host=bench.store.id, user="op", guest=GUEST)
    with pytest.raises(Conflict, match="can't be asked to discard"):
        await bench.ask(order)
    bench.fenced, bench.intents[GUEST] = True, gone_to("elsewhere")
    await bench.ask(fenced(bench))
    await bench.until(lambda: bench.state() is S.QUARANTINED)
    bench.fenced = False
    await bench.ask(fenced(bench))
    await bench.until(lambda: bench.worker.cleared)
    await bench.ask(order)
    await bench.until(lambda: bench.state() is None)
    assert bench.hypervisor.look(GUEST) is None
    refusal = bench.refusal()
    assert (refusal.deed, refusal.deleted) == (1, False), "it may come back here one day"
