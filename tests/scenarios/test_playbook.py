"""Every story in this folder is told as it stands there. FREEHOLD_REWRITE=1 writes it down as it is told now."""

import os
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.scenarios.playbook import MARGIN, PROMPT, page, steps

ROOT = Path(__file__).parents[2]
STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    """In a process of its own, in which the order of sets of strings is the same each time."""
    written = path.read_text()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.scenarios.playbook", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    told = done.stdout
    if os.environ.get("FREEHOLD_REWRITE") and done.returncode == 0:
        path.write_text(told)
        return
    if done.returncode or told != written:
        where = str(path.relative_to(ROOT))
        difference = unified_diff(
            written.splitlines(), told.splitlines(), f"{where} as written", f"{where} as told now", n=6, lineterm=""
        )
        pytest.fail("\n".join([*difference, done.stderr[-3000:]]), pytrace=False)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_ends_settled_and_shows_what_every_api_lists(path: Path) -> None:
    commands = [step.command for step in steps(path.read_text()) if step.command]
    assert commands[commands.index("heal") :][:3] == ["heal", "settle", "list"]


def test_a_page_is_its_steps() -> None:
    text = f"A title\n\n{PROMPT}list\n{MARGIN}one\n{MARGIN}  two\n\nMore of it.\n\n{PROMPT}settle\n\nThe end.\n"
    assert [(step.command, step.answer) for step in steps(text)] == [
        ("list", ["one", "  two"]),
        ("settle", []),
        ("", []),
    ]
    assert page(steps(text)) == text
