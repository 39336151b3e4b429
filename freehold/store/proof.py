"""Whether a store's file is whole: what SQLite says, the chain over its log, and its rows against the log."""

import sqlite3
from pathlib import Path

from freehold.store.files import head_of
from freehold.vocabulary.digest import chained
from freehold.vocabulary.envelope import NO_DIGEST, Position
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

_NOT_THE_FOLD = """
SELECT count(*) FROM (
    SELECT kind, key, seq, gone FROM newest
    EXCEPT SELECT kind, key, max(seq), value IS NULL FROM log GROUP BY kind, key
) UNION ALL SELECT count(*) FROM (
    SELECT kind, key, max(seq), value IS NULL FROM log GROUP BY kind, key
    EXCEPT SELECT kind, key, seq, gone FROM newest
) UNION ALL SELECT count(*) FROM (
    SELECT before, lag(seq) OVER (PARTITION BY kind, key ORDER BY seq) AS older FROM log
) WHERE older IS NOT NULL AND before IS NOT older
"""


class Proof(Word, frozen=True, kw_only=True):
    """A store's file that is whole, and how much is in it. `links`: log entries whose digest follows from the one
    before; the others stand after what compaction dropped.
    """

    position: Position
    rows: int
    private: int
    entries: int
    links: int


def proven(path: Path) -> Proof:
    """Looks through the store's file at `path`, which nobody has open. Blocks. Raises Broken with what is wrong."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return _proven(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Broken(f"the store can't be read: {error}.") from error


def _proven(connection: sqlite3.Connection) -> Proof:
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise Broken(f"the store's file is damaged: {said}.")
    entries, links = _chain(connection)
    if any(count for (count,) in connection.execute(_NOT_THE_FOLD)):
        raise Broken("the store's rows aren't what its log says.")
    (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone()
    (private,) = connection.execute("SELECT count(*) FROM private WHERE value IS NOT NULL").fetchone()
    return Proof(position=head_of(connection), rows=rows, private=private, entries=entries, links=links)


def _chain(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many entries the log has, and how many follow from the one before. Raises Broken at one that doesn't."""
    last, before, entries, links = 0, NO_DIGEST, 0, 0
    log = connection.execute("SELECT seq, time, kind, key, value, cause, digest FROM log ORDER BY seq")
    for seq, time, kind, key, value, cause, digest in log:
        if seq == last + 1:
            if chained(before, seq, time, kind, key, value, cause) != digest:
                raise Broken(f"the digest of the log's entry {seq} doesn't follow from the one before it.")
            links += 1
        last, before, entries = seq, digest, entries + 1
    return entries, links
