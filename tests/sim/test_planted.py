"""The tests are tested: every planted bug still stands in the code it names, and some are hunted here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.sim.bugs import BUGS
from freehold.sim.planted import Bug

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
FAST = (
    "a delete ends without its host",
    "quota is off by one",
    "a build that comes twice is built twice",
    "an ended lease keeps its port",
    "reads don't see what is staged",
    "a page begins with the marker",
    "the newest is told first",
    "what is missed is told to every project",
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_one_line_of_the_code_changed(bug: Bug) -> None:
    compile(bug.source(), bug.module, "exec")
    assert bug.source() != bug.path().read_text()


def test_there_are_enough_and_no_two_are_the_same() -> None:
    assert len(BUGS) >= 60
    assert len({bug.name for bug in BUGS}) == len({(bug.module, bug.stands, bug.instead) for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("name", FAST)
def test_the_simulation_finds_it(name: str) -> None:
    number = next(number for number, bug in enumerate(BUGS) if bug.name == name)
    command = [sys.executable, "-m", "freehold.sim.hunt", str(number), "60000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["found"]
