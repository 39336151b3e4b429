"""From the settings to the place: secrets, the key, and libraries that aren't installed."""

import sys
from pathlib import Path

import pytest

from freehold.config import read
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.pick import backups_at, owners_backups
from freehold.drivers.backup.sealed import SealedBackups
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import Place, place_of


def place(text: str) -> Place:
    found = place_of(text)
    assert found is not None
    return found


def test_an_owner_encrypts_unless_it_is_told_not_to(tmp_path: Path) -> None:
    said: list[str] = []
    nowhere = owners_backups(read(None, state=tmp_path), SystemClock(), offload_inline, said.append)
    assert nowhere is None and not said and not list(tmp_path.iterdir())
    there = f"folder:{tmp_path / 'backup'}"
    sealed = owners_backups(read(None, state=tmp_path, backup=there), SystemClock(), offload_inline, said.append)
    assert isinstance(sealed, SealedBackups) and (tmp_path / "backup.key").exists() and said
    plain = read(None, state=tmp_path / "plain", backup=there, backup_encryption=False)
    assert isinstance(owners_backups(plain, SystemClock(), offload_inline, said.append), FolderBackups)
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [
        ("s3://b/p", "obstore.store", "s3"),
        ("postgresql://me@h/d", "psycopg", "postgresql"),
        ("postgresql://me@h/d", "sqlalchemy", "postgresql"),
        ("mysql://me@h/d", "pymysql", "mysql"),
        ("redis://h", "redis.asyncio", "redis"),
    ],
)
def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadRequest, match=rf"pip install 'freehold\[{extra}\]'"):
        backups_at(place(url), {}, SystemClock(), offload_inline, "somebody")
