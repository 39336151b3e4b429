"""The commands as somebody types them."""

from pathlib import Path

from typer.testing import CliRunner

from freehold import __version__
from freehold.cli.main import app
from freehold.config import ROLES


def test_the_version_is_said() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"freehold {__version__}\n")


def test_every_role_can_be_started_alone() -> None:
    answer = CliRunner().invoke(app, ["--help"])
    assert answer.exit_code == 0
    assert all(role in answer.output for role in (*ROLES, "up", "status", "story", "restore", "admin"))


def test_wipe_destroys_nothing_unless_told_that_it_may(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["admin", "wipe", "--state", str(tmp_path / "cloud")])
    assert answer.exit_code == 2
    assert not (tmp_path / "cloud").exists()


def test_a_setting_that_makes_no_sense_is_a_sentence_and_status_1(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["up", "--state", str(tmp_path / "cloud"), "--hypervisor", "xen"])
    assert answer.exit_code == 1
    assert "it can be qemu or simulated" in answer.output
    assert not (tmp_path / "cloud").exists()


def test_a_place_for_backups_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('backup = "folder:not/the/whole/path"\n')
    command = ["up", "--state", str(tmp_path / "cloud"), "--config", str(tmp_path / "settings.toml")]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 1
    assert "it can be folder:/PATH" in answer.output
    assert not (tmp_path / "cloud").exists()


def test_asking_where_no_cloud_was_started_says_how_to_start_one(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["status", "--state", str(tmp_path)])
    assert answer.exit_code == 1
    assert "start a cloud with `freehold up" in answer.output
