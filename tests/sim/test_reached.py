"""A durable step without a kill point is seen: what counts as one, and one that is planted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.sim.reached import ELSEWHERE, left_out, writers

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("body", "writes"),
    [
        ("return self.store.stage([], 'cause')", True),
        ("ledger = self._store\n    await ledger.commit([], 'cause')", True),
        ("return self._records.stage([])", True),
        ("await self._hypervisor.make_snapshot(guest)", True),
        ("await self._fabric.unplug(port)", True),
        ("await self._images.fetch(offer)", True),
        ("return await self._hypervisor.power(guest)", False),
        ("return await self._fabric.plugged()", False),
        ("return admission.stage", False),
        ("return self.commit", False),
    ],
)
def test_what_is_a_durable_step(body: str, writes: bool, tmp_path: Path) -> None:
    path = tmp_path / "freehold/workers/host/thing.py"
    path.parent.mkdir(parents=True)
    path.write_text(f"class Thing:\n  async def act(self, guest):\n    {body}\n")
    assert writers(tmp_path) == ({"freehold.workers.host.thing:act"} if writes else set())


def test_the_function_nearest_to_the_step_is_the_one_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "freehold/workers/host/thing.py"
    path.parent.mkdir(parents=True)
    path.write_text("def outer(store):\n    def inner():\n        store.stage([], '')\n    return inner\n")
    assert writers(tmp_path) == {"freehold.workers.host.thing:inner"}


def test_what_is_reached_or_excused_is_not_left_out_and_an_excuse_must_be_needed(tmp_path: Path) -> None:
    assert left_out(writers()) == []
    assert left_out(writers() - set(ELSEWHERE)) == []
    assert left_out(set(), tmp_path) == sorted(
        f"{name} is excused, and makes no durable step any more" for name in ELSEWHERE
    )


STAGES = '''

def forget_all(store: Store) -> None:
    """A step that nobody thought of when kill points were made."""
    store.stage([], "planted")
'''
CALLS = '''

async def forget_all(hypervisor: Hypervisor, guest: str) -> None:
    """The same on the machine: a verb that no driver had before."""
    await hypervisor.forget(guest)
'''


@pytest.mark.parametrize(
    ("module", "planted"), [("freehold/workers/host/records.py", STAGES), ("freehold/workers/host/effects.py", CALLS)]
)
def test_a_durable_step_without_a_kill_point_fails(module: str, planted: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "freehold", tmp_path / "freehold", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a") as source:
        source.write(planted)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-m", "freehold.sim.kills", "--reached", "--processes", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr[-3000:]
    named = module.removesuffix(".py").replace("/", ".")
    assert done.stdout.splitlines() == [
        f"{named}:forget_all makes a durable step, and no kill point reaches it",
        "durable steps without a kill point: 1",
    ]
