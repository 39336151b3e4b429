"""Seeds: what a run gives is decided by its seed alone, and a short run finds nothing wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(500)

ROOT = Path(__file__).parents[2]


def sim(*words: str) -> "subprocess.CompletedProcess[str]":
    """Runs the simulation as `make sim` does, in processes of its own: it makes logs and pages small."""
    command = [sys.executable, "-m", "freehold.sim", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500, check=False)


def story(seed: int) -> str:
    """What happens in a seed, with the order of sets of strings as it is in every run of `make sim`."""
    return sim("--story", "--first-seed", str(seed)).stdout


def test_a_seed_gives_the_same_story_each_time() -> None:
    told = story(4)
    assert len(told.splitlines()) > 50
    assert told == story(4)


def test_another_seed_gives_another_story() -> None:
    assert story(4) != story(5)


def test_a_short_run_finds_nothing() -> None:
    done = sim("--seeds", "12", "--first-seed", "100")
    assert done.stdout.splitlines()[-1] == "12 passed, 0 failed", done.stdout[-3000:]
    assert done.returncode == 0


NOTHING_LEFT = """
import weakref
from freehold.sim.plan import Scale
from freehold.sim.run import play_in
worlds = []
async def story(world):
    worlds.append(weakref.ref(world))
    await world.begin()
    world.kill(world.hosts[0], 1.0)
for _ in range(2):
    play_in(1, Scale(hosts=1, schedulers=1, apis=1, projects=1), story)
print([world() for world in worlds])
"""


def test_nothing_is_left_of_a_world_when_its_run_is_over() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", NOTHING_LEFT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500, check=False)
    assert done.stdout == "[None, None]\n", done.stderr[-3000:]


HEALED = """
from freehold.sim.plan import Scale
from freehold.sim.run import play_in
async def story(world):
    await world.begin()
    (host,) = world.hosts
    for pick in range(1000):
        world.fail_driver(host, pick / 1000)
        world.hang_driver(host, pick / 1000)
    world.heal()
    for look in (host.hypervisor.probe, host.hypervisor.guests):
        await look()
    await host.hypervisor.remove("8f5c1f4e-6d52-4d2c-9a43-6e4a3b8d1c01")
    assert not any(host.hangs.values())
print(play_in(1, Scale(hosts=1, schedulers=1, apis=1, projects=1), story).violation or "nothing fails")
"""


def test_when_all_is_healed_nothing_fails_any_more_that_was_to() -> None:
    command = [sys.executable, "-c", HEALED]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500, check=True)
    assert done.stdout.strip() == "nothing fails"


STARTED = """
from freehold.drivers.hypervisor.simulated import SimulatedGuest
from freehold.sim.plan import Scale
from freehold.sim.run import play_in
from freehold.vocabulary.guest import Power
starts = []
async def story(world):
    await world.begin()
    (host,) = world.hosts
    for power in (Power.RUNNING, Power.PAUSED, Power.RUNNING, Power.OFF, Power.RUNNING):
        before = len(world.checkers.witness)
        host.guests["8f5c1f4e-6d52-4d2c-9a43-6e4a3b8d1c01"] = SimulatedGuest(power=power, disk_gib=1)
        starts.append(len(world.checkers.witness) - before)
play_in(1, Scale(hosts=1, schedulers=1, apis=1, projects=1), story)
print(*starts)
"""


def test_a_guest_that_goes_on_after_it_stood_still_is_not_started_anew() -> None:
    command = [sys.executable, "-c", STARTED]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500, check=True)
    assert done.stdout.strip() == "1 0 0 0 1"
