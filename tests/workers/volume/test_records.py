"""What a volume worker remembers, and the sums that are kept in step with it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.store.database import Store
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.volume import Pool, Snapshot, SourceKind, Volume, VolumeState
from freehold.workers.volume import lifecycle
from freehold.workers.volume.records import Records, promised_gib
from tests.owners import means_of, store_at
from tests.workers.volume.bench import (
    IMAGE,
    OTHER,
    OTHER_SNAPSHOT,
    SNAPSHOT,
    THIRD,
    VOLUME,
    a_pool,
    a_snapshot,
    a_volume,
    of,
    uid,
)

S = VolumeState
NOW = 77


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    store = await store_at(tmp_path / "v.db", means_of(), role="volume")
    yield opened(store)
    await store.close()


def opened(store: Store) -> Records:
    records = Records(store, lambda: NOW)
    if records.pool() is None:
        records.keep_pool(a_pool(id=store.id), "test")
    return records


def said(records: Records) -> tuple[int, int, int]:
    """What the pool says that it has promised, and of how many."""
    pool = records.pool()
    assert pool is not None
    return pool.used_gib, pool.volumes, pool.snapshots


def test_what_is_promised_with_each_record() -> None:
    assert promised_gib(a_volume(size_gib=3)) == 3
    assert promised_gib(a_volume(size_gib=3, grows_to_gib=5)) == 5
    assert promised_gib(a_volume(size_gib=3, state=S.ERROR)) == 3, "its room isn't another's yet"
    assert promised_gib(a_snapshot(size_gib=4)) == 4


async def test_the_pool_is_written_with_each_claim(records: Records) -> None:
    await records.durable()
    before = records._store.position()
    records.keep(a_volume(size_gib=3), "test")
    await records.durable()
    entries = records._store.since(before).entries
    assert [entry.kind for entry in entries] == ["volume", "volume_pool"]
    assert said(records) == (3, 1, 0)
    records.keep(a_snapshot(size_gib=3), "test")
    assert said(records) == (6, 1, 1)
    records.keep(a_volume(size_gib=3, grows_to_gib=7), "test")
    assert said(records) == (10, 1, 1)
    records.end(a_snapshot(), lifecycle.ended(a_snapshot(), "u", 1), "test")
    records.end(a_volume(), lifecycle.ended(a_volume(), "u", 1), "test")
    assert said(records) == (0, 0, 0)
    pool = records.pool()
    assert pool is not None and pool.updated == NOW


async def test_a_pool_that_is_looked_at_anew_keeps_what_it_has_promised(records: Records) -> None:
    records.keep(a_volume(size_gib=3), "test")
    records.keep_pool(a_pool(200, id=records._store.id, used_gib=99, volumes=99), "test")
    pool = records.pool()
    assert pool is not None and pool.total_gib == 200
    assert said(records) == (3, 1, 0)


async def test_snapshots_are_found_by_their_volume_in_the_order_they_were_asked_for(records: Records) -> None:
    records.keep(a_snapshot(OTHER_SNAPSHOT), "test")
    records.keep(a_snapshot(SNAPSHOT), "test")
    records.keep(a_snapshot(uid(103), OTHER), "test")
    records.keep(replace(a_snapshot(OTHER_SNAPSHOT), state=S.DELETING), "test")
    assert [one.id for one in records.snapshots_of(VOLUME)] == [OTHER_SNAPSHOT, SNAPSHOT]
    records.end(a_snapshot(OTHER_SNAPSHOT), lifecycle.ended(a_snapshot(OTHER_SNAPSHOT), "u", 1), "test")
    assert [one.id for one in records.snapshots_of(VOLUME)] == [SNAPSHOT]
    assert records.snapshots_of(THIRD) == []


async def test_what_a_volume_is_a_copy_of_is_looked_for_among_its_own_kind(records: Records) -> None:
    records.keep(a_volume(), "test")
    records.keep(a_snapshot(), "test")
    assert records.source(of(SourceKind.VOLUME, VOLUME)) == a_volume()
    assert records.source(of(SourceKind.SNAPSHOT, SNAPSHOT)) == a_snapshot()
    for source in (None, of(SourceKind.VOLUME, SNAPSHOT), of(SourceKind.SNAPSHOT, VOLUME), of(SourceKind.IMAGE, IMAGE)):
        assert records.source(source) is None


async def test_copies_count_while_they_are_made(records: Records) -> None:
    copy = a_volume(OTHER, state=S.CREATING, spec=replace(a_volume().spec, source=of(SourceKind.VOLUME, VOLUME)))
    records.keep(copy, "test")
    assert records.copies_of(SourceKind.VOLUME, VOLUME) == 1
    assert records.copies_of(SourceKind.SNAPSHOT, VOLUME) == records.copies_of(SourceKind.VOLUME, OTHER) == 0
    records.keep(replace(copy, state=S.AVAILABLE), "test")
    assert records.copies_of(SourceKind.VOLUME, VOLUME) == 0


async def test_refusals_are_let_go_of_when_they_are_old(records: Records) -> None:
    for number, time in ((1, 10), (2, 20), (3, 30)):
        records.refuse(lifecycle.refused(uid(number), "p", 1, "u", NoRoom("It is full."), time))
    records.forget_refusals(20)
    assert [one.time for one in records.refusals()] == [20, 30]
    assert records.refusal(uid(1)) is None and records.refusal(uid(2)) is not None
    await records.durable()
    before = records._store.position()
    records.forget_refusals(20)
    await records.durable()
    assert records._store.position() == before


async def test_an_answer_says_where_the_store_stands(records: Records) -> None:
    records.keep(a_volume(), "test")
    await records.durable()
    done = records.done("key")
    assert (done.store, done.position, done.key) == (records._store.id, records._store.position(), "key")


MOVES = st.lists(
    st.tuples(st.sampled_from((1, 2, 3, 101, 102)), st.integers(0, 4), st.integers(0, 9), st.sampled_from(list(S))),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(moves=MOVES)
async def test_the_sums_are_those_of_the_records_also_after_a_start(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int, int, S]]
) -> None:
    path = tmp_path_factory.mktemp("sums") / "v.db"
    store = await store_at(path, means_of(), role="volume")
    records = opened(store)
    for number, size_gib, grows_to_gib, state in moves:
        record = _record(number, size_gib, grows_to_gib, state)
        if size_gib:
            records.keep(record, "test")
        elif records.volume(record.id) or records.snapshot(record.id):
            records.end(record, lifecycle.ended(record, "u", 1), "test")
        _check_sums(store, records)
    await store.close()
    again = await store_at(path, means_of(), role="volume")
    records = Records(again, lambda: NOW)
    _check_sums(again, records)
    records.keep(a_volume(uid(9), 2), "test")
    _check_sums(again, records)
    await again.close()


def _record(number: int, size_gib: int, grows_to_gib: int, state: S) -> Volume | Snapshot:
    if number > 100:
        return a_snapshot(uid(number), uid(number % 2 + 1), state, size_gib=size_gib)
    return a_volume(uid(number), size_gib, state, grows_to_gib=grows_to_gib)


def _check_sums(store: Store, records: Records) -> None:
    volumes, snapshots = store.scan(Volume), store.scan(Snapshot)
    promised = sum(max(one.spec.size_gib, one.grows_to_gib) for one in volumes) + sum(one.size_gib for one in snapshots)
    pool = store.read_as(Pool, store.id)
    assert pool is not None
    assert (pool.used_gib, pool.volumes, pool.snapshots) == (promised, len(volumes), len(snapshots))
    assert _ids(records.volumes()) == _ids(volumes) and _ids(records.snapshots()) == _ids(snapshots)
    for volume in (uid(1), uid(2)):
        wanted = [one for one in snapshots if one.volume == volume]
        assert _ids(records.snapshots_of(volume)) == _ids(wanted)


def _ids(records: Sequence[Any]) -> list[str]:
    return sorted(record.id for record in records)
