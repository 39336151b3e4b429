"""What is printed, and the exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freehold.cli.check import show
from freehold.cli.check.finding import Finding, ok, warning, wrong
from freehold.cli.main import app
from freehold.config import Settings
from freehold.runtime import log

FINE, DOUBTFUL, BAD = (
    ok("python", "It is new."),
    warning("clock", "It is late.", "Mend it."),
    wrong("bus", "It is gone.", "Get it."),
)


def check(monkeypatch: pytest.MonkeyPatch, found: list[Finding], *words: str) -> tuple[int, str, Settings]:
    asked: list[Settings] = []

    async def findings(settings: Settings) -> list[Finding]:
        asked.append(settings)
        return found

    monkeypatch.setattr(show, "findings", findings)
    monkeypatch.setattr(log, "configure", lambda **how: None)  # it would keep this command's stderr for later tests
    answer = CliRunner().invoke(app, ["check", "--state", "/s", *words])
    return answer.exit_code, answer.output, asked[0]


def test_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = check(monkeypatch, [FINE, DOUBTFUL, BAD])
    assert code == 1
    assert said.splitlines() == [
        "ok      python: It is new.",
        "warning clock: It is late.",
        "        -> Mend it.",
        "WRONG   bus: It is gone.",
        "        -> Get it.",
        "1 wrong, 1 warnings, 1 as they should be",
    ]


def test_warnings_alone_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, [FINE, DOUBTFUL])[0] == 0


def test_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = check(monkeypatch, [BAD], "--json")
    assert code == 1
    assert json.loads(said) == {
        "findings": [{"check": "bus", "state": "wrong", "what": "It is gone.", "mend": "Get it."}]
    }


def test_of_which_roles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert check(monkeypatch, [], "--role", "host", "--role", "api")[2].roles == ("host", "api")
    (tmp_path / "c.toml").write_text('roles = ["network"]\n')
    assert check(monkeypatch, [], "--config", str(tmp_path / "c.toml"))[2].roles == ("network",)
    answer = CliRunner().invoke(app, ["check", "--state", "/s", "--role", "king"])
    assert answer.exit_code == 1 and "roles has king" in answer.output
