"""The file of secrets of a place."""

from pathlib import Path

import pytest

from freehold.drivers.places.secrets import read_secrets
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
