"""What a log still knows of the past: every record as it stood at a moment, and what was deleted since.

The horizon is the oldest moment that can be asked for. Compaction keeps, for every key, the newest entry at or before
it and all entries after it; so the newest entry at or before any later moment is there, or the key wasn't.
Times in a log never go back: a store that is opened moves its clock past its last entry.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from freehold.store.connection import Connection
from freehold.vocabulary.codec import KINDS, decode_kind
from freehold.vocabulary.envelope import Entry, Happened, Happening, Happenings, Row, Tombstone

SCAN_ENTRIES_MAX: Final = 1000
"""Keys looked at for one page, so that an owner's loop isn't held up by a filter that few records pass."""

_LAST: Final = """
WITH RECURSIVE back (seq) AS (
    SELECT newest.seq UNION ALL SELECT log.before FROM back JOIN log ON log.seq = back.seq WHERE back.seq > ?
) SELECT seq FROM back WHERE seq <= ?
"""
"""A key's last entry at or before a sequence: back along its chain from the newest."""
_OF_KEYS: Final = """
WITH RECURSIVE back (seq) AS (
    SELECT newest.seq FROM newest WHERE newest.kind IN ({among}) AND newest.key >= ? AND newest.key < ?
    UNION ALL SELECT log.before FROM back JOIN log ON log.seq = back.seq WHERE back.seq > ?
) SELECT seq FROM back WHERE seq IS NOT NULL
"""
"""All entries of some keys that are after a sequence, and one before it of each."""


class Moment(NamedTuple):
    """A place in the log: everything up to `seq`, the last of it written at `time` (a clock time)."""

    seq: int
    time: int


class Slice(NamedTuple):
    """Part of the state at a moment. `after`: the last (kind, key) that was looked at; `more`: others follow."""

    rows: tuple[Row, ...]
    after: tuple[str, str]
    more: bool


class History:
    """Reads a log's past through the store's reading connection. Positions asked for are durable ones."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader
        self._horizon: Moment | None = None

    def horizon(self) -> Moment:
        """The oldest moment whose state is known."""
        if self._horizon is None:
            self._horizon = read_horizon(self._reader)
        return self._horizon

    def horizon_moved(self) -> None:
        """To be called when it was moved, before anything is dropped."""
        self._horizon = None

    def compacted(self) -> int:
        """Up to which entry it has been looked at what nobody needs any more."""
        row = self._reader.execute("SELECT value FROM meta WHERE name = 'compacted'").fetchone()
        return 0 if row is None else int(row[0])

    def last_time(self) -> int:
        """The clock time of the last entry; 0 if there is none."""
        row = self._reader.execute("SELECT time FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        return 0 if row is None else int(row[0])

    def at_time(self, time: int, newest: int) -> Moment:
        """The last moment at or before the clock time `time`: not before the horizon, nor after sequence `newest`."""
        found, high = self.horizon(), newest
        while found.seq < high:
            middle = (found.seq + high + 1) // 2
            row = self._reader.execute(
                "SELECT seq, time FROM log WHERE seq >= ? AND seq <= ? ORDER BY seq LIMIT 1", (middle, high)
            ).fetchone()
            if row is None or row[1] > time:
                high = middle - 1
            else:
                found = Moment(*row)
        return found

    def newest(self, time: int, newest: int, limit: int) -> tuple[Entry, ...]:
        """The entries from the clock time `time` on, up to sequence `newest`; none if they are more than `limit`."""
        rows = self._reader.execute(
            "SELECT seq, time, kind, key, value, cause, digest FROM log WHERE seq > ? AND seq <= ? ORDER BY seq",
            (newest - limit - 1, newest),
        ).fetchall()
        found = [Entry(*row) for row in rows if row[1] >= time]
        whole = len(found) <= limit and all(one.seq == at for at, one in enumerate(found, newest - len(found) + 1))
        return tuple(found) if whole else ()

    def at_seq(self, seq: int) -> Moment:
        """The moment at which the log stood at `seq`, which is not before the horizon."""
        row = self._reader.execute("SELECT time FROM log WHERE seq = ?", (seq,)).fetchone()
        return self.horizon() if row is None else Moment(seq, row[0])

    def state(
        self, seq: int, kinds: Sequence[str], prefix: str, project: str, after: tuple[str, str], bytes_max: int
    ) -> Slice:
        """The records after `after` in order of (kind, key) as they stood at `seq`: of some kinds (all, if none is
        named), whose key begins with `prefix`, and of one project (or none at all) unless `project` is empty.
        """
        among = f" AND newest.kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        found = self._reader.execute(
            "SELECT newest.kind, newest.key, was.seq, was.value "
            f"FROM newest LEFT JOIN log AS was ON was.seq = ({_LAST}) "
            f"WHERE (newest.kind, newest.key) > (?, ?){among} AND newest.key >= ? AND newest.key < ? "
            "ORDER BY newest.kind, newest.key",
            (seq, seq, *after, *kinds, prefix, prefix + "\U0010ffff"),
        )
        return _cut(found, project, after, bytes_max)

    def deleted(self, kind: str, project: str, after_seq: int, newest: int, limit: int) -> tuple[Tombstone, ...]:
        """Records of a kind that were deleted after one sequence and up to another, oldest first, as they last were."""
        found = self._reader.execute(
            "SELECT gone.seq, gone.time, gone.key, (SELECT value FROM log AS was WHERE was.seq = gone.before) "
            "FROM log AS gone WHERE gone.kind = ? AND gone.value IS NULL AND gone.seq > ? AND gone.seq <= ? "
            "ORDER BY gone.seq LIMIT ?",
            (kind, after_seq, newest, limit),
        )
        return tuple(
            Tombstone(seq, time, key, value if value and _belongs(kind, value, project) else b"")
            for seq, time, key, value in found
        )

    def happened(self, asked: Happened, bytes_max: int) -> Happenings:
        """A page of what was asked for: the entries that fit into `bytes_max`, at least one."""
        among = ", ".join("?" * len(asked.kinds))
        within: tuple[object, ...] = (asked.after, asked.until)
        if asked.about:
            where = f"now.seq IN ({_OF_KEYS.format(among=among)}) AND now.seq > ? AND now.seq <= ?"
            given = (*asked.kinds, asked.about, asked.about + "0", asked.after, *within)
        else:
            where, given = f"now.seq > ? AND now.seq <= ? AND now.kind IN ({among})", (*within, *asked.kinds)
        found = self._reader.execute(
            "SELECT now.seq, now.time, now.kind, now.key, now.value, now.cause, now.digest, "
            "(SELECT value FROM log AS was WHERE was.seq = now.before) "
            f"FROM log AS now NOT INDEXED WHERE {where} ORDER BY now.seq LIMIT ?",
            (*given, SCAN_ENTRIES_MAX),
        ).fetchall()
        after, project = asked.after, asked.project
        page: list[Happening] = []
        for row in found:
            entry, before = Entry(*row[:7]), row[7]
            about = entry.value or before
            if about is not None and _belongs(entry.kind, about, project):
                bytes_max -= len(entry.value or b"") + len(before or b"") + len(entry.key) + len(entry.cause) + 96
                if page and bytes_max < 0:
                    return Happenings(found=tuple(page), after=after, more=True)
                page.append(Happening(entry, before))
            after = entry.seq
        return Happenings(found=tuple(page), after=after, more=len(found) == SCAN_ENTRIES_MAX)


def _cut(found: Iterable[tuple[str, str, int, bytes | None]], project: str, after: tuple[str, str], size: int) -> Slice:
    """The first of `found` that fit into `size` bytes, or all; deleted keys are left out."""
    rows: list[Row] = []
    for count, (kind, key, seq, value) in enumerate(found):
        if count == SCAN_ENTRIES_MAX or (rows and size < len(value or b"")):
            return Slice(tuple(rows), after, True)
        after = (kind, key)
        if value is not None and _belongs(kind, value, project):
            rows.append(Row(kind, key, seq, value))
            size -= len(value) + len(key) + 64
    return Slice(tuple(rows), after, False)


def _belongs(kind: str, value: bytes, project: str) -> bool:
    """Whether a record is of a project, or of no project."""
    if not project:
        return True
    return kind in KINDS and getattr(decode_kind(kind, value), "project", project) == project


def read_horizon(connection: Connection) -> Moment:
    """The horizon as it is kept."""
    (text,) = connection.execute("SELECT value FROM meta WHERE name = 'horizon'").fetchone()
    return Moment(*map(int, text.split()))
