"""The files of a store: its tables, the two connections to them, and the lock that keeps a second process out.

A value is written once, into the log. `newest` has for each key in the log the entry that is its last (`gone`: it is a
deletion), and each entry has that before it (`before`), so that the past of a key is a chain; `rows` shows what is.
"""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.store.connection import Connection
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Conflict

SCHEMA_VERSION: Final = 3
ID_SUFFIX: Final = ".id"
CHECKPOINT_PAGES: Final = 8000
"""How long the WAL becomes before what is in it is written into the file: a page that changes often, once."""
CACHE_KIB: Final = 32 * 1024
"""At most, of each connection; it takes what it uses."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB,
    cause TEXT NOT NULL, digest BLOB NOT NULL, before INTEGER
);
CREATE INDEX IF NOT EXISTS log_of_deleted ON log (kind, seq) WHERE value IS NULL;
CREATE TABLE IF NOT EXISTS newest (
    kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, gone INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS rows AS SELECT newest.kind, newest.key, newest.seq, log.value
    FROM newest CROSS JOIN log ON log.seq = newest.seq WHERE NOT newest.gone;
CREATE TABLE IF NOT EXISTS private (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB, version INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS private_by_version ON private (version);
"""

_MIGRATIONS: Final = {
    1: """
ALTER TABLE private RENAME TO private_of_version_1;
CREATE TABLE private (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB, version INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO private SELECT kind, key, value, row_number() OVER (ORDER BY kind, key) FROM private_of_version_1;
DROP TABLE private_of_version_1;
""",
    2: """
CREATE INDEX IF NOT EXISTS log_of_key ON log (kind, key, seq);
ALTER TABLE log ADD COLUMN before INTEGER;
UPDATE log SET before = (
    SELECT max(older.seq) FROM log AS older
    WHERE older.kind = log.kind AND older.key = log.key AND older.seq < log.seq
);
CREATE TABLE newest (
    kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, gone INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO newest SELECT kind, key, max(seq), value IS NULL FROM log GROUP BY kind, key;
DROP INDEX log_of_key;
DROP TABLE rows;
""",
}
"""From each version of the schema to the next."""


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """An open store: one connection that writes (off the loop), one that reads, and the lock."""

    writer: Connection
    reader: Connection
    lock: int
    store: str
    head: Position
    """Where the log stands."""
    path: Path = Path()

    def moment(self) -> sqlite3.Connection:
        """A connection of its own that sees the store as it is now, whatever is committed while it is open."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only=1")
        connection.execute("BEGIN")
        _meta(connection, "store")  # the moment is that of the first reading
        return connection

    def close(self) -> None:
        """Closes the connections, then lets the next process in."""
        self.reader.close()
        self.writer.close()
        os.close(self.lock)


def open_files(path: Path, new_store: str, new_epoch: str) -> OpenFiles:
    """Opens the store at `path`; a new one gets the id that is kept beside it, else the given one, and the given epoch.

    Raises Conflict if another process has it open or a later version wrote it, sqlite3.DatabaseError if it is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = locked(path)
    try:
        writer = connect(path)
        path.chmod(0o600)
        kept = _kept_id(path)
        store, head = take_up(writer, kept or new_store, new_epoch)
        if store != kept:
            _keep_id(path, store)
        return OpenFiles(writer, connect(path), lock, store, head, path)
    except BaseException:
        os.close(lock)
        raise


def id_beside(path: Path, new_store: str) -> str:
    """The id of the owner whose store is, or will be, at `path`; one that has none yet gets the given one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = _kept_id(path)
    if not kept:
        _keep_id(path, new_store)
    return kept or new_store


def take_up(connection: Connection, new_store: str, new_epoch: str) -> tuple[str, Position]:
    """Makes the tables of a store where there are none: its id, and where its log stands. Raises Conflict if a later
    version wrote it.
    """
    _migrate(connection)
    connection.executescript(_TABLES)
    _found(connection, new_store, new_epoch)
    keep_horizon(connection)
    return _meta(connection, "store"), head_of(connection)


def _kept_id(path: Path) -> str:
    """The owner's id as it is kept beside its store; empty if it isn't.

    It outlives the store: a machine whose store was lost is the same machine, and its guests are sent to it again.
    """
    try:
        return path.with_suffix(ID_SUFFIX).read_text().strip()
    except FileNotFoundError:
        return ""


def _keep_id(path: Path, store: str) -> None:
    """Keeps the owner's id beside its store, whole or not at all."""
    beside = path.with_suffix(ID_SUFFIX)
    written = beside.with_name(beside.name + ".new")
    with written.open("w") as file:
        file.write(store + "\n")
        file.flush()
        os.fsync(file.fileno())
    written.replace(beside)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def locked(path: Path) -> int:
    """Keeps every other process away from the store at `path` until the descriptor is closed. Raises Conflict if
    another has it open.
    """
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Conflict(f"the store {path} is open in another process; an owner runs once") from error
    return lock


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode with full synchronisation; transactions are begun and ended by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def _migrate(connection: Connection) -> None:
    """Brings a store that an earlier version wrote to this one's schema, step by step, each whole or not at all."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return
    version = int(_meta(connection, "version") or SCHEMA_VERSION)  # without one, its making was cut off
    if version > SCHEMA_VERSION:
        raise Conflict(
            f"the store was written by a newer Freehold (schema {version}); "
            f"this one knows {SCHEMA_VERSION}. Upgrade first."
        )
    for step in range(version, SCHEMA_VERSION):
        done = f"UPDATE meta SET value = '{step + 1}' WHERE name = 'version';"
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{_MIGRATIONS[step]}{done}COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _found(connection: Connection, store: str, epoch: str) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO meta VALUES (?, ?)",
        (("store", store), ("epoch", epoch), ("version", str(SCHEMA_VERSION))),
    )


def keep_horizon(connection: Connection) -> None:
    """Gives a log that came without a horizon (from a backup, or an earlier version) one: it knows all of its past if
    it has all of its entries, or else only its last state.
    """
    if not _meta(connection, "horizon"):
        count, seq, time = connection.execute("SELECT COUNT(*), MAX(seq), MAX(time) FROM log").fetchone()
        moment = "0 0" if count == (seq or 0) else f"{seq} {time}"
        connection.execute("INSERT INTO meta VALUES ('horizon', ?)", (moment,))


def _meta(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def head_of(connection: Connection) -> Position:
    """Where the log stands."""
    epoch = _meta(connection, "epoch")
    row = connection.execute("SELECT seq, digest FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    return Position(epoch=epoch) if row is None else Position(epoch=epoch, seq=row[0], digest=row[1])
