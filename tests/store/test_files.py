"""The files of a store."""

import subprocess
import sys
from pathlib import Path

import pytest

from freehold.store.files import SCHEMA_VERSION, open_files
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
