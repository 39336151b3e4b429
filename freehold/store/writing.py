"""What a store writes to its file, off the loop: groups of transactions, an epoch, a shorter log.

A private value has no log. Each change to one takes the next number of a counter of the store's own (`version`), and a
deleted one stays for a while as a row without a value, so that whoever copies the store can ask for what came since.
"""

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from msgspec.structs import astuple

from freehold.store.connection import Connection
from freehold.store.history import read_horizon
from freehold.vocabulary.envelope import Entry


class Change(NamedTuple):
    """A record to put (or, with None, a key to delete). A private one is kept beside the log: never told, never
    logged.
    """

    kind: str
    key: str
    value: bytes | None
    private: bool = False


class Staged(NamedTuple):
    """One staged transaction."""

    entries: list[Entry]
    private: list[Change]
    ticket: int


def write(connection: Connection, group: list[Staged]) -> None:
    """Writes a group of transactions as one. Row and log entry land together or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        write_entries(connection, [entry for staged in group for entry in staged.entries])
        _write_private(connection, [change for staged in group for change in staged.private])
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_epoch(connection: Connection, epoch: str) -> None:
    """Names the epoch that the log goes on under."""
    connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))


def move_horizon(connection: Connection, seq: int) -> None:
    """Moves the horizon up to `seq`, before anything is dropped: a crash in between leaves too much, never too
    little.
    """
    row = connection.execute("SELECT time FROM log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)).fetchone()
    if row is not None and seq > read_horizon(connection).seq:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('horizon', ?)", (f"{seq} {row[0]}",))


def compact(connection: Connection, first: int, last: int) -> None:
    """Drops what the entries `first` to `last`, none of them after the horizon, have taken the place of, and those of
    them that are deletions: no state at or after the horizon has it. All before `first` was looked at already.
    """
    within = (first, last)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("DELETE FROM log WHERE seq IN (SELECT before FROM log WHERE seq BETWEEN ? AND ?)", within)
        connection.execute(
            "DELETE FROM newest WHERE gone AND seq BETWEEN ? AND ? AND (kind, key) IN "
            "(SELECT kind, key FROM log WHERE seq BETWEEN ? AND ? AND value IS NULL)",
            (*within, *within),
        )
        connection.execute("DELETE FROM log WHERE seq BETWEEN ? AND ? AND value IS NULL", within)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('compacted', ?)", (str(last),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def forget_private(connection: Connection, tail: int) -> None:
    """Drops what is left of deleted private values behind the last `tail` changes, and keeps up to where. The last
    change always stays: the counter goes on from it.
    """
    horizon = _version(connection) - tail
    connection.execute("BEGIN IMMEDIATE")
    try:
        forgotten = connection.execute("DELETE FROM private WHERE value IS NULL AND version <= ?", (horizon,)).rowcount
        if forgotten:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('private_horizon', ?)", (str(horizon),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_entries(connection: Connection, entries: Sequence[Entry]) -> None:
    """Writes entries, and that they are the newest of their keys, as a part of a transaction."""
    newest: dict[tuple[str, str], Entry] = {}
    chained = []
    for entry in entries:
        place = entry.kind, entry.key
        before = newest.get(place)
        chained.append((*astuple(entry), None if before is None else before.seq, *place))
        newest[place] = entry
    connection.executemany(
        "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, "
        "coalesce(?, (SELECT seq FROM newest WHERE kind = ? AND key = ?)))",
        chained,
    )
    connection.executemany(
        "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?)",
        [(*place, entry.seq, entry.value is None) for place, entry in newest.items()],
    )


def _write_private(connection: Connection, changes: Sequence[Change]) -> None:
    if not changes:
        return
    newest = {(change.kind, change.key): change.value for change in changes}
    versions = count(_version(connection) + 1)
    rows = [(*place, value, version) for (place, value), version in zip(newest.items(), versions, strict=False)]
    connection.executemany("INSERT OR REPLACE INTO private VALUES (?, ?, ?, ?)", rows)


def _version(connection: Connection) -> int:
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM private").fetchone()
    return int(version)
