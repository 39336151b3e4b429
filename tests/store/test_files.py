"""The files of a store."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import astuple

from freehold.store.files import SCHEMA_VERSION, open_files
from freehold.store.writing import write_entries
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.errors import Conflict

TRY_TO_OPEN = """
import sys
from pathlib import Path
from freehold.store.files import open_files
from freehold.vocabulary.errors import Conflict
try:
    open_files(Path(sys.argv[1]), "s", "e")
except Conflict:
    sys.exit(7)
"""


def open_elsewhere(path: Path) -> int:
    return subprocess.run([sys.executable, "-c", TRY_TO_OPEN, str(path)], check=False, timeout=60).returncode


def test_a_second_process_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    files = open_files(tmp_path / "s.db", "s", "e")
    assert open_elsewhere(tmp_path / "s.db") == 7
    files.close()
    assert open_elsewhere(tmp_path / "s.db") == 0


def test_a_store_keeps_its_first_name_and_epoch(tmp_path: Path) -> None:
    open_files(tmp_path / "deep" / "s.db", "first", "epoch").close()
    files = open_files(tmp_path / "deep" / "s.db", "second", "other")
    assert (files.store, files.head.epoch, files.head.seq) == ("first", "epoch", 0)
    files.close()


def test_an_owner_keeps_its_name_when_its_store_is_lost(tmp_path: Path) -> None:
    open_files(tmp_path / "s.db", "first", "epoch").close()
    for path in tmp_path.glob("s.db*"):
        path.unlink()
    files = open_files(tmp_path / "s.db", "second", "other")
    assert (files.store, files.head.epoch) == ("first", "other")
    files.close()


def test_a_store_that_came_from_elsewhere_brings_its_name(tmp_path: Path) -> None:
    open_files(tmp_path / "s.db", "first", "epoch").close()
    open_files(tmp_path / "elsewhere" / "s.db", "moved", "epoch").close()
    (tmp_path / "elsewhere" / "s.db").replace(tmp_path / "s.db")
    open_files(tmp_path / "s.db", "second", "other").close()
    for path in tmp_path.glob("s.db*"):
        path.unlink()
    files = open_files(tmp_path / "s.db", "third", "other")
    assert files.store == "moved"
    files.close()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    open_files(tmp_path / "s.db", "s", "e").close()
    assert (tmp_path / "s.db").stat().st_mode & 0o077 == 0


def test_a_store_of_a_later_version_is_refused_and_let_go(tmp_path: Path) -> None:
    files = open_files(tmp_path / "s.db", "s", "e")
    files.writer.execute("UPDATE meta SET value = ? WHERE name = 'version'", (str(SCHEMA_VERSION + 1),))
    files.close()
    for _ in range(2):  # the second try finds no lock left behind
        with pytest.raises(Conflict, match="newer"):
            open_files(tmp_path / "s.db", "s", "e")


def test_commits_are_synced_fully(tmp_path: Path) -> None:
    files = open_files(tmp_path / "s.db", "s", "e")
    assert files.writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert files.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    files.close()


VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (
    kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB,
    cause TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE private (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO meta VALUES ('store', 'the-store'), ('epoch', 'the-epoch'), ('version', '1');
INSERT INTO log VALUES (1, 1, 'project', 'a', x'80', 't', x'0102');
INSERT INTO rows VALUES ('project', 'a', 1, x'80');
INSERT INTO private VALUES ('password', 'b', x'02'), ('password', 'a', x'01'), ('position', 'a', x'03');
"""


def test_a_store_of_the_first_version_is_brought_over_once(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "s.db")
    old.executescript(VERSION_1)
    old.close()
    for _ in range(2):
        files = open_files(tmp_path / "s.db", "another", "another")
        assert (files.store, files.head.epoch, files.head.seq) == ("the-store", "the-epoch", 1)
        assert files.reader.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() == (
            str(SCHEMA_VERSION),
        )
        found = files.reader.execute("SELECT kind, key, value, version FROM private ORDER BY kind, key").fetchall()
        assert found == [("password", "a", b"\1", 1), ("password", "b", b"\2", 2), ("position", "a", b"\3", 3)]
        files.close()


VERSION_2 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (
    kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB,
    cause TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX log_of_key ON log (kind, key, seq);
CREATE INDEX log_of_deleted ON log (kind, seq) WHERE value IS NULL;
CREATE TABLE private (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB, version INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX private_by_version ON private (version);
INSERT INTO meta VALUES ('store', 'the-store'), ('epoch', 'the-epoch'), ('version', '2'), ('horizon', '3 3');
"""


def test_the_past_of_a_store_of_the_second_version_is_brought_over(tmp_path: Path) -> None:
    """Made by the same writes as a new one; entry 1 was dropped by a compaction of the old."""
    writes = [("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", None), ("c", b"5"), ("c", None), ("a", b"7"), ("b", b"8")]
    entries = [Entry(seq, seq, "x", key, value, "t", bytes((seq,))) for seq, (key, value) in enumerate(writes, 1)]
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(VERSION_2)
    old.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", [astuple(entry) for entry in entries[1:]])
    old.executemany("INSERT INTO rows VALUES ('x', ?, ?, ?)", [("a", 7, b"7"), ("b", 8, b"8")])
    old.commit()
    old.close()
    new = open_files(tmp_path / "new.db", "s", "e")
    write_entries(new.writer, entries)
    for _ in range(2):
        brought = open_files(tmp_path / "old.db", "another", "another")
        for asked in (
            "SELECT * FROM log WHERE seq > 2",
            "SELECT * FROM newest",
            "SELECT * FROM rows",
            "SELECT name FROM sqlite_master ORDER BY name",
        ):
            assert brought.reader.execute(asked).fetchall() == new.reader.execute(asked).fetchall()
        assert brought.reader.execute("SELECT before FROM log WHERE seq = 2").fetchone() == (None,)
        brought.close()
    new.close()


def test_a_moment_stays_while_others_commit(tmp_path: Path) -> None:
    files = open_files(tmp_path / "s.db", "s", "e")
    files.writer.execute("INSERT INTO private VALUES ('x', '1', x'01', 1)")
    moment = files.moment()
    files.writer.execute("INSERT INTO private VALUES ('x', '2', x'01', 2)")
    assert moment.execute("SELECT count(*) FROM private").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError):
        moment.execute("DELETE FROM private")
    moment.close()
    files.close()
