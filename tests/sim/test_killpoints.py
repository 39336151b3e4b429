"""kill -9 at every durable step of a guest's life; here in short, and whole in `make sim-kills`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.sim.killpoints import Kill, Point, others, own

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
POINTS = (
    Point(0, "before", "registrar", ("registrar", "host-0")),
    Point(0, "during", "registrar", ("registrar", "host-0")),
    Point(1, "after", "host-0", ("host-0",)),
)


def test_at_each_point_the_process_of_the_step_is_killed_and_each_other_that_lives() -> None:
    assert list(own(POINTS)) == [Kill(0, "before"), Kill(0, "during"), Kill(1, "after")]
    assert list(others(POINTS)) == [Kill(0, "before", "host-0"), Kill(0, "during", "host-0")]


def test_every_kill_point_of_the_steps_own_process_and_some_of_the_others_and_of_the_pairs() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-m", "freehold.sim.kills", "--short", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = done.stdout.splitlines()
    assert "durable steps without a kill point: 0" in told
    assert told[-1].startswith("kill points: ") and told[-1].endswith(" played, 0 violations")
    assert int(told[-1].split()[2].replace(",", "")) > 500
