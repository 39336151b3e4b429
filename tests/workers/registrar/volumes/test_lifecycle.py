"""The rules of volumes and snapshots in the ledger, row by row of the table."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, Fault, FreeholdError
from freehold.vocabulary.tenant import Resource
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.vocabulary.volume import Source, SourceKind, VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import AdmitVolume, VolumeAdmission, VolumeStage
from freehold.workers.registrar.volumes import lifecycle
from freehold.workers.registrar.volumes.lifecycle import PLACES_MAX
from tests.workers.registrar.volumes.bench import (
    FULL,
    WRONG,
    a_place,
    a_refusal,
    an_admission,
    gone_refusal,
    record_of,
)

S = VolumeStage
V = VolumeState
SNAPSHOT = an_admission(snapshot_of="w")
GROWING = an_admission(stage=S.ACTIVE, grows_to_gib=5, grow_urn="urn:grow")
COPY = VolumeSpec(size_gib=2, source=Source(kind=SourceKind.VOLUME, id="w"))
OF_SNAPSHOT = VolumeSpec(size_gib=2, source=Source(kind=SourceKind.SNAPSHOT, id="w"))
OF_IMAGE = VolumeSpec(size_gib=2, source=Source(kind=SourceKind.IMAGE, id="i"))


# --- admitted, and what it takes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "stage"), [(None, S.ADMITTED), (a_place(), S.PLACED)])
def test_it_is_admitted_as_it_was_asked_for(place: Any, stage: S) -> None:
    labels = VolumeLabels(name="disk")
    asked = AdmitVolume(project="p", user="u", spec=COPY, labels=labels, snapshot_of="w")
    now = clock_time(1_000_000)
    admission = lifecycle.admitted(asked, "v", "urn", place, now, 60)
    assert (admission.id, admission.urn, admission.project, admission.user) == ("v", "urn", "p", "u")
    assert (admission.stage, admission.place, admission.snapshot_of) == (stage, place, "w")
    assert (admission.spec, admission.labels, admission.created, admission.updated) == (COPY, labels, now, now)
    assert unix_ms(admission.expires) == 1_060_000


@pytest.mark.parametrize(
    ("admission", "takes"),
    [
        (an_admission(), {Resource.VOLUMES: 1, Resource.GIGABYTES: 2}),
        (SNAPSHOT, {Resource.SNAPSHOTS: 1, Resource.GIGABYTES: 2}),
        (GROWING, {Resource.VOLUMES: 1, Resource.GIGABYTES: 5}),
        (an_admission(stage=S.FAILED, fault=FULL), {Resource.VOLUMES: 1, Resource.GIGABYTES: 2}),
    ],
)
def test_what_it_takes_of_its_quota(admission: VolumeAdmission, takes: dict[Resource, int]) -> None:
    assert lifecycle.wanted(admission) == takes


@pytest.mark.parametrize(
    ("fields", "unfinished"),
    [
        ({"stage": S.ADMITTED}, True),
        ({"stage": S.PLACED}, True),
        ({"stage": S.ACTIVE}, False),
        ({"stage": S.FAILED}, False),
        ({"stage": S.ACTIVE, "lost": True}, True),
        ({"stage": S.ACTIVE, "grow_urn": "u"}, True),
        ({"stage": S.ACTIVE, "delete_urn": "u"}, True),
        ({"stage": S.FAILED, "delete_urn": "u"}, True),
    ],
)
def test_what_is_still_pursued(fields: dict[str, Any], unfinished: bool) -> None:
    assert lifecycle.is_unfinished(an_admission(**fields)) is unfinished


@pytest.mark.parametrize("stage", list(S))
@pytest.mark.parametrize(("late_ms", "passed"), [(-1, False), (0, True), (1, True)])
def test_a_deadline_is_for_what_is_still_made(stage: S, late_ms: int, passed: bool) -> None:
    admission = an_admission(stage=stage, expires=clock_time(5000))
    over = lifecycle.is_over(admission, clock_time(5000 + late_ms))
    assert over is (passed and stage in (S.ADMITTED, S.PLACED))


# --- ADMITTED, a scheduler's choice ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "number"), [(None, 1), (1, 2), (4, 5)])
def test_each_place_has_the_next_number(before: int | None, number: int) -> None:
    admission = an_admission(place=before, stage=S.ADMITTED, refused_number=before or 0)
    placed = lifecycle.placed(admission, "s2", "c", 9)
    assert (placed.place, placed.stage, placed.updated) == (a_place(number, "s2"), S.PLACED, 9)


@pytest.mark.parametrize(
    "fields",
    [
        {"place": 1, "stage": S.ADMITTED},  # it lives: that pool may have it
        {"place": 1, "stage": S.PLACED},
        {"stage": S.ACTIVE},
        {"place": None, "stage": S.FAILED},
        {"place": None, "stage": S.ADMITTED, "delete_urn": "u"},
    ],
)
def test_it_gets_no_second_place(fields: dict[str, Any]) -> None:
    with pytest.raises(Conflict):
        lifecycle.placed(an_admission(**fields), "s2", "c", 9)


# --- a pool's refusal of a number ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["NoRoom", "Unavailable", "NoAnswer", "Broken", "StoreFailed"])
def test_where_another_pool_may_do_it_is_tried(code: str) -> None:
    fault = Fault(code=code, message="no.")
    after = lifecycle.refusal_seen(an_admission(), a_refusal(fault=fault), "s1", 9)
    assert after is not None
    assert (after.stage, after.refused_number, after.refused_pools, after.refused) == (S.ADMITTED, 1, ("s1",), (fault,))
    assert after.live_place() is None and after.fault is None


@pytest.mark.parametrize(
    ("admission", "fault"),
    [
        (an_admission(), WRONG),
        (an_admission(), Fault(code="NotFound", message="no.")),
        (an_admission(), Fault(code="Conflict", message="no.")),
        (SNAPSHOT, FULL),
        (an_admission(spec=COPY), FULL),
        (an_admission(spec=OF_SNAPSHOT), FULL),
        (an_admission(refused=(FULL,) * (PLACES_MAX - 1)), FULL),
    ],
)
def test_where_no_other_pool_helps_it_has_failed(admission: VolumeAdmission, fault: Fault) -> None:
    after = lifecycle.refusal_seen(admission, a_refusal(fault=fault), "s1", 9)
    assert after is not None
    assert (after.stage, after.fault, after.refused_number, after.live_place()) == (S.FAILED, fault, 1, None)


def test_a_copy_of_an_image_may_lie_anywhere() -> None:
    after = lifecycle.refusal_seen(an_admission(spec=OF_IMAGE), a_refusal(), "s1", 9)
    assert after is not None and after.stage is S.ADMITTED


def test_so_many_pools_are_tried() -> None:
    after = lifecycle.refusal_seen(an_admission(refused=(FULL,) * (PLACES_MAX - 2)), a_refusal(), "s1", 9)
    assert after is not None and after.stage is S.ADMITTED


@pytest.mark.parametrize(
    ("admission", "refusal", "store"),
    [
        (an_admission(place=2), a_refusal(number=1), "s1"),  # of an older place
        (an_admission(), a_refusal(), "s2"),  # of another's
        (an_admission(place=None), a_refusal(), "s1"),
        (an_admission(refused_number=1), a_refusal(), "s1"),  # seen already
        (an_admission(refused_number=1), gone_refusal(), "s1"),
        (an_admission(), gone_refusal(), "s2"),
        (an_admission(delete_urn="u"), a_refusal(), "s1"),  # not for good: its owner is asked on
    ],
)
def test_a_refusal_that_is_not_of_its_place_changes_nothing(
    admission: VolumeAdmission, refusal: Any, store: str
) -> None:
    assert lifecycle.refusal_seen(admission, refusal, store, 9) is admission


@pytest.mark.parametrize("fields", [{}, {"stage": S.ACTIVE}, {"stage": S.FAILED}, {"delete_urn": "u"}, {"lost": True}])
def test_a_refusal_for_good_ends_it_in_every_stage(fields: dict[str, Any]) -> None:
    assert lifecycle.refusal_seen(an_admission(**fields), gone_refusal(), "s1", 9) is None
    assert lifecycle.refusal_seen(an_admission(place=3, **fields), gone_refusal(number=1), "s1", 9) is None


def test_what_had_failed_stays_so_when_its_pool_refuses_it_at_last() -> None:
    after = lifecycle.refusal_seen(an_admission(stage=S.FAILED, fault=WRONG), a_refusal(), "s1", 9)
    assert after is not None and (after.stage, after.live_place()) == (S.FAILED, None)


# --- an owner's record -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(V))
@pytest.mark.parametrize("stage", [S.PLACED, S.ACTIVE, S.FAILED])
def test_what_its_owner_has_is_active_also_too_late(stage: S, state: V) -> None:
    admission = an_admission(stage=stage, fault=FULL if stage is S.FAILED else None)
    after = lifecycle.seen(admission, record_of(admission, state), 9)
    if state is V.CREATING or stage is S.ACTIVE:
        assert after is admission
    else:
        assert (after.stage, after.fault, after.updated) == (S.ACTIVE, None, 9)


@pytest.mark.parametrize("state", [V.CREATING, V.AVAILABLE])
def test_what_is_shown_is_not_lost(state: V) -> None:
    admission = an_admission(stage=S.ACTIVE, lost=True)
    assert not lifecycle.seen(admission, record_of(admission, state), 9).lost


@pytest.mark.parametrize(
    "admission",
    [an_admission(place=None), an_admission(refused_number=1), replace(an_admission(), place=a_place(2, "s2"))],
)
def test_another_pools_record_moves_nothing_and_is_a_stray(admission: VolumeAdmission) -> None:
    record = record_of(an_admission())
    assert lifecycle.seen(admission, record, 9) is admission
    assert lifecycle.is_stray(admission, record)
    assert not lifecycle.is_stray(an_admission(), record)


@pytest.mark.parametrize(
    ("fields", "size_gib", "grow_urn"),
    [
        ({}, 2, "urn:grow"),
        ({"spec": VolumeSpec(size_gib=4)}, 4, "urn:grow"),  # by an earlier request
        ({"spec": VolumeSpec(size_gib=5)}, 5, ""),
        ({"spec": VolumeSpec(size_gib=6)}, 6, ""),
        ({"refused_urn": "urn:grow"}, 2, ""),
        ({"refused_urn": "urn:old"}, 2, "urn:grow"),
    ],
)
def test_it_counts_as_what_it_is_to_have_until_its_owner_says(
    fields: dict[str, Any], size_gib: int, grow_urn: str
) -> None:
    after = lifecycle.seen(GROWING, record_of(GROWING, **fields), 9)
    assert (after.spec.size_gib, after.grow_urn) == (size_gib, grow_urn)
    assert after.size_gib() == (max(5, size_gib) if grow_urn else size_gib)


def test_what_has_grown_without_a_request_that_is_known_counts_so() -> None:
    admission = an_admission(stage=S.ACTIVE)
    assert lifecycle.seen(admission, record_of(admission, spec=VolumeSpec(size_gib=7)), 9).size_gib() == 7
    assert lifecycle.seen(admission, record_of(admission, spec=VolumeSpec(size_gib=1)), 9) is admission


def test_a_snapshot_counts_as_its_pool_has_taken_it() -> None:
    admission = replace(SNAPSHOT, stage=S.ACTIVE)
    after = lifecycle.seen(admission, record_of(admission, size_gib=7), 9)
    assert after.size_gib() == 7 and lifecycle.adopted(record_of(admission, size_gib=7), 9).size_gib() == 7
    assert lifecycle.seen(admission, record_of(admission, size_gib=1), 9) is admission


# --- what was lost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"stage": S.ACTIVE}, True),
        ({"stage": S.PLACED}, False),  # it is sent there anyway
        ({"stage": S.FAILED}, False),
        ({"stage": S.ACTIVE, "delete_urn": "u"}, True),  # its owner may not let it go
        ({"stage": S.ACTIVE, "refused_number": 1}, False),
    ],
)
def test_what_its_owner_should_have_is_sent_there_again(fields: dict[str, Any], lost: bool) -> None:
    admission = an_admission(**fields)
    after = lifecycle.lost(admission, 9)
    assert after.lost is lost and (after is admission) is not lost


@pytest.mark.parametrize(("state", "stage"), [(V.CREATING, S.PLACED), (V.AVAILABLE, S.ACTIVE), (V.ERROR, S.ACTIVE)])
def test_what_the_ledger_has_lost_is_as_its_owner_says(state: V, stage: S) -> None:
    for known in (an_admission(place=3), replace(SNAPSHOT, spec=VolumeSpec(size_gib=4))):
        adopted = lifecycle.adopted(record_of(known, state), 9)
        assert adopted == replace(known, stage=stage, expires=9, updated=9)


# --- deletes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"place": None}, {"refused_number": 1, "stage": S.FAILED}])
def test_what_no_pool_can_have_is_gone_at_once(fields: dict[str, Any]) -> None:
    assert lifecycle.delete_asked(an_admission(**fields), "urn:d", 9, force=False) is None


@pytest.mark.parametrize("stage", [S.PLACED, S.ACTIVE, S.FAILED])
@pytest.mark.parametrize("force", [False, True])
def test_otherwise_it_is_carried_to_its_owner(stage: S, force: bool) -> None:
    after = lifecycle.delete_asked(an_admission(stage=stage, lost=True), "urn:d", 9, force=force)
    assert after is not None
    assert (after.delete_urn, after.delete_forced, after.stage) == ("urn:d", force, stage)
    assert after.lost, "if its owner doesn't let it go, it is sent there again"


@pytest.mark.parametrize(
    ("first", "second", "forced"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_a_second_delete_changes_nothing_but_that_it_is_forced(first: bool, second: bool, forced: bool) -> None:
    admission = an_admission(delete_urn="urn:1", delete_forced=first)
    after = lifecycle.delete_asked(admission, "urn:2", 9, force=second)
    assert after is not None
    assert (after.delete_urn, after.delete_forced) == ("urn:1", forced)
    assert (after is admission) is (first is forced)


def test_a_delete_that_is_taken_back_leaves_it_as_it_was() -> None:
    admission = an_admission(stage=S.ACTIVE)
    asked = replace(admission, delete_urn="urn:d", delete_forced=True)
    assert lifecycle.delete_taken_back(asked, 9) == replace(admission, updated=9)


# --- growing ---------------------------------------------------------------------------------------------------------


def test_what_is_to_grow_counts_so_at_once() -> None:
    after = lifecycle.grow_asked(an_admission(stage=S.ACTIVE), 5, "urn:grow", 9)
    assert after == replace(GROWING, updated=9) and after.size_gib() == 5


def test_a_request_that_comes_twice_is_one() -> None:
    assert lifecycle.grow_asked(GROWING, 5, "urn:grow", 9) is GROWING


@pytest.mark.parametrize(
    ("admission", "size_gib", "raised"),
    [
        (an_admission(stage=S.ACTIVE), 2, BadRequest),
        (an_admission(stage=S.ACTIVE), 1, BadRequest),
        (GROWING, 5, BadRequest),
        (GROWING, 6, Conflict),
        (an_admission(), 5, Conflict),
        (an_admission(stage=S.FAILED), 5, Conflict),
        (an_admission(stage=S.ACTIVE, delete_urn="u"), 5, Conflict),
        (replace(SNAPSHOT, stage=S.ACTIVE), 5, Conflict),
    ],
)
def test_what_does_not_grow(admission: VolumeAdmission, size_gib: int, raised: type[FreeholdError]) -> None:
    with pytest.raises(raised):
        lifecycle.grow_asked(admission, size_gib, "urn:2", 9)


def test_what_its_owner_does_not_make_larger_counts_as_before() -> None:
    after = lifecycle.grow_refused(GROWING, "urn:grow", 9)
    assert (after.grow_urn, after.grows_to_gib, after.size_gib()) == ("", 0, 2)
    assert lifecycle.grow_refused(GROWING, "urn:older", 9) is GROWING


def test_what_one_volume_may_not_have_is_said() -> None:
    assert "9 GiB" in lifecycle.too_large(9, 5).message and "5 GiB" in lifecycle.too_large(9, 5).message


def test_what_has_failed_says_why() -> None:
    after = lifecycle.failed(an_admission(), FULL, 9)
    assert (after.stage, after.fault, after.updated) == (S.FAILED, FULL, 9)
