"""From the settings to the place: secrets, the key, and libraries that aren't installed."""

import sys
from pathlib import Path

import pytest

from freehold.config import read
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.pick import backups_at, owners_backups, read_secrets
from freehold.drivers.backup.sealed import SealedBackups
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import Place, place_of


def place(text: str) -> Place:
    found = place_of(text)
    assert found is not None
    return found


def secrets(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


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
    ("url", "text", "mode", "said"),
    [
        ("redis://h", 'password = "hunter2"', 0o640, "chmod 600"),
        ("redis://h", "hunter2", 0o600, "isn't TOML"),
        ("redis://h", 'passwort = "hunter2"', 0o600, "has passwort; for redis it can have password"),
        ("redis://h", "password = 2", 0o600, "isn't a text"),
        ("s3://b", 'password = "hunter2"', 0o600, "it can have access_key_id, secret_access_key"),
        ("folder:/b", 'password = "hunter2"', 0o600, "it can have nothing"),
    ],
)
def test_a_file_of_secrets_that_is_wrong_is_said(tmp_path: Path, url: str, text: str, mode: int, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_secrets(place(url), secrets(tmp_path / "secrets", text, mode))
    assert said in caught.value.message and "hunter2" not in caught.value.message


def test_secrets_are_read(tmp_path: Path) -> None:
    found = read_secrets(place("redis://h"), secrets(tmp_path / "secrets", 'password = "hunter2"'))
    assert found["password"].reveal() == "hunter2" and "hunter2" not in repr(found)
    assert read_secrets(place("redis://h"), None) == {}
    with pytest.raises(BadRequest, match="can't be read"):
        read_secrets(place("redis://h"), tmp_path / "absent")


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
