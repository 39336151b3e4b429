"""What hasn't ended is pursued: a pool is found and asked again and again, and what it refuses is tried elsewhere."""

from itertools import pairwise
from typing import Any

import pytest

from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.volume import (
    GrowVolume,
    MakeVolume,
    RemoveVolume,
    Source,
    SourceKind,
    TakeSnapshot,
    VolumeSpec,
    VolumeState,
)
from freehold.vocabulary.volume_request import VolumeStage
from freehold.workers.registrar.due import FIRST_RETRY_S, RETRY_S_MAX
from freehold.workers.registrar.volumes.lifecycle import DEADLINE_PASSED, PLACES_MAX, Stray
from tests.workers.registrar.volumes.bench import (
    FULL,
    IMAGES,
    POOLS,
    STEP_S,
    WRONG,
    Bench,
    a_place,
    an_admission,
    gone_refusal,
    record_of,
)

S = VolumeStage
AWAY = Unavailable("It is away.")
OF_IMAGE = VolumeSpec(size_gib=1, source=Source(kind=SourceKind.IMAGE, id="image"))


def check_pauses(times: list[float]) -> None:
    """Pauses that double, with jitter, up to the longest."""
    assert len(times) >= 8
    for tries, (before, after) in enumerate(pairwise(times)):
        pause_s = min(FIRST_RETRY_S * 2**tries, RETRY_S_MAX)
        assert 0.8 * pause_s - STEP_S <= after - before <= 1.2 * pause_s + STEP_S, (tries, times)


def begun(bench: Bench, **fields: Any) -> str:
    """One that is pursued from now on."""
    bench.keep(an_admission(**fields))
    bench.reconciler.wake("v")
    return "v"


# --- asked again and again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, MakeVolume),
        ({"snapshot_of": "w"}, TakeSnapshot),
        ({"stage": S.ACTIVE, "lost": True}, MakeVolume),
        ({"stage": S.ACTIVE, "grow_urn": "u", "grows_to_gib": 5}, GrowVolume),
        ({"stage": S.ACTIVE, "delete_urn": "u"}, RemoveVolume),
    ],
)
@pytest.mark.parametrize("answers", [True, False])
async def test_a_pool_is_asked_again_with_growing_pauses(
    bench: Bench, fields: dict[str, Any], shape: Any, answers: bool
) -> None:
    if not answers:
        bench.refuses[shape] = AWAY
    begun(bench, **fields)
    await bench.pass_s(400)
    assert {type(asked) for _, _, asked in bench.asked} == {shape} and {at for _, at, _ in bench.asked} == {"s1"}
    check_pauses([when for when, _, _ in bench.asked])


async def test_a_scheduler_is_asked_again_with_growing_pauses(bench: Bench) -> None:
    bench.scheduler_fails = AWAY
    times: list[float] = []
    begun(bench, place=None)
    for _ in range(1600):
        before = len(bench.chosen)
        await bench.pass_s(STEP_S)
        times += [bench.now()] * (len(bench.chosen) - before)
    check_pauses(times)
    assert bench.admission("v").stage is S.ADMITTED and not bench.asked


async def test_it_ends_when_the_evidence_is_there(bench: Bench) -> None:
    begun(bench)
    await bench.pass_s(10)
    bench.tell_made("v")
    asked = len(bench.asked)
    await bench.pass_s(200)
    assert len(bench.asked) == asked


async def test_a_volume_that_is_still_being_made_is_asked_for_on(bench: Bench) -> None:
    begun(bench)
    bench.tell_made("v", state=VolumeState.CREATING)
    await bench.pass_s(60)
    assert len(bench.questions(MakeVolume)) >= 3 and bench.admission("v").stage is S.PLACED


async def test_after_a_start_all_that_has_not_ended_is_looked_at(bench: Bench) -> None:
    bench.keep(an_admission("made", stage=S.ACTIVE))
    bench.keep(an_admission("failed", stage=S.FAILED))
    bench.keep(an_admission("placed"))
    bench.keep(an_admission("doomed", stage=S.ACTIVE, delete_urn="u"))
    bench.records.keep_stray("s2", "stray", Stray(place=a_place(1, "s2"), project="p"))
    await bench.pass_s(10)
    assert not bench.asked
    await bench.close()
    await bench.open()
    await bench.pass_s(STEP_S)
    assert sorted((at, type(asked).__name__, asked.volume) for _, at, asked in bench.asked) == [
        ("s1", "MakeVolume", "placed"),
        ("s1", "RemoveVolume", "doomed"),
        ("s2", "RemoveVolume", "stray"),
    ]


async def test_nobody_is_asked_for_what_is_not_on_disk(bench: Bench) -> None:
    bench.disk.clear()
    begun(bench)
    await bench.pass_s(STEP_S)
    assert not bench.asked
    bench.disk.set()
    await bench.pass_s(STEP_S)
    assert bench.asked


async def test_what_has_changed_while_the_disk_was_waited_for_is_looked_at_anew(bench: Bench) -> None:
    bench.disk.clear()
    begun(bench)
    await bench.pass_s(STEP_S)
    bench.change("v", stage=S.ACTIVE, delete_urn="urn:d")
    bench.disk.set()
    await bench.pass_s(1)
    assert {type(asked) for _, _, asked in bench.asked} == {RemoveVolume}


# --- pools -----------------------------------------------------------------------------------------------------------


async def test_pools_that_refuse_are_tried_in_turn_under_new_numbers(bench: Bench) -> None:
    begun(bench, place=None)
    for number, store in enumerate(POOLS, 1):
        await bench.until(lambda store=store: bench.questions(MakeVolume, store))  # type: ignore[misc]
        assert bench.questions(MakeVolume, store)[0].number == number
        bench.tell_refused("v")
    await bench.until(lambda: bench.admission("v").stage is S.FAILED)
    assert [one.refused for one in bench.chosen] == [(), ("s1",), ("s1", "s2")]
    fault = bench.admission("v").fault
    assert fault is not None and fault.code == "NoRoom"
    asked = len(bench.asked)
    await bench.pass_s(100)
    assert len(bench.asked) == asked, "no more pools"


async def test_no_more_pools_are_tried_than_the_bound(bench: Bench) -> None:
    begun(bench, refused=(FULL,) * (PLACES_MAX - 1), place=PLACES_MAX)
    bench.tell_refused("v")
    await bench.pass_s(10)
    assert bench.admission("v").stage is S.FAILED and not bench.chosen


async def test_what_is_wrong_everywhere_is_not_tried_elsewhere(bench: Bench) -> None:
    begun(bench)
    bench.tell_refused("v", WRONG)
    await bench.pass_s(10)
    assert (bench.admission("v").stage, bench.admission("v").fault) == (S.FAILED, WRONG) and not bench.chosen


async def test_without_any_room_it_fails_and_says_why(bench: Bench) -> None:
    bench.pools = []
    begun(bench, place=None)
    await bench.pass_s(1)
    stands = bench.admission("v")
    assert stands.stage is S.FAILED and stands.fault is not None and stands.fault.message == "No pool has room."


async def test_what_a_scheduler_is_asked_says_what_is_wanted(bench: Bench) -> None:
    begun(bench, place=None, spec=VolumeSpec(size_gib=7, type="t", type_name="fast", zone="z"))
    await bench.pass_s(1)
    asked = bench.chosen[0]
    assert (asked.size_gib, asked.type_name, asked.zone, asked.refused) == (7, "fast", "z", ())


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_choice_that_comes_after_a_delete_is_not_used(bench: Bench, is_gone: bool) -> None:
    admission = begun(bench, place=None)
    bench.scheduler.clear()
    await bench.until(lambda: bench.chosen)
    if is_gone:
        await bench.delete(admission)
    else:
        bench.change(admission, place=a_place(2, "s2"), stage=S.PLACED)
    bench.scheduler.set()
    await bench.pass_s(10)
    assert {at for _, at, _ in bench.asked} == (set() if is_gone else {"s2"})


# --- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [None, 1])
async def test_a_deadline_ends_the_request_and_not_the_place(bench: Bench, place: int | None) -> None:
    bench.scheduler_fails = AWAY
    begun(bench, place=place, expires=clock_time(bench.clock.unix_ms() + 20_000))
    await bench.pass_s(19)
    assert bench.admission("v").stage in (S.ADMITTED, S.PLACED)
    await bench.pass_s(40)
    stands = bench.admission("v")
    assert (stands.stage, stands.fault) == (S.FAILED, DEADLINE_PASSED)
    assert (stands.live_place() is None) is (place is None), "no clock ends a place: its pool may have it"
    if place is not None:
        bench.tell_made("v")
        assert bench.admission("v").stage is S.ACTIVE, "it came too late for its request, and is there"


async def test_what_is_seen_while_the_disk_is_waited_for_has_not_failed(bench: Bench) -> None:
    bench.disk.clear()
    begun(bench, expires=0)
    await bench.pass_s(STEP_S)
    bench.tell_made("v")
    bench.disk.set()
    await bench.pass_s(10)
    assert bench.admission("v").stage is S.ACTIVE


@pytest.mark.parametrize("fields", [{"delete_urn": "u"}, {"lost": True}, {"grow_urn": "u", "grows_to_gib": 3}])
async def test_no_deadline_is_for_what_was_made(bench: Bench, fields: dict[str, Any]) -> None:
    begun(bench, stage=S.ACTIVE, expires=0, **fields)
    await bench.pass_s(20)
    assert bench.asked and bench.admission("v").stage is S.ACTIVE


# --- images ----------------------------------------------------------------------------------------------------------


async def test_each_time_there_is_a_new_offer_of_the_image(bench: Bench) -> None:
    bench.records.admit(an_admission(spec=OF_IMAGE), IMAGES, "", "")
    bench.reconciler.wake("v")
    await bench.pass_s(20)
    assert len(bench.offered) == len(bench.questions(MakeVolume)) >= 2
    assert all(one.offer is not None for one in bench.questions(MakeVolume))


@pytest.mark.parametrize("error", [NotFound("There is none."), Conflict("It is queued.")], ids=["404", "409"])
async def test_an_image_that_can_not_be_had_ends_the_request(bench: Bench, error: FreeholdError) -> None:
    bench.images_fail = error
    bench.records.admit(an_admission(spec=OF_IMAGE), IMAGES, "", "")
    bench.reconciler.wake("v")
    await bench.pass_s(1)
    assert (bench.admission("v").stage, bench.admission("v").fault) == (S.FAILED, error.fault()) and not bench.asked


async def test_an_image_worker_that_is_not_heard_is_waited_for(bench: Bench) -> None:
    bench.images_fail = AWAY
    bench.records.admit(an_admission(spec=OF_IMAGE), IMAGES, "", "")
    bench.reconciler.wake("v")
    await bench.pass_s(20)
    assert bench.admission("v").stage is S.PLACED and not bench.asked
    bench.images_fail = None
    await bench.until(lambda: bench.asked)


async def test_what_was_made_before_needs_no_image_and_is_not_made_anew(bench: Bench) -> None:
    bench.images_fail = NotFound("It was deleted long ago.")
    begun(bench, spec=OF_IMAGE, stage=S.ACTIVE, lost=True)
    await bench.pass_s(1)
    asked = bench.questions(MakeVolume)[0]
    assert asked.restore and asked.offer is None and bench.admission("v").stage is S.ACTIVE


# --- deletes and extensions that are carried on ----------------------------------------------------------------------


async def test_what_an_owner_does_not_let_go_is_taken_back(bench: Bench) -> None:
    bench.refuses[RemoveVolume] = Conflict("It has snapshots.")
    begun(bench, stage=S.ACTIVE, delete_urn="urn:d")
    await bench.pass_s(100)
    assert not bench.admission("v").delete_urn and len(bench.questions(RemoveVolume)) == 1
    with pytest.raises(Conflict):
        bench.records.refused.check("urn:d")


async def test_what_must_go_is_asked_for_on_under_new_names(bench: Bench) -> None:
    bench.refuses[RemoveVolume] = Conflict("It has snapshots.")
    begun(bench, stage=S.ACTIVE, delete_urn="urn:d", delete_forced=True)
    await bench.pass_s(100)
    asked = bench.questions(RemoveVolume)
    assert len({one.urn for one in asked}) == len(asked) >= 3 and all(one.force for one in asked)
    assert bench.admission("v").delete_urn == "urn:d"


@pytest.mark.parametrize("error", [BadRequest("It is wrong."), Broken("The disk is broken.")], ids=["400", "500"])
async def test_what_an_owner_does_not_make_larger_is_given_back(bench: Bench, error: FreeholdError) -> None:
    bench.refuses[GrowVolume] = error
    begun(bench, stage=S.ACTIVE, grow_urn="urn:g", grows_to_gib=5)
    await bench.pass_s(100)
    assert bench.used()["gigabytes"] == 2 and len(bench.questions(GrowVolume)) == 1


async def test_a_delete_goes_before_all_else(bench: Bench) -> None:
    begun(bench, stage=S.ACTIVE, delete_urn="urn:d", lost=True, grow_urn="urn:g", grows_to_gib=5)
    await bench.pass_s(30)
    assert {type(asked) for _, _, asked in bench.asked} == {RemoveVolume}


async def test_what_was_lost_is_taken_up_before_it_grows(bench: Bench) -> None:
    bench.refuses[GrowVolume] = NotFound("It is not here.")
    begun(bench, stage=S.ACTIVE, lost=True, grow_urn="urn:g", grows_to_gib=5)
    await bench.pass_s(30)
    assert {type(asked) for _, _, asked in bench.asked} == {MakeVolume}
    bench.refuses.clear()
    bench.tell_made("v")
    await bench.until(lambda: bench.questions(GrowVolume))
    assert bench.questions(GrowVolume)[0].urn == "urn:g"


async def test_a_refusal_of_an_older_delete_takes_no_newer_one_back(bench: Bench) -> None:
    bench.keep(an_admission(stage=S.ACTIVE, delete_urn="urn:new"))
    await bench.reconciler.delete_refused("v", "urn:old", Conflict("It has snapshots."))
    assert bench.admission("v").delete_urn == "urn:new"
    await bench.reconciler.delete_refused("unknown", "urn:x", Conflict("It has snapshots."))
    await bench.reconciler.grow_refused("unknown", "urn:x")


# --- strays ----------------------------------------------------------------------------------------------------------


async def test_a_stray_is_removed_where_it_is_until_it_is_gone(bench: Bench) -> None:
    bench.keep(an_admission(place=2, stage=S.ACTIVE))
    bench.tell("s2", record_of(an_admission(), store="s2"))
    await bench.pass_s(100)
    asked = bench.questions(RemoveVolume)
    assert len(asked) >= 3 and {at for _, at, _ in bench.asked} == {"s2"}
    assert {(one.volume, one.number, one.force) for one in asked} == {("v", 1, True)}
    assert len({one.urn for one in asked}) == len(asked)
    bench.tell("s2", gone_refusal("v"))
    asked_before = len(bench.asked)
    await bench.pass_s(100)
    assert len(bench.asked) == asked_before and not bench.records.strays()
    assert bench.admission("v").stage is S.ACTIVE, "the other one is as it was"


async def test_a_pool_that_does_not_let_a_stray_go_yet_is_asked_on(bench: Bench) -> None:
    bench.refuses[RemoveVolume] = Conflict("It is exported.")
    bench.records.keep_stray("s2", "v", Stray(place=a_place(1, "s2"), project="p"))
    bench.reconciler.wake("s2/v")
    await bench.pass_s(100)
    assert len(bench.asked) >= 3 and bench.records.strays() == [("s2", "v")]


async def test_what_is_not_known_is_left_alone(bench: Bench) -> None:
    for identifier in ("unknown", "s1/unknown"):
        bench.reconciler.wake(identifier)
    await bench.pass_s(10)
    assert not bench.asked and not bench.chosen


async def test_many_are_pursued_and_none_waits_for_another(bench: Bench) -> None:
    for number in range(200):
        bench.keep(an_admission(f"v{number}"))
        bench.reconciler.wake(f"v{number}")
    await bench.pass_s(2)
    assert len({one.volume for one in bench.questions(MakeVolume)}) == 200
