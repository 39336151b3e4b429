"""A disk with stores on it: commits take time, may fail, and a store may be put back to an old copy.

The store is the real one, over SQLite in memory. What was staged and not committed when its process is killed is lost;
what was committed stays, whether or not the process lived to hear of it.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import Offload
from freehold.sim.process import Process
from freehold.store.database import Store
from freehold.store.files import OpenFiles, take_up
from freehold.store.writing import Change
from freehold.vocabulary.envelope import Owner, Position

T = TypeVar("T")

COPIES_MAX: Final = 6
BROKEN_OFF_AFTER: Final = 20
"""Steps of SQLite's machine after which a write that is broken off ends; the shortest write takes more."""
SYNC_S: Final = (0.0005, 0.004)


@dataclass(frozen=True, slots=True)
class _KeptOpen(OpenFiles):
    """Files in memory, which outlive the process that has them open."""

    def moment(self) -> sqlite3.Connection:
        """See OpenFiles: a copy."""
        assert isinstance(self.writer, sqlite3.Connection)
        copy = _empty()
        copy.deserialize(self.writer.serialize())
        return copy

    def close(self) -> None:
        """Leaves them for the next process."""


class TracedStore(Store):
    """The production store, which says when something is staged."""

    def __init__(self, owner: Owner, files: OpenFiles, clock: HybridClock, offload: Offload, file: "StoreFile") -> None:
        super().__init__(owner, files, clock, offload)
        self._file = file

    def stage(self, changes: Iterable[Change], cause: str) -> Position:
        """See Store."""
        if self._file.staged is not None:
            self._file.staged()
        return super().stage(changes, cause)


class StoreFile:
    """One store's file. `before` and `after` are asked around every commit whether the process is to die there."""

    def __init__(self, name: str, random: Random, faults: Counter[str]) -> None:
        self.name = name
        self._random, self._faults = random, faults
        self.connection = _empty()
        self.id = ""
        """The store's id, which is kept beside the file and outlives it."""
        self._position: Position | None = None
        self._read_at: tuple[sqlite3.Connection, int] | None = None
        """When `_position` was read: on which connection, after how many changes of its."""
        self.copies: list[bytes] = []
        self.failing = 0.0
        """How likely a commit is to fail."""
        self.commits = 0
        self.committed: Callable[[], None] = lambda: None
        """Called after each commit."""
        self.staged: Callable[[], None] | None = None
        """Called, from within, when something is staged."""
        self.at_commit: Callable[[str, Process], bool] | None = None
        """Asked with ``before`` and ``after`` a commit; True: the process has been killed there."""
        self.to_put_back: Callable[[], bool] | None = None
        """Asked after a commit; True: the process has been killed there, as its disk is put back."""

    def open(
        self, *, role: str, cluster: str, shard: int = 0, process: Process, clock: HybridClock, chance: Chance
    ) -> Store:
        """The production store over this file."""
        store, head = take_up(self.connection, self.id or new_id(chance), new_id(chance))
        self.id = store
        files = _KeptOpen(self.connection, self.connection, -1, store, head)

        async def offload(work: Callable[[], T]) -> T:
            return await self._offloaded(process, work)

        return TracedStore(Owner(store=store, role=role, cluster=cluster, shard=shard), files, clock, offload, self)

    async def _offloaded(self, process: Process, work: Callable[[], T]) -> T:
        await asyncio.sleep(self._random.uniform(*SYNC_S))
        if self.at_commit is not None and self.at_commit("before", process):
            await _never()
        if self.failing and self._random.random() < self.failing:
            self._faults["commit failed"] += 1
            if self._random.random() < 0.5:
                raise sqlite3.OperationalError("database or disk is full")
            raise sqlite3.OperationalError("disk I/O error")
        if self.at_commit is not None and self.at_commit("during", process):
            self._break_off(work)
            await _never()
        result = work()
        self.commits += 1
        self.committed()
        if self.at_commit is not None and self.at_commit("after", process):
            await _never()
        if self.to_put_back is not None and self.to_put_back():
            await _never()
        await asyncio.sleep(0)
        return result

    def _break_off(self, work: Callable[[], T]) -> None:
        """Begins a write and loses power in its middle: what is left of it is rolled back."""
        self.connection.set_progress_handler(lambda: 1, BROKEN_OFF_AFTER)
        try:
            work()
        except sqlite3.OperationalError:
            pass  # it was broken off, as it should be
        finally:
            self.connection.set_progress_handler(None, 0)
            if self.connection.in_transaction:  # what should have rolled it back was broken off too
                self.connection.execute("ROLLBACK")

    def position(self) -> Position:
        """Where the durable log stands, as the disk has it."""
        read_at = (self.connection, self.connection.total_changes)
        if self._position is None or self._read_at != read_at:
            self._position, self._read_at = self._read_position(), read_at
        return self._position

    def _read_position(self) -> Position:
        row = self.connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        head = self.connection.execute("SELECT seq, digest FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        epoch = "" if row is None else str(row[0])
        return Position(epoch=epoch) if head is None else Position(epoch=epoch, seq=head[0], digest=head[1])

    def rows(self) -> list[tuple[str, str, bytes]]:
        """Every durable public row: (kind, key, value), in order; none in a file that is new."""
        try:
            return self.connection.execute("SELECT kind, key, value FROM rows ORDER BY kind, key").fetchall()
        except sqlite3.OperationalError:
            return []

    def private(self, kind: str) -> list[str]:
        """The keys of every private value of a kind."""
        rows = self.connection.execute(
            "SELECT key FROM private WHERE kind = ? AND value IS NOT NULL ORDER BY key", (kind,)
        )
        return [str(key) for (key,) in rows]

    def keys(self, kind: str) -> list[str]:
        """The keys of every durable public row of a kind; none in a file that is new."""
        try:
            rows = self.connection.execute("SELECT key FROM rows WHERE kind = ? ORDER BY key", (kind,)).fetchall()
        except sqlite3.OperationalError:
            return []
        return [str(key) for (key,) in rows]

    def row(self, kind: str, key: str) -> bytes | None:
        """One durable public row; none in a file that is new."""
        try:
            found = self.connection.execute("SELECT value FROM rows WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        except sqlite3.OperationalError:
            return None
        return None if found is None else bytes(found[0])

    def lost_to_compaction(self) -> list[tuple[str, str]]:
        """The (kind, key) of rows whose own entry isn't in the log any more; none in a file that is new."""
        try:
            return self.connection.execute(
                "SELECT kind, key FROM newest WHERE seq NOT IN (SELECT seq FROM log) ORDER BY kind, key"
            ).fetchall()
        except sqlite3.OperationalError:
            return []

    def copied(self) -> bytes:
        """All that is on the disk now."""
        return self.connection.serialize()

    def copy(self) -> None:
        """Takes a copy that the store may be put back to."""
        self.copies.append(self.copied())
        del self.copies[:-COPIES_MAX]

    def put_back(self, copy: bytes) -> None:
        """The disk shows an old state, as after a restored snapshot. Nobody may have the store open."""
        self._faults["store put back"] += 1
        self.connection = _empty()
        self.connection.deserialize(copy)

    def take_from(self, path: Path) -> None:
        """Becomes what a file has, which somebody made who restores stores. Nobody may have the store open."""
        with closing(sqlite3.connect(path)) as made:
            self.connection = _empty()
            self.connection.deserialize(made.serialize())

    def delete(self) -> None:
        """The file is gone."""
        self._faults["store deleted"] += 1
        self.connection = _empty()


def _empty() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
