"""The past in a log: every state at or after the horizon is known exactly, whatever was compacted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.store import database
from freehold.store.backup import Copy, Rebuilding
from freehold.store.database import Store, drop, put
from freehold.store.history import Moment
from freehold.store.proof import proven
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Happened, Position
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.tenant import Project
from tests.owners import HandClock, a_guest, means_of, project, store_at

T = TypeVar("T")
Fold = dict[tuple[str, str], bytes]
PLENTY = 1 << 20


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_at(tmp_path / "s.db", means_of())
    yield made
    await made.close()


def state(store: Store, seq: int, kinds: tuple[str, ...] = (), prefix: str = "", size: int = PLENTY) -> Fold:
    """The whole state at `seq`, put together from its pages."""
    found: Fold = {}
    after, more = ("", ""), True
    while more:
        part = store.history.state(seq, kinds, prefix, "", after, size)
        found.update({(row.kind, row.key): row.value for row in part.rows})
        after, more = part.after, part.more
    return found


def named(key: str, name: str) -> Project:
    return Project(id=key, name=name)


STEP = st.tuples(st.sampled_from(["put", "drop", "compact"]), st.sampled_from("abcd"), st.integers(1, 8))


@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=40), size=st.sampled_from([1, 300, PLENTY]))
def test_every_state_since_the_horizon_is_known(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], size: int
) -> None:
    path = tmp_path_factory.mktemp("s") / "s.db"

    async def run() -> None:
        store = await store_at(path, means_of())
        rows: Fold = {}
        was: list[Fold] = [{}]
        for number, (how, key, value) in enumerate(steps):
            if how == "compact":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(database, "COMPACT_ENTRIES", value)
                    await store.compact(tail=value)
                continue
            if how == "put":
                await store.commit([put(key, named(key, f"{number}"))], "t")
                rows = rows | {("project", key): encode(named(key, f"{number}"))}
            else:
                await store.commit([drop("project", key)], "t")
                rows = {place: row for place, row in rows.items() if place != ("project", key)}
            was.append(rows)
        horizon = store.history.horizon()
        assert horizon.seq <= store.position().seq
        for seq in range(horizon.seq, store.position().seq + 1):
            assert state(store, seq, size=size) == was[seq]
        await store.close()
        assert proven(path).rows == len(rows), "and what the file says of the newest is so"

    asyncio.run(run())


async def test_compaction_moves_the_horizon_and_never_back(store: Store) -> None:
    assert store.history.horizon() == Moment(0, 0)
    await store.commit([put("a", project("a"))] * 10, "t")
    await store.compact(tail=3)
    first = store.history.horizon()
    assert first.seq == 7 and 0 < first.time < store.history.last_time()
    await store.compact(tail=5)
    assert store.history.horizon() == first


async def test_compaction_looks_at_what_came_since_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    async def counted(work: Callable[[], T]) -> T:
        nonlocal steps
        steps += 1
        return work()

    monkeypatch.setattr(database, "COMPACT_ENTRIES", 2)
    store = await store_at(tmp_path / "s.db", means_of(offload=counted))
    taken = []
    for count in (40, 4, 4):
        await store.commit([put(key, named(key, f"{count}")) for key in "ab" * (count // 2)], "t")
        steps = 0
        await store.compact(tail=2)
        taken.append(steps)
    assert taken[0] >= 19 and taken[1] == taken[2] <= 4
    assert len(state(store, store.position().seq)) == 2
    await store.close()


async def test_a_time_is_a_place_in_the_log(tmp_path: Path) -> None:
    clock = HandClock()
    store = await store_at(tmp_path / "s.db", means_of(clock=clock))
    times = [0]
    for number in range(20):
        clock.move(1)
        await store.commit([put(f"{number % 3}", named("x", f"{number}"))], "t")
        times.append(store.history.last_time())
    assert [store.history.at_time(time, 20) for time in times] == [Moment(n, time) for n, time in enumerate(times)]
    assert [store.history.at_time(time - 1, 20).seq for time in times[1:]] == list(range(20))
    assert store.history.at_time(times[-1] << 1, 20).seq == 20
    await store.compact(tail=6)
    assert store.history.at_time(times[13], 20).seq == store.history.horizon().seq == 14
    assert [store.history.at_time(time, 20).seq for time in times[14:]] == list(range(14, 21))
    await store.close()


async def test_the_newest_entries_are_known_if_they_are_few_and_whole(tmp_path: Path) -> None:
    clock = HandClock()
    store = await store_at(tmp_path / "s.db", means_of(clock=clock))
    for key in "abcd":
        clock.move(1.0)
        await store.commit([put(key, project(key))], "t")
    times = [entry.time for entry in store.since(Position(epoch=store.epoch)).entries]

    def newest(time: int, seq: int = 4, limit: int = 10) -> list[int]:
        return [entry.seq for entry in store.history.newest(time, seq, limit)]

    assert newest(times[2]) == [3, 4]
    assert newest(times[1] + 1) == [3, 4]
    assert newest(times[1], seq=3) == [2, 3]
    assert newest(times[3] + 1) == []
    assert newest(times[1], limit=3) == [2, 3, 4]
    assert newest(times[1], limit=2) == []
    await store.close()


async def test_a_clock_set_back_between_two_processes_is_passed(tmp_path: Path) -> None:
    clock = HandClock()
    store = await store_at(tmp_path / "s.db", means_of(clock=clock))
    await store.commit([put("a", project("a"))], "t")
    before = store.history.last_time()
    await store.close()
    clock.move(-3600)
    again = await store_at(tmp_path / "s.db", means_of(clock=clock))
    await again.commit([put("a", named("a", "later"))], "t")
    assert again.history.last_time() > before, "a later entry has an earlier time"
    assert again.history.at_time(before, 2).seq == 1
    await again.close()


async def test_part_of_a_state_can_be_asked_for(store: Store) -> None:
    await store.commit([put("a1", project("a1")), put("b1", project("b1"))], "t")
    mine, theirs = a_guest("a1", "h", project="mine"), a_guest("a2", "h", project="theirs")
    await store.commit([put("a1", mine), put("a2", theirs)], "t")
    assert set(state(store, 4, kinds=("guest",))) == {("guest", "a1"), ("guest", "a2")}
    assert set(state(store, 4, prefix="a")) == {("guest", "a1"), ("guest", "a2"), ("project", "a1")}
    assert set(state(store, 3)) == {("guest", "a1"), ("project", "a1"), ("project", "b1")}
    part = store.history.state(4, ("guest", "project"), "", "mine", ("", ""), PLENTY)
    assert [(row.kind, row.key) for row in part.rows] == [("guest", "a1"), ("project", "a1"), ("project", "b1")]


async def test_what_was_deleted_is_told_as_it_last_was(store: Store) -> None:
    mine, theirs = a_guest("a", "h", project="mine"), a_guest("b", "h", project="theirs")
    await store.commit([put("a", a_guest("a", "h", deed=1)), put("a", mine), put("b", theirs)], "t")
    await store.commit([drop("guest", "a"), drop("guest", "b"), put("c", mine)], "t")
    gone = store.history.deleted("guest", "mine", 0, 6, 10)
    assert [(one.seq, one.key, one.value) for one in gone] == [(4, "a", encode(mine)), (5, "b", b"")]
    assert [one.key for one in store.history.deleted("guest", "", 4, 6, 10)] == ["b"]
    assert [one.key for one in store.history.deleted("guest", "", 0, 4, 10)] == ["a"]
    assert [one.key for one in store.history.deleted("guest", "", 0, 6, 1)] == ["a"]
    await store.compact(tail=3)
    assert [one.value for one in store.history.deleted("guest", "", 0, 6, 10)] == [encode(mine), encode(theirs)]


async def test_a_log_from_before_horizons_knows_its_last_state_only(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", means_of())
    await store.commit([put("a", named("a", f"{n}")) for n in range(4)], "t")
    store._writer.execute("DELETE FROM log WHERE seq < 3")
    store._writer.execute("DELETE FROM meta WHERE name = 'horizon'")
    await store.close()
    again = await store_at(tmp_path / "s.db", means_of())
    assert again.history.horizon() == Moment(4, again.history.last_time())
    assert again.since(Position(epoch=again.epoch)).complete_needed
    await again.close()


@pytest.mark.parametrize(("tail", "horizon"), [(100, 0), (1, 5)])
async def test_a_store_made_from_a_backup_knows_how_far_back_it_goes(
    store: Store, tmp_path: Path, tail: int, horizon: int
) -> None:
    await store.commit([put("a", named("a", f"{n}")) for n in range(5)], "t")
    await store.compact(tail=tail)
    copy, made = Copy(store, None), Rebuilding(tmp_path / "again.db", store.id, "epoch-2")
    while (portion := copy.portion()) is not None:
        made.add(portion)  # type: ignore[arg-type]  # it has what a segment has of the store
    made.finish(copy.mark.position)
    copy.close()
    again = await store_at(tmp_path / "again.db", means_of())
    assert again.history.horizon().seq == horizon
    assert state(again, 5) == state(store, 5)
    await again.close()


def happened(store: Store, after: int, *, about: str = "", size: int = PLENTY) -> list[tuple[int, str | None]]:
    """(sequence, name before) of every entry of the project ``p`` after one, put together from its pages."""
    found: list[tuple[int, str | None]] = []
    more = True
    while more:
        asked = Happened(
            epoch=store.epoch, after=after, until=store.position().seq, kinds=("guest",), project="p", about=about
        )
        page = store.history.happened(asked, size)
        for one in page.found:
            found.append((one.entry.seq, None if one.before is None else decode(one.before, Guest).hostname))
        assert page.after > after or not page.more
        after, more = page.after, page.more
    return found


@pytest.mark.parametrize("size", [1, 400, PLENTY])
async def test_what_happened_has_what_stood_before(store: Store, size: int) -> None:
    guests = [a_guest("g", "h", hostname=f"h{n}") for n in range(3)]
    await store.commit([put("g", guests[0]), put("x", a_guest("x", "h", project="q"))], "t")
    await store.commit([put("p", project("p")), put("g", guests[1]), put("gg", a_guest("gg", "h"))], "t")
    await store.commit([put("g", guests[2]), drop("kind", "g")], "t")
    await store.commit([drop("guest", "g")], "t")
    assert happened(store, 0, size=size) == [(1, None), (4, "h0"), (5, None), (6, "h1"), (8, "h2")]
    assert happened(store, 4, size=size) == [(5, None), (6, "h1"), (8, "h2")]
    assert happened(store, 0, about="g", size=size) == [(1, None), (4, "h0"), (6, "h1"), (8, "h2")]


async def test_what_happened_after_the_horizon_keeps_what_stood_before(store: Store) -> None:
    for number in range(6):
        await store.commit([put("g", a_guest("g", "h", hostname=f"h{number}"))], "t")
    await store.compact(tail=2)
    assert happened(store, store.history.horizon().seq) == [(5, "h3"), (6, "h4")]
