"""kill -9 at every durable step of a guest's life, and that no durable step of the code is left out of it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]

ELSEWHERE: Final = {
    # What belongs to tenants: one commit each, before its answer; nothing follows that could be cut in two.
    "freehold.workers.registrar.worker:_save": "tenancy",
    "freehold.workers.registrar.worker:_change_password": "tenancy",
    "freehold.workers.registrar.worker:_revoke": "tenancy",
    "freehold.workers.registrar.worker:_drop": "tenancy",
    "freehold.workers.registrar.worker:_close_project": "tenancy",
    "freehold.workers.registrar.sharding:take_place": "the first start",
    "freehold.workers.registrar.worker:_opened_signer": "the first start",
    "freehold.workers.registrar.worker:bootstrap": "the first start",
    "freehold.workers.registrar.worker:set_password": "the first start",
    # Healing: in the seeds' storms, which put stores back to old copies.
    "freehold.workers.registrar.records:adopt": "a ledger put back",
    "freehold.workers.registrar.records:forget_ended": "a horizon of thirty days",
    "freehold.workers.host.records:drop_refusals": "a horizon of seven days",
    "freehold.workers.host.records:keep_refusal": "builds that are refused: in the seeds' storms",
    "freehold.workers.host.records:keep_secret": "builds that come twice: in the seeds' storms",
    "freehold.workers.host.records:keep_host": "before the script begins, and after power cuts: in the seeds' storms",
    "freehold.workers.host.records:keep_resumed": "a host that lost its store: in the seeds' storms",
    "freehold.workers.network.records:keep_positions": "where reading goes on; it decides nothing",
    # Images: the script uses one that is there.
    "freehold.workers.image.records:stage": "images",
    "freehold.workers.image.records:stage_gone": "images",
    "freehold.workers.image.records:stage_cleared": "images",
    "freehold.workers.image.records:door_key": "the first start",
}
"""Functions that write and that the script of a guest's life doesn't pass, and why that is enough."""

SCRIPT: Final = """
import json
from freehold.sim.kills import play_kills
from freehold.sim.killpoints import ACTIONS, single
plain = play_kills((), ACTIONS[1:])
assert not plain.violation, plain.violation
played = [play_kills(kills, ("delete",)) for kills in single(len(play_kills((), ("delete",)).steps))]
print(json.dumps({
    "callers": sorted(plain.callers),
    "count": len(played),
    "unfired": [str(one.kills) for one in played if one.fired < 1],
    "violations": [f"{one.kills}: {one.violation}" for one in played if one.violation],
}))
"""


def writers() -> set[str]:
    """Every function of the workers that stages or commits, as ``module:function``."""
    found = set()
    for path in sorted((ROOT / "freehold/workers").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {f"{module}:{function.name}" for call in ast.walk(function) if _writes(call)}
    return found


def _writes(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    holder = ast.unparse(node.func.value)
    return node.func.attr in ("stage", "commit") and holder.endswith("store")


def test_every_kill_point_of_create_and_delete_and_no_step_left_out() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["violations"] == [] and told["unfired"] == []
    assert told["count"] > 60
    left_out = writers() - set(told["callers"]) - set(ELSEWHERE)
    assert not left_out, f"these write, and no kill point reaches them: {sorted(left_out)}"
    assert not set(ELSEWHERE) - writers(), "these write no more"
