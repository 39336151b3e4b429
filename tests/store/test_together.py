"""Many stores in one file: each is as in a file of its own, and what all write at a time is one commit."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from freehold.runtime.tasks import Offload, offload_inline
from freehold.store.database import Store, drop, keep_private, put
from freehold.store.together import Together
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import BadRequest, Conflict, StoreFailed
from freehold.vocabulary.tenant import Project
from tests.owners import means_of, project, store_at

T = TypeVar("T")
MEANS = means_of()
NAMES = [f"host-{number}" for number in range(12)]


@asynccontextmanager
async def opened(path: Path, offload: Offload = offload_inline) -> AsyncIterator[Together]:
    together = await Together.open(path, NAMES, MEANS.chance, offload)
    try:
        yield together
    finally:
        await together.close()


def store_of(together: Together, name: str) -> Store:
    return together.store(name, role="host", cluster="c", clock=MEANS.clock)


async def test_each_has_its_own_rows_and_its_own_log(tmp_path: Path) -> None:
    async with opened(tmp_path / "hosts.db") as together:
        one, two = store_of(together, "host-1"), store_of(together, "host-11")
        await one.commit([put("a", project("one")), keep_private("secret", "k", b"1")], "t")
        await two.commit([put("a", project("two")), put("b", project("two"))], "t")
        assert one.id != two.id and one.epoch != two.epoch
        assert [found.name for found in one.scan(Project)] == ["one"]
        assert [found.name for found in two.scan(Project)] == ["two", "two"]
        assert (one.position().seq, two.position().seq) == (1, 2)
        assert (one.read_private("secret", "k"), two.read_private("secret", "k")) == (b"1", None)
        assert [entry.key for entry in one.since(Position(epoch=one.epoch)).entries] == ["a"]


async def test_all_go_on_where_they_stood(tmp_path: Path) -> None:
    async with opened(tmp_path / "hosts.db") as together:
        before = [store_of(together, name) for name in NAMES]
        for store in before:
            await store.commit([put("a", project(store.id))], "t")
    async with opened(tmp_path / "hosts.db") as together:
        for name, old in zip(NAMES, before, strict=True):
            store = store_of(together, name)
            assert (store.id, store.position()) == (old.id, old.position())
            assert [found.name for found in store.scan(Project)] == [old.id]


async def test_it_is_one_process_s_and_each_store_is_given_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "hosts.db") as together:
        with pytest.raises(Conflict, match="an owner runs once"):
            await Together.open(tmp_path / "hosts.db", NAMES, MEANS.chance, offload_inline)
        store = store_of(together, "host-1")
        with pytest.raises(Conflict):
            store_of(together, "host-1")
        with pytest.raises(BadRequest, match="can't be backed up"):
            store.moment()


class Disk:
    """One that is busy until `go` is set, and counts what it was given."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.works = 0

    async def __call__(self, work: Callable[[], T]) -> T:
        await self.go.wait()
        self.works += 1
        return work()


async def test_what_all_write_while_the_disk_is_busy_is_one_commit(tmp_path: Path) -> None:
    disk = Disk()
    disk.go.set()
    async with opened(tmp_path / "hosts.db", disk) as together:
        stores = [store_of(together, name) for name in NAMES]
        disk.go.clear()
        before = disk.works
        waiting = [asyncio.create_task(store.commit([put("a", project("p"))], "t")) for store in stores]
        while len(together._queue) < len(stores) - 1:
            await asyncio.sleep(0)
        disk.go.set()
        assert [(await one).seq for one in waiting] == [1] * len(stores)
        assert disk.works - before <= 2


async def test_what_one_fails_by_leaves_the_others_whole(tmp_path: Path) -> None:
    async with opened(tmp_path / "hosts.db") as together:
        bad, good = store_of(together, "host-0"), store_of(together, "host-1")
        await bad.commit([put("a", project("p"))], "t")
        other = sqlite3.connect(tmp_path / "hosts.db")
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON all_newest WHEN NEW.store = 1 BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        other.commit()
        other.close()
        outcomes = await asyncio.gather(
            bad.commit([put("b", project("p"))], "t"),
            good.commit([put("b", project("p"))], "t"),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], StoreFailed)
        assert isinstance(outcomes[1], Position)
    reader = sqlite3.connect(tmp_path / "hosts.db")
    assert reader.execute("SELECT key FROM all_log WHERE store = 1").fetchall() == [("a",)], (
        "a row and its entry land together"
    )
    assert reader.execute("SELECT key FROM all_log WHERE store = 2").fetchall() == [("b",)]
    reader.close()


async def test_if_the_disk_fails_all_have_failed(tmp_path: Path) -> None:
    def failed(works: list[Any]) -> list[Any]:
        return [(None, sqlite3.OperationalError("disk I/O error"))] * len(works)

    async with opened(tmp_path / "hosts.db") as together:
        stores = [store_of(together, name) for name in NAMES]
        together._commit = failed  # type: ignore[method-assign]
        outcomes = await asyncio.gather(
            *(store.commit([put("a", project("p"))], "t") for store in stores), return_exceptions=True
        )
        assert all(isinstance(one, StoreFailed) for one in outcomes)


async def told(store: Store) -> list[Any]:
    """What can be asked of a store, after it has had a life."""
    for number in range(40):
        await store.commit([put(f"p{number % 7}", project(f"p{number}")), keep_private("x", str(number), b"v")], "t")
        if number % 5 == 0:
            await store.commit([drop("project", f"p{number % 7}"), keep_private("x", str(number), None)], "t")
    before = store.position()
    await store.compact(tail=10)
    await store.begin_epoch("next")
    await store.commit([put("last", project("last"))], "t")
    horizon = store.history.horizon().seq
    return [
        before.seq,
        store.position().seq,
        horizon,
        [(row.kind, row.key, row.seq, row.value) for row in store.complete(("", "")).rows],
        [(entry.seq, entry.key, entry.value) for entry in store.told_about("p3").entries],
        store.since(Position(epoch="next", seq=1, digest=b"x")).complete_needed,
        [(row.key, row.seq) for row in store.history.state(horizon + 3, (), "", "", ("", ""), 1 << 20).rows],
        [(gone.seq, gone.key) for gone in store.history.deleted("project", "", horizon, before.seq, 100)],
        [project.name for project in store.scan(Project)],
        store.scan_private("x"),
    ]


async def test_a_store_among_others_says_what_one_in_its_own_file_says(tmp_path: Path) -> None:
    alone = await store_at(tmp_path / "alone.db", MEANS)
    wanted = await told(alone)
    await alone.close()
    async with opened(tmp_path / "hosts.db") as together:
        for name in ("host-1", "host-11", "host-10"):
            assert await told(store_of(together, name)) == wanted
