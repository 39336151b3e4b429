"""Many stores in one file, whose commits are one: for the simulated hosts of a process. A real host has its own disk.

The tables of such a file have the number of the store before what those of one store have. A store uses them by a
`Member`, which shows it its own rows under the names of its tables: what it says is translated, clause by clause.
"""

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import Offload
from freehold.store.database import Store
from freehold.store.files import OpenFiles, connect, locked, take_up
from freehold.store.values import Room
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.errors import BadRequest, Broken, Conflict

T = TypeVar("T")

RECENT_BYTES_MAX: Final = 256 << 20
"""Of all stores in a file: what many of them would keep each, a process hasn't."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS stores (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS all_meta (
    store INTEGER, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (store, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS all_log (
    store INTEGER, seq INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB,
    cause TEXT NOT NULL, digest BLOB NOT NULL, before INTEGER, PRIMARY KEY (store, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS all_log_of_deleted ON all_log (store, kind, seq) WHERE value IS NULL;
CREATE TABLE IF NOT EXISTS all_newest (
    store INTEGER, kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, gone INTEGER NOT NULL,
    PRIMARY KEY (store, kind, key)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS all_rows AS SELECT all_newest.store, all_newest.kind, all_newest.key, all_newest.seq, value
    FROM all_newest CROSS JOIN all_log ON all_log.store = all_newest.store AND all_log.seq = all_newest.seq
    WHERE NOT all_newest.gone;
CREATE TABLE IF NOT EXISTS all_private (
    store INTEGER, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB, version INTEGER NOT NULL,
    PRIMARY KEY (store, kind, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS all_private_by_version ON all_private (store, version);
"""
_COLUMNS: Final = {
    "meta": "name, value",
    "rows": "kind, key, seq, value",
    "log": "seq, time, kind, key, value, cause, digest, before",
    "newest": "kind, key, seq, gone",
    "private": "kind, key, value, version",
}
_TABLE: Final = rf"({'|'.join(_COLUMNS)})"
_WRITES: Final = (
    (re.compile(rf"INTO {_TABLE} VALUES \("), r"INTO all_\1 VALUES (?1, "),
    (re.compile(rf"UPDATE {_TABLE} SET (.*?) WHERE "), r"UPDATE all_\1 AS \1 SET \2 WHERE store = ?1 AND "),
    (re.compile(rf"DELETE FROM {_TABLE} WHERE "), r"DELETE FROM all_\1 AS \1 WHERE store = ?1 AND "),
)
_READ: Final = re.compile(rf"\b(?:FROM|JOIN) {_TABLE}\b")
_WITHIN: Final = {
    "BEGIN IMMEDIATE": ("SAVEPOINT one",),
    "COMMIT": ("RELEASE one",),
    "ROLLBACK": ("ROLLBACK TO one", "RELEASE one"),
}
"""What a store's own transaction is within that of all."""


class Member:
    """A connection that shows one store's tables alone. See Connection."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection, self._number = connection, number

    @property
    def in_transaction(self) -> bool:
        """See Connection."""
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """See Connection."""
        if sql not in _WITHIN:
            return self._connection.execute(_translated(sql), (self._number, *parameters))
        *before, last = _WITHIN[sql]
        for statement in before:
            self._connection.execute(statement)
        return self._connection.execute(last)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> sqlite3.Cursor:
        """See Connection."""
        numbered = ((self._number, *one) for one in parameters)
        return self._connection.executemany(_translated(sql), numbered)

    def executescript(self, _script: str) -> None:
        """See Connection. The only scripts are those that make the tables, which all have."""

    def close(self) -> None:
        """See Connection. The others go on."""


@cache
def _translated(sql: str) -> str:
    """A statement on one store's tables, as one on all; its first parameter, before the others, is the number."""
    for pattern, instead in _WRITES:
        sql = pattern.sub(instead, sql)
    read = dict.fromkeys(_READ.findall(sql))
    shown = [
        f"{table} AS NOT MATERIALIZED (SELECT {_COLUMNS[table]} FROM all_{table} WHERE store = ?1)" for table in read
    ]
    return f"WITH {', '.join(['mine AS (SELECT ?1)', *shown])} {sql}"


class MemberFiles(OpenFiles):
    """What of the file is one store's."""

    def moment(self) -> sqlite3.Connection:
        """See OpenFiles. Raises BadRequest: nobody backs up a simulated host."""
        raise BadRequest("A store that shares its file with others can't be backed up.")

    def close(self) -> None:
        """See OpenFiles. Who has opened the file closes it."""


class Together:
    """The file. Open it with `Together.open`, and close it after its stores."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection, lock: int, offload: Offload) -> None:
        self._writer, self._reader, self._lock, self._offload = writer, reader, lock, offload
        self._files: dict[str, OpenFiles] = {}
        self._room = Room(RECENT_BYTES_MAX)
        self._queue: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    @staticmethod
    async def open(path: Path, names: Sequence[str], chance: Chance, offload: Offload) -> "Together":
        """Opens the file at `path` with these stores in it, making what isn't there. Raises Broken if it is damaged,
        Conflict if somebody has it open.
        """

        def opened() -> Together:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = locked(path)
            writer = connect(path)
            path.chmod(0o600)
            writer.executescript(_TABLES)
            together = Together(writer, connect(path), lock, offload)
            together._take_up(names, chance)
            return together

        try:
            return await offload(opened)
        except sqlite3.DatabaseError as error:
            raise Broken(f"the stores in {path} can't be opened: {error}") from error

    def _take_up(self, names: Sequence[str], chance: Chance) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.executemany("INSERT OR IGNORE INTO stores (name) VALUES (?)", ((name,) for name in names))
        numbers = dict(self._writer.execute("SELECT name, number FROM stores"))
        for name in names:
            writer, reader = Member(self._writer, numbers[name]), Member(self._reader, numbers[name])
            store, head = take_up(writer, new_id(chance), new_id(chance))
            self._files[name] = MemberFiles(writer, reader, -1, store, head)
        self._writer.execute("COMMIT")

    def store(self, name: str, *, role: str, cluster: str, clock: HybridClock) -> Store:
        """One of them. Raises Conflict if it was given to somebody already."""
        files = self._files.pop(name, None)
        if files is None:
            raise Conflict(f"there is no store {name} in the file, or somebody has it open")
        return Store(Owner(store=files.store, role=role, cluster=cluster), files, clock, self._do, self._room)

    async def _do(self, work: Callable[[], T]) -> T:
        """Does a store's work on the disk together with what else is due by then."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append((work, future))
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work(), name="stores.commit")
        return await future

    async def _work(self) -> None:
        try:
            while self._queue:
                due, self._queue = self._queue, []
                results = await self._offload(partial(self._commit, [work for work, _ in due]))
                for (_, future), (result, error) in zip(due, results, strict=True):
                    if future.done():
                        continue
                    if error is None:
                        future.set_result(result)
                    else:
                        future.set_exception(error)
        finally:
            self._working = None

    def _commit(self, works: list[Callable[[], Any]]) -> list[tuple[Any, BaseException | None]]:
        """Off the loop: what came of each. What one fails by is its own; if the disk fails, all have failed."""
        results: list[tuple[Any, BaseException | None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for work in works:
                try:
                    results.append((work(), None))
                except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
                    results.append((None, error))
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return [(None, error)] * len(works)
        return results

    async def close(self) -> None:
        """Lets the next process in."""
        if self._working is not None:
            await asyncio.wait([self._working])

        def closed() -> None:
            self._reader.close()
            self._writer.close()
            os.close(self._lock)

        await self._offload(closed)
