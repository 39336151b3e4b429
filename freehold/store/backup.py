"""Copying a store while its owner goes on, and making a store's file from a copy. Everything here blocks."""

import os
import sqlite3
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Final, NamedTuple

from freehold.store.database import Store
from freehold.store.files import head_of, keep_horizon, take_up
from freehold.store.segments import Mark, PrivateRow, Segment
from freehold.store.writing import write_entries
from freehold.vocabulary.envelope import NO_DIGEST, Entry, Position
from freehold.vocabulary.errors import Broken, StoreFailed

PORTION_BYTES_MAX: Final = 4 << 20
"""About how much is held in memory at once. (One record more may be.)"""


class Portion(NamedTuple):
    """A part of a copy. `last`: nothing follows it."""

    entries: tuple[Entry, ...]
    private: tuple[PrivateRow, ...]
    last: bool


class Copy:
    """The store as it is on the disk at one moment: what came since a mark, or all there is. Close it afterwards.

    `complete`: it is all, because that was wanted (`anew`), or because the log and the tombstones no longer reach back
    to the mark. `continues`: as far as the log can tell, the store's history goes through the mark. Methods raise
    StoreFailed when the disk refuses.
    """

    def __init__(self, store: Store, since: Mark | None, anew: bool = False) -> None:
        try:
            self._connection = store.moment()
            self._wal = f"{self._connection.execute('PRAGMA database_list').fetchone()[2]}-wal"
            self._wal_bytes = _size_bytes(self._wal)
            self.mark = Mark(
                position=head_of(self._connection), version=self._number("SELECT max(version) FROM private")
            )
            self.continues = since is not None and self._continues(since.position)
            self.complete = anew or since is None or not self.continues or not self._reaches(since)
        except sqlite3.Error as error:
            raise _unreadable(error) from error
        self.since = Mark(position=Position(epoch=self.mark.position.epoch))
        if since is not None and not self.complete:
            self.since = since
        self._portions = self._read()

    def portion(self) -> Portion | None:
        """The next part; None after the last."""
        try:
            return next(self._portions, None)
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def grown_bytes(self) -> int:
        """By how much the store's WAL file has grown since the moment, which keeps it from being used anew."""
        return _size_bytes(self._wal) - self._wal_bytes

    def close(self) -> None:
        """Lets go of the moment: until then the store's WAL file grows."""
        self._connection.close()

    def _continues(self, position: Position) -> bool:
        head = self.mark.position
        if position.epoch != head.epoch or position.seq > head.seq:
            return False
        found = self._connection.execute("SELECT digest FROM log WHERE seq = ?", (position.seq,)).fetchone()
        return found is None or found[0] == position.digest

    def _reaches(self, since: Mark) -> bool:
        position = since.position
        known = (position.seq == 0 and position.digest == NO_DIGEST) or (
            self._number("SELECT count(*) FROM log WHERE seq = ?", position.seq) == 1
        )
        entries = self._number("SELECT count(*) FROM log WHERE seq > ?", position.seq)
        horizon = self._number("SELECT value FROM meta WHERE name = 'private_horizon'")
        return (
            known and entries == self.mark.position.seq - position.seq and horizon <= since.version <= self.mark.version
        )

    def _number(self, question: str, *given: int) -> int:
        row = self._connection.execute(question, given).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    def _read(self) -> Iterator[Portion]:
        entries: list[Entry] = []
        private: list[PrivateRow] = []
        size_bytes = 0
        items: Iterator[Entry | PrivateRow] = chain(self._entries(), self._private())
        for item in items:
            if size_bytes >= PORTION_BYTES_MAX:
                yield Portion(tuple(entries), tuple(private), last=False)
                entries, private, size_bytes = [], [], 0
            if isinstance(item, Entry):
                entries.append(item)
            else:
                private.append(item)
            size_bytes += len(item.key) + len(item.value or b"") + 64
        yield Portion(tuple(entries), tuple(private), last=True)

    def _entries(self) -> Iterator[Entry]:
        found = self._connection.execute(
            "SELECT seq, time, kind, key, value, cause, digest FROM log WHERE seq > ? ORDER BY seq",
            (self.since.position.seq,),
        )
        return (Entry(*row) for row in found)

    def _private(self) -> Iterator[PrivateRow]:
        found = self._connection.execute(
            "SELECT kind, key, value, version FROM private WHERE version > ? ORDER BY version", (self.since.version,)
        )
        return (PrivateRow(*row) for row in found if row[2] is not None or not self.complete)


class Rebuilding:
    """A store's file in the making, from the segments of a copy, in order. Nobody else may touch `path` meanwhile."""

    def __init__(self, path: Path, store: str, epoch: str) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous=FULL")
        take_up(self._connection, store, epoch)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("DELETE FROM meta WHERE name = 'horizon'")

    def add(self, segment: Segment) -> None:
        """Puts in what a segment has."""
        write_entries(self._connection, segment.entries)
        for row in segment.private:
            self._connection.execute(
                "INSERT OR REPLACE INTO private VALUES (?, ?, ?, ?)", (row.kind, row.key, row.value, row.version)
            )

    def finish(self, position: Position) -> None:
        """Makes it durable. Raises Broken unless the log then stands at `position`."""
        stands = head_of(self._connection)
        if (stands.seq, stands.digest) != (position.seq, position.digest):
            raise Broken(f"the restored log would end at {stands.seq}, and was backed up to {position.seq}.")
        keep_horizon(self._connection)
        self._connection.execute("COMMIT")
        self._connection.close()

    def discard(self) -> None:
        """Gives up."""
        self._connection.close()
        self._path.unlink(missing_ok=True)


def put_in_place(made: Path, target: Path) -> Path | None:
    """Gives a rebuilt file the name of the store, durably. What had that name is kept: gives where it is now."""
    aside = next(name for n in count(1) if not (name := target.with_name(f"{target.name}.replaced-{n}")).exists())
    moved = target.exists()
    for suffix in ("", "-wal", "-shm"):  # a WAL that stayed would be played into the new file
        old = target.with_name(target.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))
    made.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside if moved else None


def _size_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _unreadable(error: sqlite3.Error) -> StoreFailed:
    return StoreFailed(f"the store can't be read for its backup: {error}.")
