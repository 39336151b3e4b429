"""The ledger's rows of volumes and snapshots, and the sums that quotas need."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.store.database import Store
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.tenant import Resource
from freehold.vocabulary.volume_request import VolumeAdmission, VolumeStage
from freehold.workers.registrar.volumes.lifecycle import Stray
from freehold.workers.registrar.volumes.records import POSITION, Records
from tests.owners import means_of, store_at
from tests.workers.registrar.volumes.bench import a_place, an_admission

S = VolumeStage


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    store = await store_at(tmp_path / "r.db", means_of())
    yield Records(store)
    await store.close()


def used(records: Records, project: str = "p") -> dict[str, int]:
    return {resource.value: amount for resource, amount in records.used(project).items() if amount}


def moved(records: Records, identifier: str, **fields: Any) -> VolumeAdmission:
    before = records.admission(identifier)
    assert before is not None
    after = replace(before, **fields)
    records.moved(before, after, "test", 7)
    return after


# --- admissions ------------------------------------------------------------------------------------------------------


async def test_it_is_admitted_with_its_key_and_its_images_owner(records: Records) -> None:
    admission = an_admission()
    records.admit(admission, "images", "key", "digest")
    assert records.admission("v") == admission and records.admissions() == [admission]
    assert records.image_owner("v") == "images"
    assert records.asked_before("p", "key") == ("digest", "v")
    assert records.asked_before("q", "key") is None and records.asked_before("p", "other") is None


async def test_without_a_key_or_an_image_none_is_kept(records: Records) -> None:
    records.admit(an_admission(), "", "", "digest")
    assert records.image_owner("v") == "" and records.asked_before("p", "") is None


async def test_nobody_is_told_of_keys_and_owners(records: Records) -> None:
    records.admit(an_admission(), "images-of-somebody", "key", "a-digest")
    await records.store.durable()
    told = b"".join(entry.value or b"" for entry in records.store.since(Position(epoch=records.store.epoch)).entries)
    assert b"images-of-somebody" not in told and b"a-digest" not in told


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"stage": S.ADMITTED, "refused_number": 1}, True),
        ({"stage": S.ACTIVE}, False),
        ({"stage": S.FAILED}, False),
        ({"delete_urn": "u"}, True),
    ],
)
async def test_who_has_the_image_is_known_as_long_as_it_is_pursued(
    records: Records, fields: dict[str, Any], kept: bool
) -> None:
    records.admit(an_admission(), "images", "", "")
    moved(records, "v", **fields)
    assert (records.image_owner("v") == "images") is kept


async def test_what_is_gone_is_known_to_have_ended_until_the_horizon(records: Records) -> None:
    records.admit(an_admission(), "images", "key", "digest")
    assert not records.has_ended("v")
    records.moved(an_admission(), None, "test", 7)
    assert records.admission("v") is None and records.has_ended("v") and records.image_owner("v") == ""
    assert records.asked_before("p", "key") == ("digest", "v"), "its key isn't free again"
    records.forget_ended(7)
    assert records.has_ended("v")
    records.forget_ended(8)
    assert not records.has_ended("v")


async def test_where_each_was_sent_last(records: Records) -> None:
    for identifier in ("b", "a"):
        records.admit(an_admission(identifier), "", "", "")
    records.admit(an_admission("c", place=None), "", "", "")
    assert [one.id for one in records.at("s1")] == ["a", "b"] and records.at("s2") == []
    moved(records, "a", refused_number=1, stage=S.ADMITTED)
    moved(records, "b", place=a_place(2, "s2"))
    records.moved(an_admission("c", place=None), None, "test", 7)
    assert [one.id for one in records.at("s1")] == ["a"] and [one.id for one in records.at("s2")] == ["b"]


async def test_what_is_adopted_counts(records: Records) -> None:
    records.adopt(an_admission(stage=S.ACTIVE))
    assert used(records) == {"volumes": 1, "gigabytes": 2} and [one.id for one in records.at("s1")] == ["v"]


# --- strays and positions --------------------------------------------------------------------------------------------


async def test_strays_are_kept_by_their_pool(records: Records) -> None:
    stray = Stray(place=a_place(), project="p")
    records.keep_stray("s1", "v", stray)
    records.keep_stray("s2", "v", replace(stray, place=a_place(1, "s2")))
    assert records.strays() == [("s1", "v"), ("s2", "v")]
    assert records.stray("s1", "v") == stray and records.stray("s1", "w") is None
    records.keep_stray("s1", "v", None)
    assert records.strays() == [("s2", "v")] and records.stray("s1", "v") is None


async def test_positions_are_kept_by_store(records: Records) -> None:
    for store, seq in (("s1", 1), ("s2", 5), ("s1", 2)):
        records.store.stage([records.keep_position(store, Position(epoch="e", seq=seq))], "news")
    assert {store: at.seq for store, at in records.positions().items()} == {"s1": 2, "s2": 5}
    assert decode(records.store.read_private(POSITION, "s1") or b"", Position).seq == 2
    assert encode(Position(epoch="e", seq=2)) == records.store.read_private(POSITION, "s1")


# --- sums ------------------------------------------------------------------------------------------------------------


async def test_quota_follows_each_change(records: Records) -> None:
    assert used(records) == {}
    records.admit(an_admission("v", 2), "", "", "")
    records.admit(an_admission("n", 2, snapshot_of="v"), "", "", "")
    assert used(records) == {"volumes": 1, "snapshots": 1, "gigabytes": 4}
    moved(records, "v", grows_to_gib=10, grow_urn="u")
    assert used(records)["gigabytes"] == 12
    moved(records, "v", grows_to_gib=0, grow_urn="")
    assert used(records)["gigabytes"] == 4
    moved(records, "v", stage=S.FAILED)
    assert used(records)["volumes"] == 1, "it counts until it is deleted"
    for identifier in ("v", "n"):
        before = records.admission(identifier)
        assert before is not None
        records.moved(before, None, "test", 7)
    assert used(records) == {} and used(records, "q") == {}


MOVES = st.lists(
    st.tuples(st.sampled_from("vwxn"), st.sampled_from("pq"), st.integers(0, 4), st.integers(0, 9), st.integers(0, 2)),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(moves=MOVES)
async def test_the_sums_are_those_of_the_admissions_also_after_a_start(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("sums") / "r.db"
    store = await store_at(path, means_of())
    records = Records(store)
    for identifier, project, size_gib, grows_to_gib, number in moves:
        before = records.admission(identifier)
        place = a_place(number, f"s{number}") if number else None
        if before is None:
            of = "v" if identifier == "n" else ""
            records.admit(an_admission(identifier, size_gib, project=project, snapshot_of=of), "", "", "")
        elif not size_gib:
            records.moved(before, None, "test", 7)
        else:
            records.moved(before, replace(before, place=place, grows_to_gib=grows_to_gib), "test", 7)
        _check_sums(store, records)
    await store.close()
    again = await store_at(path, means_of())
    _check_sums(again, Records(again))
    await again.close()


def _check_sums(store: Store, records: Records) -> None:
    there = store.scan(VolumeAdmission)
    for project in "pq":
        mine = [one for one in there if one.project == project]
        wanted = {
            Resource.VOLUMES.value: sum(not one.snapshot_of for one in mine),
            Resource.SNAPSHOTS.value: sum(bool(one.snapshot_of) for one in mine),
            Resource.GIGABYTES.value: sum(max(one.spec.size_gib, one.grows_to_gib) for one in mine),
        }
        assert used(records, project) == {name: amount for name, amount in wanted.items() if amount}
    for at in ("s0", "s1", "s2"):
        sent = [one.id for one in there if one.place is not None and one.place.store == at]
        assert [one.id for one in records.at(at)] == sorted(sent)
