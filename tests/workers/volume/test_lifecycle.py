"""The rules of volumes and snapshots on the worker that owns them, row by row of the table."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, Fault, FreeholdError, NoRoom, NotFound, Unavailable
from freehold.vocabulary.volume import SIZE_GIB_MAX, Snapshot, SourceKind, Volume, VolumeRefusal, VolumeState
from freehold.workers.volume import lifecycle
from freehold.workers.volume.lifecycle import DELETED, LOST, SNAPSHOTS_OF_VOLUME_MAX
from tests.workers.volume.bench import (
    OTHER,
    SNAPSHOT,
    VOLUME,
    a_drop,
    a_grow,
    a_make,
    a_pool,
    a_remove,
    a_snapshot,
    a_spec,
    a_take,
    a_volume,
    of,
)

S = VolumeState
BUSY = (S.CREATING, S.EXTENDING, S.DELETING)
FULL = Fault(code="NoRoom", message="It is full.")
OF_VOLUME, OF_SNAPSHOT = of(SourceKind.VOLUME, OTHER), of(SourceKind.SNAPSHOT, SNAPSHOT)


@pytest.mark.parametrize("state", list(S))
def test_what_is_still_worked_on(state: S) -> None:
    assert lifecycle.is_unfinished(a_volume(state=state)) is (state in BUSY)
    assert lifecycle.is_unfinished(a_snapshot(state=state)) is (state in BUSY)


# --- none, MakeVolume ------------------------------------------------------------------------------------------------


def test_a_volume_that_can_be_made_is_recorded_as_it_was_asked_for() -> None:
    asked, pool = a_make(size_gib=3, number=2), a_pool()
    lifecycle.check_volume(asked, pool, None)
    record = lifecycle.claimed(asked, pool, 9)
    assert record.state is S.CREATING
    assert (record.id, record.project, record.user, record.urn) == (VOLUME, "p", "u", asked.urn)
    assert (record.store, record.cluster, record.number) == (pool.id, pool.cluster, 2)
    assert (record.spec, record.labels, record.created, record.updated) == (asked.spec, asked.labels, 5, 9)


@pytest.mark.parametrize(
    ("size_gib", "pool", "raised"),
    [
        (1, {}, None),
        (SIZE_GIB_MAX, {"total_gib": SIZE_GIB_MAX}, None),
        (0, {}, BadRequest),
        (-1, {}, BadRequest),
        (SIZE_GIB_MAX + 1, {"total_gib": 2 * SIZE_GIB_MAX}, BadRequest),
        (1, {"closed": True}, Unavailable),
        (10, {"total_gib": 10}, None),
        (10, {"total_gib": 10, "used_gib": 1}, NoRoom),
        (1, {"total_gib": 1, "used_gib": 2}, NoRoom),  # it was made smaller
    ],
)
def test_which_volume_a_pool_takes(size_gib: int, pool: dict[str, Any], raised: type[FreeholdError] | None) -> None:
    _check(raised, lambda: lifecycle.check_volume(a_make(size_gib=size_gib), a_pool(**pool), None))


@pytest.mark.parametrize("identifier", ["", "../etc/passwd", "ABCDEF00-0000-4000-8000-000000000001", VOLUME + "\n"])
def test_an_id_that_is_none_is_refused(identifier: str) -> None:
    with pytest.raises(BadRequest):
        lifecycle.check_volume(a_make(identifier), a_pool(), None)
    with pytest.raises(BadRequest):
        lifecycle.check_snapshot(a_take(identifier), a_pool(), a_volume(), 0)


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        (None, NotFound),
        (a_volume(OTHER, 2, project="another"), NotFound),
        (a_volume(OTHER, 2, S.CREATING), Conflict),
        (a_volume(OTHER, 2, S.EXTENDING), Conflict),
        (a_volume(OTHER, 2, S.DELETING), Conflict),
        (a_volume(OTHER, 2, S.ERROR), Conflict),
        (a_volume(OTHER, 3), BadRequest),
        (a_volume(OTHER, 2), None),
        (a_volume(OTHER, 1), None),
        (a_snapshot(size_gib=3), BadRequest),
        (a_snapshot(size_gib=2), None),
        (a_snapshot(state=S.DELETING), Conflict),
        (a_snapshot(project="another"), NotFound),
    ],
)
def test_what_a_volume_can_be_a_copy_of(source: Volume | Snapshot | None, raised: type[FreeholdError] | None) -> None:
    wanted = OF_SNAPSHOT if isinstance(source, Snapshot) else OF_VOLUME
    _check(raised, lambda: lifecycle.check_volume(a_make(size_gib=2, source=wanted), a_pool(), source))


def test_an_image_is_looked_for_elsewhere() -> None:
    lifecycle.check_volume(a_make(source=of(SourceKind.IMAGE, OTHER)), a_pool(), None)


# --- none, TakeSnapshot ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volume", "snapshots", "pool", "raised"),
    [
        (a_volume(), 0, {}, None),
        (None, 0, {}, NotFound),
        (a_volume(project="another"), 0, {}, NotFound),
        (a_volume(state=S.CREATING), 0, {}, Conflict),
        (a_volume(state=S.EXTENDING), 0, {}, Conflict),
        (a_volume(state=S.DELETING), 0, {}, Conflict),
        (a_volume(state=S.ERROR), 0, {}, Conflict),
        (a_volume(), SNAPSHOTS_OF_VOLUME_MAX - 1, {}, None),
        (a_volume(), SNAPSHOTS_OF_VOLUME_MAX, {}, Conflict),
        (a_volume(size_gib=5), 0, {"total_gib": 9, "used_gib": 5}, NoRoom),  # it may come to hold as much
        (a_volume(size_gib=5), 0, {"total_gib": 10, "used_gib": 5}, None),
    ],
)
def test_which_snapshot_can_be_taken(
    volume: Volume | None, snapshots: int, pool: dict[str, Any], raised: type[FreeholdError] | None
) -> None:
    _check(raised, lambda: lifecycle.check_snapshot(a_take(), a_pool(**pool), volume, snapshots))


def test_a_snapshot_is_recorded_with_the_size_that_its_volume_has() -> None:
    record = lifecycle.snapshot_of(a_take(size_gib=1), a_pool(), 7, 9)
    assert (record.id, record.volume, record.size_gib, record.state) == (SNAPSHOT, VOLUME, 7, S.CREATING)
    assert (record.project, record.store, record.created, record.updated) == ("p", "s", 5, 9)


# --- refused ---------------------------------------------------------------------------------------------------------


def a_refusal(number: int = 2, *, deleted: bool = False) -> VolumeRefusal:
    return VolumeRefusal(id=VOLUME, project="p", number=number, urn="u", fault=FULL, deleted=deleted)


@pytest.mark.parametrize(
    ("refusal", "number", "refused"),
    [
        (None, 1, False),
        (a_refusal(2), 1, True),
        (a_refusal(2), 2, True),
        (a_refusal(2), 3, False),
        (a_refusal(2, deleted=True), 3, True),
    ],
)
def test_a_refusal_holds_for_its_number_and_lower_ones_or_for_good(
    refusal: VolumeRefusal | None, number: int, refused: bool
) -> None:
    assert lifecycle.is_refused(refusal, number) is refused


def test_a_refusal_says_why_and_what_is_gone_says_so() -> None:
    refused = lifecycle.refused(VOLUME, "p", 3, "urn", NoRoom("It is full."), 9)
    assert refused == VolumeRefusal(id=VOLUME, project="p", number=3, urn="urn", fault=FULL, time=9)
    gone = lifecycle.ended(a_volume(number=4), "urn", 9)
    assert (gone.number, gone.deleted, gone.fault, gone.time) == (4, True, DELETED, 9)
    assert lifecycle.ended(a_snapshot(), "urn", 9).number == 1
    assert lifecycle.never(VOLUME, "p", 4, "urn", 9) == gone


# --- CREATING, and what is taken up ----------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [a_volume(state=S.CREATING, fault=FULL), a_snapshot(state=S.CREATING, fault=FULL)])
def test_what_has_its_bytes_is_available(record: Volume | Snapshot) -> None:
    made = lifecycle.made(record, 9)
    assert (made.state, made.fault, made.updated) == (S.AVAILABLE, None, 9)


@pytest.mark.parametrize("record", [a_volume(state=S.CREATING), a_snapshot(state=S.CREATING)])
def test_what_was_here_before_is_taken_up_as_it_is_and_never_made_anew(record: Volume | Snapshot) -> None:
    assert lifecycle.taken_up(record, has_bytes=True, now=9) == replace(record, state=S.AVAILABLE, updated=9)
    without = lifecycle.taken_up(record, has_bytes=False, now=9)
    assert (without.state, without.fault) == (S.ERROR, LOST)


# --- growing ---------------------------------------------------------------------------------------------------------


def grown(volume: Volume | None, size_gib: int, **pool: Any) -> Volume:
    asked = a_grow(size_gib)
    return lifecycle.growing(volume, asked.volume, size_gib, a_pool(**pool), asked.urn, 9)


@pytest.mark.parametrize("state", [S.CREATING, S.EXTENDING, S.DELETING, S.ERROR])
def test_only_what_is_available_grows(state: S) -> None:
    with pytest.raises(Conflict, match=str(state)):
        grown(a_volume(size_gib=2, state=state), 3)


@pytest.mark.parametrize(
    ("size_gib", "pool", "raised"),
    [
        (1, {}, BadRequest),
        (SIZE_GIB_MAX + 1, {"total_gib": 2 * SIZE_GIB_MAX}, BadRequest),
        (7, {"total_gib": 6, "used_gib": 2}, NoRoom),
        (6, {"total_gib": 6, "used_gib": 2}, None),  # what it has is promised already
    ],
)
def test_how_far_it_grows(size_gib: int, pool: dict[str, Any], raised: type[FreeholdError] | None) -> None:
    _check(raised, lambda: grown(a_volume(size_gib=2), size_gib, **pool))


def test_a_volume_that_is_not_here_does_not_grow() -> None:
    with pytest.raises(NotFound, match=VOLUME):
        grown(None, 3)


def test_it_grows_and_has_grown() -> None:
    growing = grown(a_volume(size_gib=2, fault=FULL, refused_urn="urn:old"), 3)
    assert (growing.state, growing.grows_to_gib, growing.grow_urn) == (S.EXTENDING, 3, "urn:grow")
    assert (growing.spec.size_gib, growing.fault, growing.refused_urn) == (2, None, "")
    after = lifecycle.grown(growing, 10)
    assert (after.state, after.spec.size_gib, after.grows_to_gib, after.grow_urn) == (S.AVAILABLE, 3, 0, "")


def test_one_that_can_not_grow_says_which_request_it_was_and_why() -> None:
    after = lifecycle.not_grown(grown(a_volume(size_gib=2), 3), FULL, 10)
    assert (after.state, after.spec.size_gib, after.grows_to_gib, after.grow_urn) == (S.AVAILABLE, 2, 0, "")
    assert (after.refused_urn, after.fault) == ("urn:grow", FULL)


@pytest.mark.parametrize(
    "held",
    [
        a_volume(size_gib=3),  # it has grown
        a_volume(size_gib=2, state=S.EXTENDING, grows_to_gib=3, grow_urn="urn:grow"),
    ],
)
def test_a_repeat_of_what_was_decided_changes_nothing(held: Volume) -> None:
    assert grown(held, 3) is held


# --- ending ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("state", list(S))
def test_a_volume_goes_in_every_state_and_while_it_grows_by_force(state: S, force: bool) -> None:
    volume = a_volume(state=state, grows_to_gib=3 if state is S.EXTENDING else 0)
    if state is S.EXTENDING and not force:
        with pytest.raises(Conflict, match="extended"):
            lifecycle.ending(volume, 0, 0, 9, force=force)
        return
    after = lifecycle.ending(volume, 0, 0, 9, force=force)
    assert (after.state, after.grows_to_gib) == (S.DELETING, 0)
    assert (after is volume) is (state is S.DELETING)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("snapshots", "copies", "says"), [(1, 0, "1 snapshots"), (0, 1, "copied")])
def test_what_something_depends_on_stays(snapshots: int, copies: int, says: str, force: bool) -> None:
    with pytest.raises(Conflict, match=says):
        lifecycle.ending(a_volume(), snapshots, copies, 9, force=force)


@pytest.mark.parametrize("state", list(S))
def test_a_snapshot_goes_in_every_state_but_while_it_is_copied(state: S) -> None:
    assert lifecycle.snapshot_ending(a_snapshot(state=state), 0, 9).state is S.DELETING
    with pytest.raises(Conflict, match="copied"):
        lifecycle.snapshot_ending(a_snapshot(state=state), 1, 9)


def test_what_is_known_by_its_bytes_alone_goes_and_promises_nothing() -> None:
    volume = lifecycle.ending(lifecycle.nameless(a_remove(number=3), a_pool(), 9), 0, 0, 9, force=False)
    assert (volume.id, volume.project, volume.store, volume.number) == (VOLUME, "p", "s", 3)
    assert (volume.state, volume.spec.size_gib) == (S.DELETING, 0)
    snapshot = lifecycle.nameless_snapshot(a_drop(), a_pool(), 9)
    assert (snapshot.id, snapshot.volume, snapshot.state, snapshot.size_gib) == (SNAPSHOT, VOLUME, S.DELETING, 0)


# --- what an old copy of the store doesn't know ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "size_gib", "after_gib"),
    [
        *((S.AVAILABLE, 3, 3), (S.AVAILABLE, 2, 2), (S.AVAILABLE, 1, 2), (S.AVAILABLE, 0, 2)),
        *((S.EXTENDING, 3, 2), (S.EXTENDING, 4, 2), (S.EXTENDING, 5, 5), (S.ERROR, 5, 2)),
    ],
)
def test_a_volume_is_as_large_as_its_bytes_and_never_smaller_than_was_promised(
    state: S, size_gib: int, after_gib: int
) -> None:
    held = a_volume(size_gib=2, state=state, grows_to_gib=4 if state is S.EXTENDING else 0)
    after = lifecycle.as_large_as_it_is(held, size_gib, 9)
    assert after.spec.size_gib == after_gib
    assert after is held or (after.state, after.grows_to_gib) == (S.AVAILABLE, 0)
    assert (after is held) is (after_gib == 2)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [S.AVAILABLE, S.ERROR])
@pytest.mark.parametrize("state", list(S))
def test_an_operator_says_so_of_what_nobody_works_on(state: S, said: S) -> None:
    if state in BUSY:
        with pytest.raises(Conflict, match=str(state)):
            lifecycle.reset(a_volume(state=state), said, 9)
    else:
        after = lifecycle.reset(a_volume(state=state, fault=LOST), said, 9)
        assert (after.state, after.fault, after.updated) == (said, None, 9)


@pytest.mark.parametrize("said", BUSY)
def test_the_other_states_are_the_pools_own(said: S) -> None:
    with pytest.raises(BadRequest):
        lifecycle.reset(a_volume(), said, 9)


def test_who_looks_for_what_is_not_there_is_told() -> None:
    assert lifecycle.found(a_volume(), VOLUME) == a_volume()
    assert lifecycle.found_snapshot(a_snapshot(), SNAPSHOT) == a_snapshot()
    with pytest.raises(NotFound, match=VOLUME):
        lifecycle.found(None, VOLUME)
    with pytest.raises(NotFound, match=SNAPSHOT):
        lifecycle.found_snapshot(None, SNAPSHOT)


def _check(raised: type[FreeholdError] | None, rule: Any) -> None:
    if raised is None:
        rule()
    else:
        with pytest.raises(raised) as caught:
            rule()
        assert type(caught.value) is raised


def test_the_size_that_is_asked_for_is_the_one_that_is_kept() -> None:
    assert lifecycle.claimed(a_make(spec=a_spec(4, bootable=True)), a_pool(), 9).spec == a_spec(4, bootable=True)
