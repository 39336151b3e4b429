"""`freehold host`: the role without a command, orders with one."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from freehold.cli import hosts, run
from freehold.cli.main import app


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was begun, instead of doing it."""
    told: list[Any] = []
    monkeypatch.setattr(run, "up", lambda path, **given: told.append(("up", path, given)))
    for name in ("show", "drain", "undrain", "retire"):
        monkeypatch.setattr(hosts, name, lambda *given, name=name, **more: told.append((name, *given, more)))
    return told


def host(*words: str) -> Result:
    return CliRunner().invoke(app, ["host", *words])


S = ("--state", "/s")
STATE = Path("/s")


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (S, ("up", None, {"state": STATE, "roles": ("host",), "hypervisor": None})),
        (
            (*S, "--config", "/c", "--hypervisor", "simulated"),
            ("up", Path("/c"), {"state": STATE, "roles": ("host",), "hypervisor": "simulated"}),
        ),
        (("drain", "h7", *S), ("drain", STATE, "h7", "", {"here": False})),
        (("drain", "h7", *S, "--reason", "fans"), ("drain", STATE, "h7", "fans", {"here": False})),
        (("drain", "--here", *S), ("drain", STATE, "", "", {"here": True})),
        (("undrain", "h7", *S), ("undrain", STATE, "h7", {"here": False})),
        (("undrain", "h7", "--here", *S), ("undrain", STATE, "h7", {"here": True})),
        (("show", "h7", *S), ("show", STATE, "h7", {})),
        (("retire", "h7", *S), ("retire", STATE, "h7", {"dead": False})),
        (("retire", "h7", "--dead", *S), ("retire", STATE, "h7", {"dead": True})),
    ],
)
def test_what_is_begun(done: list[Any], words: tuple[str, ...], begun: Any) -> None:
    answer = host(*words)
    assert answer.exit_code == 0, answer.output
    assert done == [begun]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say --state DIR to run the host role; or a command"),
        ((*S, "drain", "h7"), "come behind it"),
        (("drain", *S), "say which HOST, or --here"),
        (("drain", "h7"), "--state"),
        (("retire", *S), "HOST"),
    ],
)
def test_what_is_not_clear_begins_nothing(done: list[Any], words: tuple[str, ...], said: str) -> None:
    answer = host(*words)
    assert answer.exit_code == 2 and said in answer.output
    assert not done
