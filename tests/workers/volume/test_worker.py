"""A volume worker, as the registrar and the API that ask it over the bus see it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Done, Frame
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NoRoom, NotFound, Unavailable
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import (
    LabelSnapshot,
    LabelVolume,
    ResetState,
    Snapshot,
    SourceKind,
    Volume,
    VolumeLabels,
    VolumeState,
)
from freehold.vocabulary.word import Word
from freehold.workers.refused import KEPT_MS
from freehold.workers.volume.lifecycle import LOST
from freehold.workers.volume.worker import RECONCILE_PERIOD_S
from tests.owners import kept, turns, until
from tests.workers.volume.bench import (
    CAPACITY_GIB,
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
    an_offer,
    of,
)

S = VolumeState


async def refused(bench: Bench, question: Word, error: type[FreeholdError]) -> FreeholdError:
    with pytest.raises(error) as caught:
        await bench.ask(question)
    assert type(caught.value) is error
    return caught.value


# --- from the first question to the last -----------------------------------------------------------------------------


async def test_a_volume_is_made_grown_and_deleted(bench: Bench) -> None:
    bench.volumes.hold("make")
    done = await bench.ask(a_make(size_gib=2))
    assert (done.store, done.key) == (bench.store.id, VOLUME)
    assert (bench.volume().state, bench.said().used_gib) == (S.CREATING, 2)
    bench.volumes.let_go()
    await bench.settled()
    volume = bench.volume()
    assert (volume.state, volume.spec.size_gib, volume.store) == (S.AVAILABLE, 2, bench.store.id)
    bench.volumes.hold("extend")
    assert (await bench.ask(a_grow(5))).key == VOLUME
    assert (bench.volume().state, bench.said().used_gib) == (S.EXTENDING, 5)
    bench.volumes.let_go()
    await bench.settled()
    assert (bench.volume().state, bench.volume().spec.size_gib) == (S.AVAILABLE, 5)
    assert bench.pool.volumes[VOLUME].size_bytes == 5 * GIB
    assert (await bench.ask(a_remove())).key == VOLUME
    await bench.settled()
    assert bench.gone() and (bench.said().used_gib, bench.said().volumes) == (0, 0)


async def test_a_snapshot_is_the_volume_as_it_was_and_a_copy_of_it_too(bench: Bench) -> None:
    await bench.made()
    bench.write(VOLUME, 0, CONTENT)
    assert (await bench.ask(a_take())).key == SNAPSHOT
    await bench.settled()
    bench.write(VOLUME, 0, b"later")
    copy = await bench.made(OTHER, 3, source=of(SourceKind.SNAPSHOT, SNAPSHOT))
    assert (copy.spec.size_gib, bench.pool.volumes[OTHER].now()) == (3, {0: CONTENT})
    of_volume = await bench.made(THIRD, 1, source=of(SourceKind.VOLUME, VOLUME))
    assert (of_volume.state, bench.pool.volumes[THIRD].now()) == (S.AVAILABLE, {0: b"later"})
    assert (bench.said().used_gib, bench.said().volumes, bench.said().snapshots) == (6, 3, 1)
    assert (await bench.ask(a_drop())).key == SNAPSHOT
    await bench.settled()
    assert bench.gone(SNAPSHOT) and bench.pool.volumes[OTHER].now() == {0: CONTENT}


async def test_a_volume_begins_with_an_image(bench: Bench) -> None:
    await bench.made(source=of(SourceKind.IMAGE, IMAGE), offer=an_offer())
    assert bench.pool.volumes[VOLUME].now() == {0: CONTENT}


async def test_every_change_is_told_when_it_is_durable(bench: Bench) -> None:
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def listener(frame: Frame) -> None:
        for entry in frame.entries:
            if entry.kind == "volume":
                state = "gone" if entry.value is None else decode(entry.value, Volume).state
                told.put_nowait((entry.kind, state))

    await talk.hear(bench.means.bus, subjects.events(bench.store.owner), Frame, listener)
    await bench.made()
    await bench.ask(a_remove())
    await bench.settled()
    async with asyncio.timeout(5):
        assert [(await told.get())[1] for _ in range(4)] == [S.CREATING, S.AVAILABLE, S.DELETING, "gone"]


async def test_nobody_is_answered_before_it_is_on_disk(bench: Bench) -> None:
    for question in (a_make(), a_remove(OTHER), a_make(THIRD, 1000)):
        bench.disk.clear()
        asking = asyncio.create_task(bench.ask(question))
        await turns()
        assert not asking.done()
        bench.disk.set()
        await asking
    await bench.settled()
    for refused_one in (a_grow(0), a_grow(2, OTHER, "urn:absent")):
        bench.disk.clear()
        refusing = asyncio.create_task(bench.ask(refused_one))
        await turns()
        assert not refusing.done(), "that it is refused must be known to the next process"
        bench.disk.set()
        with pytest.raises(FreeholdError):
            await refusing


async def test_from_beyond_its_cluster_it_is_asked_by_its_clusters_name(bench: Bench) -> None:
    bus, store = bench.means.bus, bench.store.id
    await talk.ask(bus, subjects.ask_pool(store, "c"), a_make(), Done)
    await bench.settled()
    labels = LabelVolume(volume=VOLUME, labels=VolumeLabels(name="far"), bootable=False)
    await talk.ask(bus, subjects.ask_volume(store, "c"), labels, Done)
    assert bench.volume().labels.name == "far"


async def test_labels_are_not_asked_for_where_volumes_are(bench: Bench) -> None:
    asked = LabelVolume(volume=VOLUME, labels=VolumeLabels(), bootable=False)
    with pytest.raises(BadRequest):
        await talk.ask(bench.means.bus, subjects.ask_pool(bench.store.id), asked, Done)
    with pytest.raises(BadRequest):
        await talk.ask(bench.means.bus, subjects.ask_volume(bench.store.id), a_remove(), Done)


async def test_labels_and_states_are_what_people_say(bench: Bench) -> None:
    await bench.made()
    await bench.taken()
    new = VolumeLabels(name="new")
    await bench.ask(LabelVolume(volume=VOLUME, labels=new, bootable=True))
    await bench.ask(LabelSnapshot(snapshot=SNAPSHOT, labels=new))
    await bench.ask(ResetState(id=SNAPSHOT, state=S.ERROR))
    assert (bench.volume().labels, bench.volume().spec.bootable) == (new, True)
    assert (bench.snapshot().labels, bench.snapshot().state) == (new, S.ERROR)
    await refused(bench, LabelVolume(volume=OTHER, labels=new, bootable=True), NotFound)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (a_make(OTHER, CAPACITY_GIB), "NoRoom"),
        (a_make(OTHER, 0), "BadRequest"),
        (a_make(OTHER, source=of(SourceKind.VOLUME, THIRD)), "NotFound"),
        (a_make(OTHER, source=of(SourceKind.VOLUME, VOLUME), project="another"), "NotFound"),
        (a_make(OTHER, 1, source=of(SourceKind.VOLUME, VOLUME)), "BadRequest"),
    ],
)
async def test_a_volume_that_can_not_be_made_is_refused_on_disk_and_that_is_no_error(
    bench: Bench, asked: Any, code: str
) -> None:
    await bench.made(size_gib=2)
    await bench.ask(asked)
    refusal = bench.refusal(OTHER)
    assert refusal is not None
    assert (refusal.number, refusal.urn, refusal.fault.code, refusal.deleted) == (1, asked.urn, code, False)
    assert OTHER not in bench.pool.volumes and bench.said().used_gib == 2


async def test_a_snapshot_that_can_not_be_taken_is_refused_on_disk(bench: Bench) -> None:
    await bench.ask(a_take())
    refusal = bench.refusal(SNAPSHOT)
    assert refusal is not None and (refusal.fault.code, refusal.deleted) == ("NotFound", False)


async def test_what_was_refused_under_a_number_may_be_asked_for_under_the_next(bench: Bench) -> None:
    await bench.made(OTHER, CAPACITY_GIB)
    await bench.ask(a_make())
    await bench.ask(a_remove(OTHER))
    await bench.settled()
    await bench.ask(a_make())
    assert bench.store.read_as(Volume, VOLUME) is None, "a request that comes late brings nothing back"
    await bench.ask(a_make(number=2))
    await bench.settled()
    assert (bench.volume().state, bench.volume().number) == (S.AVAILABLE, 2)


async def test_a_pool_promises_no_more_than_it_has(bench: Bench) -> None:
    await bench.made(size_gib=60)
    await bench.ask(a_make(OTHER, 41))
    assert bench.refusal(OTHER) is not None
    await bench.ask(a_take())
    assert bench.refusal(SNAPSHOT) is not None, "it could come to hold as much as the volume"
    await refused(bench, a_grow(101), NoRoom)
    await bench.ask(a_grow(100, urn="urn:again"))
    await bench.settled()
    assert bench.said().used_gib == bench.volume().spec.size_gib == CAPACITY_GIB


async def test_what_something_depends_on_is_not_deleted(bench: Bench) -> None:
    await bench.made()
    await bench.taken()
    await refused(bench, a_remove(urn="urn:1"), Conflict)
    await refused(bench, a_remove(urn="urn:2", force=True), Conflict)
    bench.volumes.hold("make_copy")
    await bench.ask(a_make(OTHER, source=of(SourceKind.SNAPSHOT, SNAPSHOT)))
    await until(lambda: bench.volumes.running)
    await refused(bench, a_drop(urn="urn:3"), Conflict)
    bench.volumes.let_go()
    await bench.settled()
    await bench.ask(a_drop(urn="urn:4"))
    await bench.settled()
    bench.volumes.hold("make_copy")
    await bench.ask(a_make(THIRD, source=of(SourceKind.VOLUME, VOLUME)))
    await refused(bench, a_remove(urn="urn:5"), Conflict)
    bench.volumes.let_go()
    await bench.settled()
    await bench.ask(a_remove(urn="urn:6"))
    await bench.settled()
    assert bench.gone() and bench.volume(OTHER).state is bench.volume(THIRD).state is S.AVAILABLE


async def test_what_grows_is_deleted_by_force_alone(bench: Bench) -> None:
    await bench.made()
    bench.volumes.hold("extend")
    await bench.ask(a_grow(2))
    await refused(bench, a_remove(urn="urn:1"), Conflict)
    await bench.ask(a_remove(urn="urn:2", force=True))
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone()


async def test_a_refused_request_that_comes_again_is_refused_again_whatever_has_changed(bench: Bench) -> None:
    await bench.made()
    await bench.taken()
    why = await refused(bench, a_remove(), Conflict)
    too_large = await refused(bench, a_grow(1000), NoRoom)
    absent = await refused(bench, a_grow(3, OTHER, "urn:absent"), NotFound)
    bench.volumes.hold("make_copy")
    await bench.ask(a_make(THIRD, source=of(SourceKind.SNAPSHOT, SNAPSHOT)))
    copied = await refused(bench, a_drop(), Conflict)
    bench.volumes.let_go()
    await bench.settled()
    await bench.ask(a_drop(urn="urn:another"))
    await bench.made(OTHER)
    await bench.settled()
    bench.pool.capacity_bytes = 5000 * GIB
    await bench.reopen()
    assert (await refused(bench, a_remove(), Conflict)).message == why.message
    assert (await refused(bench, a_grow(1000), NoRoom)).message == too_large.message
    assert (await refused(bench, a_grow(3, OTHER, "urn:absent"), NotFound)).message == absent.message
    assert (await refused(bench, a_drop(), Conflict)).message == copied.message
    await bench.ask(a_remove(urn="urn:new"))
    await bench.settled()
    assert bench.gone()


async def test_who_was_told_to_ask_again_may(bench: Bench) -> None:
    await bench.made()
    bench.volumes.fail("volumes", Unavailable("The disk is away."))
    await refused(bench, a_remove(OTHER), Unavailable)
    await bench.ask(a_remove(OTHER))
    assert bench.gone(OTHER)


async def test_what_was_refused_is_let_go_of_after_a_day_however_long_it_runs(bench: Bench) -> None:
    await bench.made()
    await turns()
    for look in range(3):
        await refused(bench, a_grow(0, urn=f"urn:{look}"), BadRequest)
        assert f"urn:{look}" in dict(bench.store.scan_private("refused_request"))
        bench.clock.now_s += KEPT_MS / 1000
        bench.clock.move(RECONCILE_PERIOD_S)
        await turns()
        assert not bench.store.scan_private("refused_request")


# --- repeats ---------------------------------------------------------------------------------------------------------


async def test_every_question_may_come_twice(bench: Bench) -> None:
    for question in (
        a_make(size_gib=2),
        a_make(OTHER, source=of(SourceKind.VOLUME, THIRD)),
        a_take(size_gib=2),
        a_grow(3),
        a_make(OTHER, 2, source=of(SourceKind.SNAPSHOT, SNAPSHOT), number=2),
        a_drop(),
        a_remove(),
        a_drop(OTHER_SNAPSHOT, urn="urn:never"),
    ):
        first = await bench.ask(question)
        again = await bench.ask(question)
        assert first.key == again.key
        await bench.settled()
        before = _lasting(bench)
        assert (await bench.ask(question)).key == first.key
        await bench.settled()
        assert _lasting(bench) == before, f"a repeat of {type(question).__name__} changes nothing"
    assert bench.gone() and bench.gone(SNAPSHOT) and bench.volume(OTHER).state is S.AVAILABLE


async def test_what_was_deleted_does_not_come_back(bench: Bench) -> None:
    await bench.made()
    await bench.taken()
    await bench.ask(a_drop())
    await bench.settled()
    await bench.ask(a_take())
    await bench.ask(a_remove())
    await bench.settled()
    for late in (a_make(), a_make(number=7), a_take(), a_make(restore=True), a_take(restore=True)):
        await bench.ask(late)
    await bench.settled()
    assert bench.gone() and bench.gone(SNAPSHOT) and not bench.pool.volumes


async def test_what_is_deleted_before_it_came_never_comes(bench: Bench) -> None:
    await bench.ask(a_remove(number=2))
    await bench.ask(a_drop())
    for late in (a_make(), a_make(number=2), a_make(number=3), a_take()):
        await bench.ask(late)
    assert bench.gone() and bench.gone(SNAPSHOT) and not bench.volumes.calls


async def test_what_was_refused_and_is_deleted_then_is_refused_for_good(bench: Bench) -> None:
    await bench.ask(a_make(size_gib=1000))
    await bench.ask(a_remove())
    assert bench.gone()


async def test_a_repeat_wakes_what_waits(bench: Bench) -> None:
    for _ in range(2):
        bench.volumes.fail("make", Unavailable("The server is away."))
    await bench.ask(a_make())
    await bench.ask(a_make())
    await bench.settled()
    assert bench.volume().state is S.AVAILABLE and not bench.volumes.at_once


# --- a record that was lost ------------------------------------------------------------------------------------------


@pytest.fixture
async def forgetful(bench: Bench) -> AsyncIterator[Bench]:
    """The store is one from before anything was made; the pool has a volume and a snapshot of it."""
    await bench.made(size_gib=2)
    bench.write(VOLUME, 0, CONTENT)
    await bench.taken()
    await bench.close()
    for path in Path(bench.folder).glob("volume.db*"):
        path.unlink()
    bench.volumes.calls.clear()
    await bench.open()
    yield bench


async def test_what_is_there_is_taken_up_as_it_is(forgetful: Bench) -> None:
    bench = forgetful
    for question in (a_make(size_gib=2, number=3, restore=True), a_take(size_gib=2, restore=True)):
        for _ in range(2):
            await bench.ask(question)
    assert (bench.volume().state, bench.volume().number, bench.volume().urn) == (S.AVAILABLE, 3, a_make().urn)
    assert (bench.snapshot().state, bench.snapshot().size_gib) == (S.AVAILABLE, 2)
    assert bench.said().used_gib == 4
    await bench.settled()
    assert not bench.volumes.calls and bench.pool.volumes[VOLUME].now() == {0: CONTENT}


async def test_what_is_not_there_is_in_error_and_nobody_makes_it_anew(bench: Bench) -> None:
    await bench.ask(a_make(restore=True))
    await bench.ask(a_take(restore=True))
    assert (bench.volume().state, bench.volume().fault) == (S.ERROR, LOST)
    assert (bench.snapshot().state, bench.snapshot().fault) == (S.ERROR, LOST)
    await bench.settled()
    assert not bench.pool.volumes and not bench.volumes.calls
    await bench.ask(a_drop())
    await bench.settled()
    await bench.ask(a_remove())
    await bench.settled()
    assert bench.gone() and bench.gone(SNAPSHOT)


async def test_a_full_or_closed_pool_still_takes_up_what_it_has(forgetful: Bench) -> None:
    bench = forgetful
    bench.pool.capacity_bytes = GIB
    bench.volumes.fail("pool", Broken("It can't say."))
    await bench.worker._reconciler.look()
    await bench.ask(a_make(size_gib=2, restore=True))
    assert bench.volume().state is S.AVAILABLE


@pytest.mark.parametrize("error", [Broken("The disk is away."), Unavailable("It is away.")], ids=["broken", "away"])
async def test_a_pool_that_can_not_be_looked_at_takes_it_up_when_it_can(forgetful: Bench, error: FreeholdError) -> None:
    bench = forgetful
    for question in (a_make(size_gib=2, restore=True), a_take(size_gib=2, restore=True)):
        bench.volumes.fail("look", error)
        await refused(bench, question, Unavailable)
        await bench.ask(question)
    assert bench.volume().state is bench.snapshot().state is S.AVAILABLE


async def test_a_volume_of_which_only_the_bytes_are_there_is_removed(bench: Bench) -> None:
    await bench.volumes.make(VolumePlan(volume=VOLUME, size_bytes=GIB))
    bench.volumes.hold("delete")
    await bench.ask(a_remove(number=4))
    assert bench.refusal() is None and bench.volume().state is S.DELETING, "it isn't gone yet"
    bench.volumes.let_go()
    await bench.settled()
    assert bench.gone() and bench.said().used_gib == 0
    refusal = bench.refusal()
    assert refusal is not None and refusal.number == 4


async def test_snapshots_of_which_only_the_bytes_are_there_keep_their_volume(forgetful: Bench) -> None:
    bench = forgetful
    await refused(bench, a_remove(urn="urn:1"), Conflict)
    await bench.ask(a_make(size_gib=2, restore=True))
    await refused(bench, a_remove(urn="urn:2"), Conflict)
    await bench.ask(a_drop())
    await bench.settled()
    await bench.ask(a_remove(urn="urn:3"))
    await bench.settled()
    assert bench.gone() and bench.gone(SNAPSHOT)


async def test_a_snapshot_whose_record_is_there_keeps_a_volume_whose_record_is_not(forgetful: Bench) -> None:
    bench = forgetful
    await bench.ask(a_take(size_gib=2, restore=True))
    for force in (False, True):
        await refused(bench, a_remove(urn=f"urn:{force}", force=force), Conflict)
    assert SNAPSHOT in bench.pool.volumes[VOLUME].chain.snapshots


async def test_by_force_a_volume_goes_with_snapshots_that_no_record_is_of(forgetful: Bench) -> None:
    bench = forgetful
    await bench.ask(a_remove(force=True))
    await bench.settled()
    assert bench.gone() and not bench.pool.volumes


async def test_a_volume_that_can_not_be_looked_at_is_not_deleted_yet(bench: Bench) -> None:
    await bench.made()
    bench.volumes.fail("look", Broken("The disk is away."))
    await refused(bench, a_remove(), Unavailable)
    await bench.ask(a_remove())
    await bench.settled()
    assert bench.gone()


async def test_what_would_be_refused_and_is_here_already_is_taken_as_it_is(forgetful: Bench) -> None:
    bench = forgetful
    await bench.made(OTHER, CAPACITY_GIB - 1)
    for _ in range(2):
        await bench.ask(a_take())  # there is no volume
        await bench.ask(a_make(size_gib=2))  # there is no room
    await bench.settled()
    assert bench.volume().state is bench.snapshot().state is S.AVAILABLE
    assert bench.refusal() is bench.refusal(SNAPSHOT) is None
    assert bench.pool.volumes[VOLUME].now() == {0: CONTENT}


@pytest.mark.parametrize("error", [Unavailable("It is away."), Broken("The disk is broken.")], ids=["away", "broken"])
async def test_what_a_pool_may_have_is_not_refused_before_that_can_be_seen(
    forgetful: Bench, error: FreeholdError
) -> None:
    bench = forgetful
    await bench.made(OTHER, CAPACITY_GIB - 1)
    bench.volumes.fail("volumes", error)
    bench.volumes.fail("look", error)
    await refused(bench, a_make(size_gib=2), Unavailable)
    await refused(bench, a_take(), Unavailable)
    assert bench.refusal() is bench.refusal(SNAPSHOT) is None
    await bench.ask(a_make(size_gib=2))
    await bench.settled()
    await bench.ask(a_take())
    await bench.settled()
    assert bench.volume().state is bench.snapshot().state is S.AVAILABLE


async def test_a_snapshot_of_which_only_the_bytes_are_there_is_removed(forgetful: Bench) -> None:
    bench = forgetful
    await bench.ask(a_make(size_gib=2, restore=True))
    await bench.ask(a_drop())
    await bench.settled()
    assert bench.gone(SNAPSHOT) and bench.volume().state is S.AVAILABLE
    assert bench.pool.volumes[VOLUME].chain.snapshots == ()


async def test_what_is_half_made_and_has_no_record_is_removed_too(bench: Bench) -> None:
    bench.volumes._arriving[VOLUME] = None
    await bench.ask(a_remove())
    await bench.settled()
    assert bench.gone() and ("delete", VOLUME) in bench.volumes.calls


async def test_it_is_taken_up_or_deleted_by_who_comes_first(forgetful: Bench) -> None:
    bench = forgetful
    await asyncio.gather(bench.ask(a_make(size_gib=2, restore=True)), bench.ask(a_remove(force=True)))
    await bench.settled()
    assert bench.gone() or bench.volume().state is S.AVAILABLE
    assert (VOLUME in bench.pool.volumes) is (bench.store.read_as(Volume, VOLUME) is not None)


# --- starts and ends -------------------------------------------------------------------------------------------------


async def test_all_is_as_it_was_after_a_restart(bench: Bench) -> None:
    await bench.made(size_gib=2)
    await bench.taken()
    before = kept(bench.store)
    await bench.reopen()
    assert kept(bench.store) == before
    await bench.ask(a_grow(3))
    await bench.settled()
    assert bench.volume().spec.size_gib == 3


async def test_bytes_that_nobody_asked_for_are_left_alone(bench: Bench) -> None:
    await bench.volumes.make(VolumePlan(volume=OTHER, size_bytes=GIB))
    await bench.made()
    await bench.ask(a_remove())
    await bench.settled()
    assert list(bench.pool.volumes) == [OTHER]


async def test_a_worker_that_has_ended_answers_nobody(bench: Bench) -> None:
    await bench.close()
    with pytest.raises(Unavailable):
        await talk.ask(bench.means.bus, subjects.ask_pool(bench.store.id), a_make(), Done, 0.05)
    await bench.open()


def _lasting(bench: Bench) -> list[Word]:
    """What is recorded, but for the times at which it was written last."""
    volumes, snapshots = bench.store.scan(Volume), bench.store.scan(Snapshot)
    timeless = [replace(one, updated=0) for one in (*volumes, *snapshots)]
    refusals = [replace(one, time=0, urn="") for one in bench.worker._records.refusals()]
    return [*timeless, *refusals, replace(bench.said(), updated=0)]
