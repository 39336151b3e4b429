"""A store: row and log together, durable before anyone is told, and whole after whatever stopped it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.store.database import RECORD_BYTES_MAX, Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.digest import chained
from freehold.vocabulary.envelope import NO_DIGEST, Entry, Position
from freehold.vocabulary.errors import Broken, Conflict, StoreFailed, TooLarge
from freehold.vocabulary.tenant import Project, User
from tests.owners import kept, means_of, project, store_at, turns

T = TypeVar("T")
MEANS = means_of()


class HeldOffload:
    """A disk that is busy until `go` is set, and counts what it was given."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.works = 0

    async def __call__(self, work: Callable[[], T]) -> T:
        await self.go.wait()
        self.works += 1
        return work()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_at(tmp_path / "s.db", MEANS)
    yield made
    await made.close()


def log_of(store: Store) -> list[Entry]:
    return list(store.since(Position(epoch=store.epoch)).entries)


def fold(entries: list[Entry]) -> dict[tuple[str, str], bytes]:
    rows: dict[tuple[str, str], bytes] = {}
    for entry in entries:
        if entry.value is None:
            rows.pop((entry.kind, entry.key), None)
        else:
            rows[(entry.kind, entry.key)] = entry.value
    return rows


def check_chain(entries: list[Entry]) -> None:
    digest = NO_DIGEST
    for number, e in enumerate(entries, 1):
        digest = chained(digest, e.seq, e.time, e.kind, e.key, e.value, e.cause)
        assert (e.seq, e.digest) == (number, digest)


async def test_reads_see_what_is_staged_before_it_is_durable(tmp_path: Path) -> None:
    disk = HeldOffload()
    store = await store_at(tmp_path / "s.db", means_of(offload=disk))
    await store.commit([put("a", project("a")), put("b", project("b")), keep_private("x", "1", b"old")], "t")
    disk.go.clear()
    store.stage([put("c", project("c")), drop("project", "a"), keep_private("x", "1", b"new")], "t")
    assert store.read_as(Project, "a") is None and store.read("project", "c") == project("c")
    assert [p.id for p in store.scan(Project)] == ["b", "c"]
    assert store.scan_private("x") == [("1", b"new")]
    assert store.position().seq == 2, "told as durable before it was"
    assert [e.key for e in log_of(store)] == ["a", "b"]
    disk.go.set()
    await store.durable()
    assert [p.id for p in store.scan(Project)] == ["b", "c"] and store.position().seq == 4
    await store.close()


async def test_durable_waits_for_the_disk(tmp_path: Path) -> None:
    disk = HeldOffload()
    store = await store_at(tmp_path / "s.db", means_of(offload=disk))
    disk.go.clear()
    waiting = asyncio.create_task(store.commit([put("a", project("a"))], "t"))
    await turns()
    assert not waiting.done()
    disk.go.set()
    assert (await waiting).seq == 1
    await store.close()


async def test_what_is_staged_while_the_disk_is_busy_is_one_commit(tmp_path: Path) -> None:
    disk = HeldOffload()
    store = await store_at(tmp_path / "s.db", means_of(offload=disk))
    before = disk.works
    disk.go.clear()
    waiting = [asyncio.create_task(store.commit([put(f"{n}", project(f"{n}"))], "t")) for n in range(100)]
    await turns()
    disk.go.set()
    assert [(await one).seq for one in waiting] == list(range(1, 101))
    assert disk.works - before <= 2
    await store.close()


async def test_of_what_is_written_twice_in_one_commit_the_last_is_read(tmp_path: Path) -> None:
    held = HeldOffload()
    store = await store_at(tmp_path / "s.db", means_of(offload=held))
    held.go.clear()
    for name in "abc":
        store.stage([put("p", replace(project("p"), name=name)), keep_private("secret", "k", name.encode())], "test")
    held.go.set()
    await store.durable()
    found = store.read_as(Project, "p")
    assert found is not None
    assert found.name == "c"
    assert store.read_private("secret", "k") == b"c"
    await store.close()


async def test_a_failed_commit_breaks_the_store_for_good(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", MEANS)
    await store.commit([put("a", project("a"))], "t")
    store._writer.execute("PRAGMA query_only=1")  # the disk turns read-only
    with pytest.raises(StoreFailed):
        await store.commit([put("b", project("b"))], "t")
    store._writer.execute("PRAGMA query_only=0")
    with pytest.raises(StoreFailed):
        store.stage([put("c", project("c"))], "t")
    with pytest.raises(StoreFailed):
        await store.durable()
    with pytest.raises(StoreFailed):
        await store.news()
    assert store.position().seq == 1
    await store.close()
    again = await store_at(tmp_path / "s.db", MEANS)
    assert [p.id for p in again.scan(Project)] == ["a"] and again.position().seq == 1
    await again.close()


async def test_whatever_a_commit_fails_by_is_heard_by_who_waits(tmp_path: Path) -> None:
    broken = False

    async def offload(work: Callable[[], T]) -> T:
        if broken:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return work()

    store = await store_at(tmp_path / "s.db", means_of(offload=offload))
    broken = True
    with pytest.raises(StoreFailed):
        await asyncio.wait_for(store.commit([put("a", project("a"))], "t"), 5)
    broken = False
    await store.close()


async def test_row_and_log_land_together_or_not_at_all(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", MEANS)
    store._writer.execute("CREATE TRIGGER full BEFORE INSERT ON private BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StoreFailed):
        await store.commit([put("a", project("a")), keep_private("k", "a", b"1")], "t")
    store._writer.execute("DROP TRIGGER full")
    await store.close()
    again = await store_at(tmp_path / "s.db", MEANS)
    assert not kept(again) and not log_of(again) and again.read_private("k", "a") is None
    await again.close()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Change("project", "b", bytes(RECORD_BYTES_MAX + 1)), TooLarge),
        (Change("project", "\ud800", b""), UnicodeEncodeError),
    ],
    ids=["too large to be told", "a key that is no text"],
)
async def test_a_transaction_that_cant_be_staged_leaves_nothing(store: Store, bad: Change, error: Any) -> None:
    with pytest.raises(error):
        store.stage([put("a", project("a")), bad], "t")
    assert store.read_as(Project, "a") is None
    assert (await store.commit([put("c", project("c"))], "t")).seq == 1
    check_chain(log_of(store))


async def test_the_chain_and_causes_of_the_log(store: Store) -> None:
    await store.commit([put("a", project("a")), put("b", project("b"))], "urn:1")
    await store.commit([drop("project", "a")], "urn:2")
    entries = log_of(store)
    check_chain(entries)
    assert [(e.key, e.cause, e.value is None) for e in entries] == [
        ("a", "urn:1", False),
        ("b", "urn:1", False),
        ("a", "urn:2", True),
    ]
    assert [e.time for e in entries] == sorted({e.time for e in entries})
    assert {e.seq for e in store.told_about("urn:2").entries} == {3}
    assert {e.seq for e in store.told_about("a").entries} == {1, 3}


async def test_private_values_are_never_in_log_or_rows(store: Store) -> None:
    await store.commit([put("u", User(id="u", name="n")), keep_private("password", "u", b"hunter2")], "t")
    assert store.read_private("password", "u") == b"hunter2"
    assert b"hunter2" not in b"".join(e.value or b"" for e in log_of(store))
    assert all(kind != "password" for kind, _ in kept(store))
    await store.commit([keep_private("password", "u", None)], "t")
    assert store.read_private("password", "u") is None and store.position().seq == 1


async def test_since_gives_pages_and_knows_other_histories(store: Store) -> None:
    await store.commit([put(f"{n}", project(f"{n}")) for n in range(10)], "t")
    third = log_of(store)[2]
    page = store.since(Position(epoch=store.epoch, seq=3, digest=third.digest), limit=4)
    assert [e.seq for e in page.entries] == [4, 5, 6, 7] and page.position.seq == 10
    assert not store.since(store.position()).entries
    for other in (
        Position(epoch="other", seq=3, digest=third.digest),
        Position(epoch=store.epoch, seq=3, digest=b"x" * 16),
        Position(epoch=store.epoch, seq=11, digest=third.digest),
        Position(epoch=store.epoch, seq=0, digest=b"x" * 16),
    ):
        assert store.since(other).complete_needed


async def test_complete_in_pages_covers_every_row_once(store: Store) -> None:
    await store.commit([put(f"{n:02}", project(f"{n:02}")) for n in range(25)], "t")
    await store.commit([put("00", User(id="00", name="n"))], "t")
    found: list[tuple[str, str]] = []
    after, more = ("", ""), True
    while more:
        page = store.complete(after, limit=7)
        found += [(row.kind, row.key) for row in page.rows]
        after, more = found[-1], page.more
    assert found == [("project", f"{n:02}") for n in range(25)] + [("user", "00")]


async def test_compaction_keeps_the_newest_of_each_key_and_the_tail(store: Store) -> None:
    for _ in range(5):
        await store.commit([put("busy", project("busy"))], "t")
    await store.commit([put("quiet", project("quiet")), drop("project", "busy")], "t")
    await store.commit([put(f"{n}", project(f"{n}")) for n in range(3)], "t")
    before = kept(store)
    await store.compact(tail=3)
    assert kept(store) == before
    assert store.since(Position(epoch=store.epoch)).complete_needed, "entries are missing: the reader must be told"
    last = store.position()
    rest = [row[0] for row in store._reader.execute("SELECT seq FROM log ORDER BY seq")]
    assert rest == [6, 8, 9, 10]
    eighth = store._reader.execute("SELECT digest FROM log WHERE seq = 8").fetchone()[0]
    tail = store.since(Position(epoch=store.epoch, seq=8, digest=eighth))
    assert [e.seq for e in tail.entries] == [9, 10] and tail.position == last


async def test_a_log_whose_last_entry_is_a_tombstone_goes_on_from_it(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", MEANS)
    await store.commit([put("a", project("a")), drop("project", "a")], "t")
    await store.compact(tail=0)
    head = store.position()
    await store.close()
    again = await store_at(tmp_path / "s.db", MEANS)
    assert again.position() == head, "a sequence was given out twice"
    await again.close()


async def test_compaction_and_commits_dont_mix(tmp_path: Path) -> None:
    running, most = 0, 0

    async def offload(work: Callable[[], T]) -> T:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await turns(3)
        running -= 1
        return work()

    store = await store_at(tmp_path / "s.db", means_of(offload=offload))
    await store.commit([put("a", project("a"))] * 10, "t")
    await asyncio.gather(store.compact(tail=1), store.commit([put("b", project("b"))], "t"), store.compact(tail=1))
    assert most == 1, "two threads used one connection"
    await store.close()


async def test_a_store_goes_on_where_it_stood(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", MEANS)
    await store.commit([put("a", project("a"))], "t")
    head, owner, epoch = store.position(), store.owner, store.epoch
    store.stage([put("b", project("b"))], "t")
    await store.close()  # what was staged is durable then
    again = await store_at(tmp_path / "s.db", means_of(seed=2))
    assert (again.owner, again.epoch) == (owner, epoch)
    assert again.position().seq == head.seq + 1
    await again.commit([put("c", project("c"))], "t")
    check_chain(log_of(again))
    await again.close()


async def test_news_comes_with_each_commit(store: Store) -> None:
    waiting = asyncio.create_task(store.news())
    await turns()
    assert not waiting.done()
    await store.commit([put("a", project("a"))], "t")
    await asyncio.wait_for(waiting, 5)


async def test_news_comes_to_everybody_who_waits(store: Store) -> None:
    both = [asyncio.create_task(store.news(0)) for _ in range(2)]
    await turns()
    await store.commit([keep_private("x", "1", b"1")], "t")
    assert [await asyncio.wait_for(one, 5) for one in both] == [1, 1]
    assert await asyncio.wait_for(store.news(0), 5) == 1, "who comes later hasn't missed it"
    waiting = asyncio.create_task(store.news(1))
    await turns()
    assert not waiting.done()
    await store.commit([put("a", project("a"))], "t")
    assert await asyncio.wait_for(waiting, 5) == 2 == store.commits


async def test_a_deleted_private_value_is_gone_and_may_come_again(store: Store) -> None:
    await store.commit([keep_private("x", "1", b"1"), keep_private("x", "2", b"2")], "t")
    await store.commit([keep_private("x", "1", None)], "t")
    assert store.read_private("x", "1") is None and store.scan_private("x") == [("2", b"2")]
    await store.compact(tail=1)
    assert store.scan_private("x") == [("2", b"2")]
    await store.commit([keep_private("x", "1", b"3")], "t")
    assert store.scan_private("x") == [("1", b"3"), ("2", b"2")]


async def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "s.db", MEANS)
    with pytest.raises(Conflict):
        await store_at(tmp_path / "s.db", MEANS)
    await store.close()


async def test_a_damaged_file_is_broken_not_empty(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Broken):
        await store_at(tmp_path / "s.db", MEANS)


STEP = st.tuples(st.sampled_from(["put", "drop", "private"]), st.sampled_from("abc"), st.integers(0, 9), st.booleans())


@settings(max_examples=40)
@given(steps=st.lists(STEP, max_size=25))
def test_the_fold_of_the_log_is_the_rows(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    path = tmp_path_factory.mktemp("s") / "s.db"

    def change(how: str, key: str, value: int) -> Change:
        if how == "put":
            return put(key, Project(id=key, name=f"{value}"))
        return drop("project", key) if how == "drop" else keep_private("k", key, b"%d" % value)

    async def run() -> None:
        store = await store_at(path, means_of())
        wanted: dict[str, Project] = {}
        for how, key, value, wait in steps:
            store.stage([change(how, key, value)], "t")
            if how == "put":
                wanted[key] = Project(id=key, name=f"{value}")
            elif how == "drop":
                wanted.pop(key, None)
            assert store.scan(Project) == [wanted[key] for key in sorted(wanted)]
            if wait:
                await store.durable()
        await store.close()
        again = await store_at(path, means_of())
        assert again.scan(Project) == [wanted[key] for key in sorted(wanted)]
        assert fold(log_of(again)) == kept(again)
        check_chain(log_of(again))
        await again.close()

    asyncio.run(run())


async def test_a_reader_of_the_file_itself_finds_plain_sqlite(store: Store, tmp_path: Path) -> None:
    await store.commit([put("a", project("a"))], "t")
    connection = sqlite3.connect(tmp_path / "s.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT count(*) FROM log").fetchone() == (1,)
    connection.close()


async def test_an_epoch_that_the_disk_refuses_is_not_begun(store: Store) -> None:
    before = store.epoch
    store._writer.execute("CREATE TRIGGER full BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StoreFailed, match="disk full"):
        await store.begin_epoch("2")
    assert store.epoch == store.position().epoch == before


async def test_a_field_of_a_later_version_stays_when_its_record_is_changed(store: Store) -> None:
    later = {"id": "p", "name": "old", "colour": "green"}
    await store.commit([Change("project", "p", encode(later))], "a later version")
    await store.commit([put("p", project("p"))], "this one")
    assert decode(log_of(store)[-1].value or b"", dict[str, Any])["colour"] == "green"
    await store.commit([drop("project", "p")], "this one")
    await store.commit([put("p", project("p"))], "this one")
    assert "colour" not in decode(log_of(store)[-1].value or b"", dict[str, Any])
