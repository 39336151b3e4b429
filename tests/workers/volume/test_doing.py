"""One thing at a time is done to each volume, until nothing is left to be done: by this process or the next."""

import asyncio
import re

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NoRoom, NotFound, Unavailable
from freehold.vocabulary.volume import Snapshot, SourceKind, Volume, VolumeState
from freehold.workers.volume.doing import AGAIN_S
from tests.owners import turns, until
from tests.workers.volume.bench import (
    CONTENT,
    IMAGE,
    OTHER,
    OTHER_SNAPSHOT,
    SNAPSHOT,
    THIRD,
    VOLUME,
    Bench,
    a_drop,
    a_grow,
    a_make,
    a_remove,
    a_take,
    an_export,
    an_offer,
    of,
)

S = VolumeState
FINAL = [NoRoom("It is full."), Broken("The disk is broken."), BadRequest("It is wrong."), Conflict("It is in use.")]
FOR_NOW = Unavailable("The server is away.")


def ids(errors: FreeholdError) -> str:
    return type(errors).__name__


# --- one at a time ---------------------------------------------------------------------------------------------------


async def test_one_thing_at_a_time_is_done_to_each_volume_and_volumes_do_not_wait_for_one_another(bench: Bench) -> None:
    await bench.made()
    bench.volumes.hold("take_snapshot")
    await bench.ask(a_take())
    await bench.ask(a_take(OTHER_SNAPSHOT))
    await bench.ask(a_grow(2))
    await bench.ask(a_make(OTHER))
    await until(lambda: bench.volume(OTHER).state is S.AVAILABLE)
    assert bench.volumes.running == [VOLUME], "the other one is done meanwhile"
    bench.volumes.let_go()
    await bench.settled()
    assert not bench.volumes.at_once
    assert bench.pool.volumes[VOLUME].chain.snapshots == (SNAPSHOT, OTHER_SNAPSHOT)
    assert bench.volume().spec.size_gib == 2


async def test_many_wakes_are_one_try(bench: Bench) -> None:
    bench.volumes.hold("make")
    for _ in range(5):
        await bench.ask(a_make())
    await until(lambda: bench.volumes.running)
    bench.worker._doing.wake_all()
    await turns()
    bench.volumes.let_go()
    await bench.settled()
    assert bench.volumes.calls == [("make", VOLUME)]


async def test_a_snapshot_goes_before_its_volume_does(bench: Bench) -> None:
    await bench.made()
    await bench.taken()
    await bench.ask(a_drop())
    await bench.settled()
    await bench.ask(a_remove())
    await bench.settled()
    assert [verb for verb, _ in bench.volumes.calls] == ["make", "take_snapshot", "delete_snapshot", "delete"]


async def test_nothing_is_done_that_the_disk_does_not_know_of(bench: Bench) -> None:
    bench.disk.clear()
    asking = asyncio.create_task(bench.ask(a_make()))
    await turns()
    assert not bench.volumes.calls and not asking.done()
    bench.disk.set()
    await asking
    await bench.settled()
    assert bench.volumes.calls == [("make", VOLUME)]


# --- what fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", FINAL, ids=ids)
async def test_what_can_not_be_made_is_refused_and_nothing_stays_of_it(bench: Bench, error: FreeholdError) -> None:
    bench.volumes.fail("make", error)
    await bench.ask(a_make(number=3))
    await bench.settled()
    refusal = bench.refusal()
    assert refusal is not None
    assert (refusal.number, refusal.deleted, refusal.fault) == (3, False, error.fault())
    assert bench.store.read_as(Volume, VOLUME) is None
    assert bench.said().used_gib == bench.said().volumes == 0
    assert ("delete", VOLUME) in bench.volumes.calls, "what was half made is taken away"
    assert VOLUME not in bench.pool.volumes


@pytest.mark.parametrize("error", FINAL, ids=ids)
async def test_a_snapshot_that_can_not_be_taken_is_refused(bench: Bench, error: FreeholdError) -> None:
    await bench.made()
    bench.volumes.fail("take_snapshot", error)
    await bench.ask(a_take())
    await bench.settled()
    refusal = bench.refusal(SNAPSHOT)
    assert refusal is not None and (refusal.deleted, refusal.fault) == (False, error.fault())
    assert bench.store.read_as(Snapshot, SNAPSHOT) is None
    assert ("delete_snapshot", VOLUME) in bench.volumes.calls
    assert (bench.said().used_gib, bench.said().snapshots) == (1, 0)


async def test_bytes_of_what_failed_are_taken_away_before_it_is_said(bench: Bench) -> None:
    bench.volumes.fail("make", Broken("The disk is broken."))
    for _ in range(3):
        bench.volumes.fail("delete", Broken("The disk is still broken."))
    await bench.ask(a_make())
    await until(lambda: ("delete", VOLUME) in bench.volumes.calls)
    await turns()
    assert bench.refusal() is None and bench.volume().state is S.CREATING
    assert bench.said().used_gib == 1, "its room isn't another's yet"
    bench.volumes.mend()
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE, "it is tried as a whole again"


@pytest.mark.parametrize("verb", ["make", "take_snapshot", "extend", "delete", "delete_snapshot"])
async def test_what_may_succeed_later_is_tried_again_after_a_pause(bench: Bench, verb: str) -> None:
    if verb != "make":
        await bench.made()
    if verb == "delete_snapshot":
        await bench.taken()
    asked = {
        "make": a_make(),
        "take_snapshot": a_take(),
        "extend": a_grow(2),
        "delete": a_remove(),
        "delete_snapshot": a_drop(),
    }
    bench.volumes.calls.clear()
    for _ in range(2):
        bench.volumes.fail(verb, FOR_NOW)
    began_s = bench.clock.now_s
    await bench.ask(asked[verb])
    await bench.settled()
    assert bench.volumes.calls == [(verb, VOLUME)] * 3
    assert bench.clock.now_s - began_s >= 2 * AGAIN_S
    assert bench.refusal(SNAPSHOT) is None or verb == "delete_snapshot"


@pytest.mark.parametrize("error", [Broken("The disk is broken."), Conflict("It is exported.")], ids=ids)
async def test_what_is_to_be_deleted_is_tried_until_it_is_gone(bench: Bench, error: FreeholdError) -> None:
    await bench.made()
    for _ in range(5):
        bench.volumes.fail("delete", error)
    await bench.ask(a_remove())
    await bench.moving(lambda: len(bench.volumes.calls) >= 4)
    assert bench.volume().state is S.DELETING and bench.refusal() is None
    await bench.settled()
    assert bench.gone()


async def test_a_volume_that_is_still_read_is_not_said_to_be_gone(bench: Bench) -> None:
    await bench.made()
    await bench.volumes.export(an_export())
    for _ in range(2):
        bench.volumes.fail("withdraw", FOR_NOW)
    await bench.ask(a_remove(force=True))
    await bench.moving(lambda: bench.volume().state is S.DELETING)
    assert bench.pool.exports and not bench.gone()
    await bench.settled()
    assert bench.gone() and not bench.pool.exports


@pytest.mark.parametrize("error", FINAL, ids=ids)
async def test_what_can_not_grow_stays_as_it_was_and_says_why(bench: Bench, error: FreeholdError) -> None:
    await bench.made(size_gib=2)
    bench.volumes.fail("extend", error)
    await bench.ask(a_grow(5))
    await bench.settled()
    volume = bench.volume()
    assert (volume.state, volume.spec.size_gib, volume.grows_to_gib) == (S.AVAILABLE, 2, 0)
    assert (volume.refused_urn, volume.fault) == ("urn:grow", error.fault())
    assert bench.said().used_gib == 2, "what it was to have isn't promised any more"
    for asked in (a_grow(5), a_grow(3, urn="urn:another"), a_grow(5)):
        if asked.urn == "urn:grow":  # as it may come later, or doubled
            with pytest.raises(Conflict, match=re.escape(error.message)):
                await bench.ask(asked)
        else:
            await bench.ask(asked)
        await bench.settled()
    assert bench.volume().spec.size_gib == 3


# --- a delete that comes while it is made ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, Broken("The disk is broken."), FOR_NOW], ids=repr)
async def test_a_volume_that_is_deleted_while_it_is_made_is_gone(bench: Bench, error: FreeholdError | None) -> None:
    bench.volumes.hold("make")
    if error is not None:
        bench.volumes.fail("make", error)
    await bench.ask(a_make())
    await until(lambda: bench.volumes.running)
    await bench.ask(a_remove())
    assert bench.volume().state is S.DELETING and bench.refusal() is None
    assert bench.volumes.running == [VOLUME], "one thing at a time"
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone() and not bench.volumes.at_once
    assert bench.said().used_gib == 0


async def test_a_snapshot_that_is_deleted_while_it_is_taken_is_gone(bench: Bench) -> None:
    await bench.made()
    bench.volumes.hold("take_snapshot")
    await bench.ask(a_take())
    await until(lambda: bench.volumes.running)
    await bench.ask(a_drop())
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone(SNAPSHOT) and bench.volume().state is S.AVAILABLE


async def test_a_volume_that_goes_by_force_while_it_grows_is_gone(bench: Bench) -> None:
    await bench.made()
    bench.volumes.hold("extend")
    await bench.ask(a_grow(2))
    await until(lambda: bench.volumes.running)
    await bench.ask(a_remove(force=True))
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone() and bench.said().used_gib == 0


async def test_a_delete_that_comes_while_the_rest_of_what_failed_is_taken_away_is_for_good(bench: Bench) -> None:
    bench.volumes.fail("make", Broken("The disk is broken."))
    bench.volumes.hold("delete")
    await bench.ask(a_make())
    await until(lambda: ("delete", VOLUME) in bench.volumes.calls)
    await bench.ask(a_remove())
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone()


# --- what a killed process left --------------------------------------------------------------------------------------


async def test_what_a_killed_process_left_is_gone_on_with(bench: Bench) -> None:
    await bench.made(OTHER)
    await bench.made(THIRD)
    for verb in ("make", "extend", "delete"):
        bench.volumes.hold(verb)
    await bench.ask(a_make())
    await bench.ask(a_grow(2, OTHER))
    await bench.ask(a_remove(THIRD))
    await until(lambda: len(bench.volumes.running) == 3)
    await bench.reopen()
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE and VOLUME in bench.pool.volumes
    assert bench.volume(OTHER).spec.size_gib == 2
    assert bench.gone(THIRD)


async def test_snapshots_that_a_killed_process_left_are_gone_on_with(bench: Bench) -> None:
    await bench.made()
    await bench.taken(OTHER_SNAPSHOT)
    bench.volumes.hold("take_snapshot")
    await bench.ask(a_take())
    await until(lambda: bench.volumes.running)
    await bench.ask(a_drop(OTHER_SNAPSHOT))
    await bench.reopen()
    await bench.settled()
    assert bench.snapshot().state is S.AVAILABLE
    assert bench.gone(OTHER_SNAPSHOT)


async def test_a_delete_that_was_done_and_not_written_is_written(bench: Bench) -> None:
    await bench.made()
    bench.volumes.hold("delete")
    await bench.ask(a_remove())
    await until(lambda: ("delete", VOLUME) in bench.volumes.calls)
    del bench.pool.volumes[VOLUME]
    await bench.reopen()
    await bench.settled()
    assert bench.gone()


async def test_what_an_image_is_copied_from_is_asked_for_again_after_a_kill(bench: Bench) -> None:
    bench.volumes.hold("make_from_image")
    asked = a_make(source=of(SourceKind.IMAGE, IMAGE), offer=an_offer())
    await bench.ask(asked)
    await until(lambda: bench.volumes.running)
    await bench.reopen()
    await turns()
    assert bench.volume().state is S.CREATING, "its key was in memory alone"
    await bench.ask(asked)
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE
    assert bench.pool.volumes[VOLUME].now() == {0: CONTENT}


async def test_the_newest_offer_of_an_image_counts_and_is_let_go_of(bench: Bench) -> None:
    bench.images.faults[IMAGE] = FOR_NOW
    asked = a_make(source=of(SourceKind.IMAGE, IMAGE), offer=an_offer(checksum_sha256="old"))
    await bench.ask(asked)
    await turns()
    await bench.ask(replace(asked, offer=an_offer(checksum_sha256="new")))
    bench.images.faults.clear()
    await bench.settled()
    assert [name[37:] for name in bench.images._cached] == ["new"]
    assert not bench.worker._doing.offers


# --- a store that was put back to an old copy ------------------------------------------------------------------------


async def put_back_to_creating(bench: Bench, volume: str) -> None:
    """The store is one from before the volume's bytes were there."""
    held = bench.volume(volume)
    bench.worker._records.keep(replace(held, state=S.CREATING), "an old copy")
    await bench.reopen()


@pytest.mark.parametrize("kind", [SourceKind.VOLUME, SourceKind.SNAPSHOT])
async def test_a_copy_whose_source_is_gone_since_is_found_whole_and_stays(bench: Bench, kind: SourceKind) -> None:
    await bench.made(OTHER)
    await bench.taken(SNAPSHOT, OTHER)
    source = of(kind, OTHER if kind is SourceKind.VOLUME else SNAPSHOT)
    await bench.made(source=source)
    bench.write(VOLUME, 0, CONTENT)
    del bench.pool.volumes[OTHER]
    await put_back_to_creating(bench, VOLUME)
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE
    assert bench.pool.volumes[VOLUME].now() == {0: CONTENT}, "what a tenant has written since is there"


async def test_a_copy_of_an_image_that_is_whole_needs_no_image_any_more(bench: Bench) -> None:
    await bench.ask(a_make(source=of(SourceKind.IMAGE, IMAGE), offer=an_offer()))
    await bench.settled()
    await put_back_to_creating(bench, VOLUME)
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE


async def test_nothing_is_thrown_away_while_the_pool_can_not_say_whether_it_is_whole(bench: Bench) -> None:
    await bench.made()
    held = bench.volume()
    bench.worker._records.keep(replace(held, state=S.CREATING), "an old copy")
    await bench.close()
    for _ in range(4):
        bench.volumes.fail("look", Broken("The disk is away."))
    await bench.open()
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE and VOLUME in bench.pool.volumes
    assert ("delete", VOLUME) not in bench.volumes.calls


async def test_a_copy_of_a_snapshot_that_is_gone_is_refused(bench: Bench) -> None:
    await bench.made(OTHER)
    await bench.taken(SNAPSHOT, OTHER)
    del bench.pool.volumes[OTHER]
    await bench.ask(a_make(source=of(SourceKind.SNAPSHOT, SNAPSHOT)))
    await bench.settled()
    refusal = bench.refusal()
    assert refusal is not None and refusal.fault.code == NotFound.__name__
