"""What volume workers say is evidence: it moves the ledger on, and nothing else does."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.envelope import Entry, Heartbeat, Position
from freehold.vocabulary.shards import Shards
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.volume import (
    MakeVolume,
    RemoveSnapshot,
    RemoveVolume,
    TakeSnapshot,
    VolumeLabels,
    VolumeSpec,
    VolumeState,
)
from freehold.vocabulary.volume_request import VolumeStage
from freehold.workers.registrar.volumes.owners import OwnerSink
from tests.owners import project
from tests.workers.registrar.volumes.bench import (
    FULL,
    Bench,
    a_place,
    a_refusal,
    an_admission,
    an_owner,
    gone_refusal,
    record_of,
)

S = VolumeStage
V = VolumeState


def stands(bench: Bench) -> Any:
    """The admission, whenever it was written."""
    return replace(bench.admission("v"), updated=0)


# --- seen ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["", "w"])
@pytest.mark.parametrize("complete", [False, True])
async def test_a_record_that_is_there_makes_it_active(bench: Bench, of: str, complete: bool) -> None:
    admission = bench.keep(an_admission(snapshot_of=of))
    (bench.show if complete else bench.tell)("s1", record_of(admission, V.CREATING))
    assert bench.admission("v").stage is S.PLACED
    (bench.show if complete else bench.tell)("s1", record_of(admission))
    assert bench.admission("v").stage is S.ACTIVE


async def test_one_that_came_too_late_for_its_request_is_active(bench: Bench) -> None:
    admission = bench.keep(an_admission(stage=S.FAILED, fault=FULL))
    bench.tell("s1", record_of(admission))
    assert (bench.admission("v").stage, bench.admission("v").fault) == (S.ACTIVE, None)


async def test_news_that_lead_to_nothing_write_nothing(bench: Bench) -> None:
    admission = bench.keep(an_admission(stage=S.ACTIVE))
    await bench.store.durable()
    before, positions = bench.store.position(), bench.sink.positions()
    bench.tell("s1", record_of(admission, labels=VolumeLabels(name="renamed")), a_refusal("unknown"))
    entry = Entry(1, 1, "volume", "v", None, "t", b"")
    bench.sink.apply(an_owner("s1"), Position(epoch="e", seq=50), [entry])
    entry = Entry(1, 1, "project", "p", b"", "t", b"")
    bench.sink.apply(an_owner("s1"), Position(epoch="e", seq=51), [entry])
    await bench.store.durable()
    assert (bench.store.position(), bench.sink.positions()) == (before, positions)


async def test_where_it_was_read_to_is_kept_with_what_it_led_to(bench: Bench) -> None:
    admission = bench.keep(an_admission())
    bench.tell("s1", record_of(admission))
    at = bench.sink.positions()["s1"]
    assert at == Position(epoch="e", seq=1)
    await bench.close()
    await bench.open()
    assert bench.sink.positions() == {"s1": at}


async def test_a_clock_that_is_ahead_is_followed(bench: Bench) -> None:
    ahead = clock_time(bench.clock.unix_ms() + 5)
    bench.sink.heard(Heartbeat(owner=an_owner("s1"), position=Position(epoch="e"), time=ahead))
    assert bench.means.clock.now() > ahead


# --- refused ---------------------------------------------------------------------------------------------------------


async def test_a_refusal_of_its_place_sends_it_elsewhere_at_once(bench: Bench) -> None:
    bench.keep(an_admission())
    bench.tell("s1", a_refusal())
    assert (bench.admission("v").stage, bench.admission("v").refused_pools) == (S.ADMITTED, ("s1",))
    await bench.until(lambda: bench.questions(MakeVolume, "s2"))
    assert bench.admission("v").place == a_place(2, "s2")


async def test_a_place_ends_with_its_own_pools_refusal_alone(bench: Bench) -> None:
    bench.keep(an_admission())
    before = stands(bench)
    bench.tell("s2", a_refusal(), gone_refusal())
    bench.show("s2")
    assert stands(bench) == before


async def test_a_refusal_for_good_ends_it(bench: Bench) -> None:
    for fields in ({"stage": S.ACTIVE, "delete_urn": "u"}, {"stage": S.FAILED}, {"stage": S.ACTIVE}):
        bench.keep(an_admission(**fields))
        bench.tell("s1", gone_refusal())
        assert bench.gone("v") and bench.used() == {} and bench.records.has_ended("v")


# --- lost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["", "w"])
async def test_what_an_owner_should_have_and_does_not_show_is_sent_there_to_be_taken_up(bench: Bench, of: str) -> None:
    admission = bench.keep(an_admission(stage=S.ACTIVE, snapshot_of=of))
    bench.show("s1")
    assert bench.admission("v").lost
    shape: Any = TakeSnapshot if of else MakeVolume
    await bench.until(lambda: bench.questions(shape, "s1"))
    asked = bench.questions(shape)[0]
    assert asked.restore and asked.urn == admission.urn
    bench.tell("s1", record_of(admission, V.ERROR))
    assert not bench.admission("v").lost and bench.admission("v").stage is S.ACTIVE


@pytest.mark.parametrize(
    ("fields", "store"),
    [
        ({"stage": S.ACTIVE}, "s2"),
        ({"stage": S.PLACED}, "s1"),
        ({"stage": S.FAILED}, "s1"),
    ],
)
async def test_what_is_not_missed_is_not_lost(bench: Bench, fields: dict[str, Any], store: str) -> None:
    bench.keep(an_admission(**fields))
    bench.show(store)
    assert not bench.admission("v").lost


async def test_what_is_lost_while_it_is_to_go_is_restored_if_its_owner_lets_it_not(bench: Bench) -> None:
    bench.keep(an_admission(stage=S.ACTIVE, delete_urn="u"))
    bench.show("s1")
    assert bench.admission("v").lost and bench.admission("v").delete_urn == "u"


async def test_what_is_shown_or_refused_is_not_lost(bench: Bench) -> None:
    admission = bench.keep(an_admission(stage=S.ACTIVE))
    bench.show("s1", record_of(admission))
    assert not bench.admission("v").lost
    bench.show("s1", gone_refusal())
    assert bench.gone("v")


async def test_the_end_of_a_record_alone_is_no_evidence(bench: Bench) -> None:
    bench.keep(an_admission(stage=S.ACTIVE))
    before = stands(bench)
    entry = Entry(1, 1, "volume", "v", None, "t", b"")
    bench.sink.apply(an_owner("s1"), Position(epoch="e", seq=9), [entry])
    assert stands(bench) == before


# --- adopted ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["", "w"])
async def test_what_the_ledger_has_lost_is_as_its_owner_says(bench: Bench, of: str) -> None:
    known = an_admission(stage=S.ACTIVE, snapshot_of=of, spec=VolumeSpec(size_gib=4))
    bench.tell("s1", record_of(known))
    adopted = bench.admission("v")
    assert replace(adopted, expires=0, updated=0) == replace(known, expires=0, updated=0)
    assert bench.used() == {"snapshots" if of else "volumes": 1, "gigabytes": 4}
    await bench.pass_s(20)
    assert not bench.asked


@pytest.mark.parametrize("of", ["", "w"])
async def test_what_is_known_to_have_ended_is_removed_and_never_shown(bench: Bench, of: str) -> None:
    admission = bench.keep(an_admission(stage=S.ACTIVE, snapshot_of=of))
    bench.tell("s1", gone_refusal())
    bench.tell("s1", record_of(admission))
    assert bench.gone("v") and bench.used() == {} and bench.records.strays() == [("s1", "v")]
    await bench.until(lambda: bench.questions(RemoveSnapshot if of else RemoveVolume, "s1"))
    assert not bench.questions(MakeVolume)
    assert {one.volume for one in bench.questions(RemoveSnapshot)} == ({"w"} if of else set())
    assert {one.force for one in bench.questions(RemoveVolume)} == (set() if of else {True})
    bench.tell("s1", gone_refusal())
    assert bench.gone("v") and bench.used() == {} and not bench.records.strays()


async def test_what_another_pool_shows_under_its_name_is_not_adopted(bench: Bench) -> None:
    bench.tell("s2", record_of(an_admission(stage=S.ACTIVE)))
    assert bench.gone("v")


async def test_another_shards_volumes_are_not_adopted(bench: Bench) -> None:
    shards = Shards(2)
    there = next(name for name in "abcdefgh" if shards.of(name) == 1)
    sink = OwnerSink(bench.records, bench.means.clock, bench.reconciler, shards)
    known = an_admission(stage=S.ACTIVE, project=there)
    bench.sink = sink
    bench.tell("s1", record_of(known))
    assert bench.gone("v")
    here = next(name for name in "abcdefgh" if shards.of(name) == 0)
    bench.tell("s1", record_of(replace(known, project=here)))
    assert bench.admission("v").project == here


# --- strays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "admission",
    [
        an_admission(place=None),
        an_admission(refused_number=1, stage=S.FAILED),
        replace(an_admission(stage=S.ACTIVE), place=a_place(2, "s2")),
    ],
)
async def test_what_is_made_under_a_place_that_had_ended_is_a_stray(bench: Bench, admission: Any) -> None:
    bench.keep(admission)
    before = stands(bench)
    for _ in range(2):
        bench.tell("s1", record_of(an_admission()))
    assert bench.records.strays() == [("s1", "v")] and stands(bench) == before
    stray = bench.records.stray("s1", "v")
    assert stray is not None and (stray.place, stray.project) == (a_place(), "p")
    bench.tell("s1", a_refusal())
    assert bench.records.strays(), "not for good"
    bench.tell("s2", gone_refusal("w"))
    bench.tell("s1", gone_refusal())
    assert not bench.records.strays()


async def test_a_snapshot_whose_refusal_was_lost_is_a_stray_too(bench: Bench) -> None:
    bench.keep(an_admission(snapshot_of="w", refused_number=1, stage=S.FAILED))
    bench.tell("s1", record_of(an_admission(snapshot_of="w")))
    assert bench.records.strays() == [("s1", "v")] and bench.admission("v").stage is S.FAILED


async def test_what_one_pool_says_of_another_is_no_stray(bench: Bench) -> None:
    bench.keep(replace(an_admission(stage=S.ACTIVE), place=a_place(2, "s2")))
    bench.tell("s2", record_of(an_admission()))
    assert not bench.records.strays()


async def test_kinds_that_are_not_volumes_are_nothing_to_it(bench: Bench) -> None:
    bench.show("s1", project("v"))
    assert bench.gone("v") and bench.sink.positions() == {}
