"""The admin's files: what is written is read back, and by the operator alone."""

import json
from pathlib import Path

import pytest

from freehold.cli.credentials import CLOUD, Admin, read_admin, write_admin
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.secret import Secret

ADMIN = Admin(url="http://127.0.0.1:8780", password=Secret("0123abcd"), region="North")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_admin(tmp_path, ADMIN)
    assert read_admin(tmp_path) == ADMIN


def test_the_files_are_the_operator_s_alone(tmp_path: Path) -> None:
    write_admin(tmp_path, ADMIN)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "openrc": 0o600,
        "clouds.yaml": 0o600,
    }


def test_clouds_yaml_names_the_cloud(tmp_path: Path) -> None:
    write_admin(tmp_path, ADMIN)
    cloud = json.loads((tmp_path / "clouds.yaml").read_text())["clouds"][CLOUD]
    assert cloud["auth"]["auth_url"] == "http://127.0.0.1:8780/identity/v3"
    assert (cloud["auth"]["password"], cloud["region_name"]) == ("0123abcd", "North")


def test_a_folder_without_a_cloud_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="freehold up"):
        read_admin(tmp_path)


def test_the_password_can_t_be_printed() -> None:
    assert "0123abcd" not in repr(ADMIN)
