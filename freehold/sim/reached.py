"""Whether every durable step that the code of the workers can make is one that kill points reach.

The steps are read out of the source: every call that stages or commits, and every call of a driver by which
the world is changed. A function that makes one, and that no script came through, is left out; so adding a durable step
without a kill point is seen, whoever adds it.
"""

import ast
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WORKERS: Final = "freehold/workers"

LOOKS: Final = frozenset(
    {
        *("probe", "guests", "power", "console_log", "news", "plugged"),
        *("read", "size_bytes", "inspect", "images", "local_path"),
        *("pool", "volumes", "look", "exports"),
        "close",
    }
)
"""What drivers are asked without anything being changed by it. Whatever else they are told is a durable step."""
_DRIVERS: Final = ("hypervisor", "fabric", "images", "_pool")
"""What workers call their drivers."""
_WRITES: Final = ("stage", "commit")

ELSEWHERE: Final = {
    # What belongs to tenants: one commit each, before its answer; nothing follows that could be cut in two.
    "freehold.workers.registrar.worker:_save": "tenancy",
    "freehold.workers.registrar.entrance:change_password": "tenancy",
    "freehold.workers.registrar.entrance:revoke": "tenancy",
    "freehold.workers.registrar.worker:_drop": "tenancy",
    "freehold.workers.registrar.worker:_close_project": "tenancy",
    "freehold.workers.network.worker:_answer": "networks, subnets, groups: one commit each, before its answer",
    "freehold.workers.registrar.sharding:take_place": "the first start",
    "freehold.workers.registrar.entrance:_opened_signer": "the first start",
    "freehold.workers.registrar.worker:bootstrap": "the first start",
    "freehold.workers.registrar.worker:set_password": "the first start",
    # Who is a machine of the cloud: no guest hangs on it. One commit each, before its answer.
    "freehold.workers.directory.records:keep_invitation": "machines",
    "freehold.workers.directory.records:keep_machine": "machines",
    "freehold.workers.directory.records:forget_invitations": "what nobody can use any more",
    "freehold.workers.directory.records:authority": "the first start",
    "freehold.workers.directory.first:let_self_in": "each start",
    # Hosts that are retired: none of them is, in the script.
    "freehold.workers.registrar.retiring:_keep": "hosts that leave",
    "freehold.workers.registrar.fencing:_keep": "hosts that are fenced: in the seeds' storms",
    "freehold.workers.registrar.fencing:_lift": "hosts that are let in again: in the seeds' storms",
    # Healing: in the seeds' storms, which put stores back to old copies.
    "freehold.workers.registrar.records:adopt": "a ledger put back",
    "freehold.workers.registrar.records:forget_ended": "a horizon of thirty days",
    "freehold.workers.network.hosts:replace": "a host whose store was put back",
    "freehold.workers.network.reconciler:_end_what_is_over": "a lease that outlived its guest: in the seeds' storms",
    "freehold.workers.network.records:keep_positions": "where reading goes on; it decides nothing",
    "freehold.workers.host.records:drop_refusals": "a horizon of seven days",
    "freehold.workers.host.records:keep_refusal": "builds that are refused: in the seeds' storms",
    "freehold.workers.host.records:keep_secret": "builds that come twice: in the seeds' storms",
    "freehold.workers.host.records:keep_as_it_is": "a guest that is taken for lost and isn't: in the seeds' storms",
    "freehold.workers.host.records:keep_resumed": "a host that lost its store: in the seeds' storms",
    "freehold.workers.host.effects:remove_leftovers": "what is there without a record: in the seeds' storms",
    "freehold.workers.host.effects:stop_stranger": "what runs there without a record: in the seeds' storms",
    "freehold.workers.host.removals:discard": "copies that an operator lets go of; who isn't answered asks again",
    "freehold.workers.host.reconciler:_tidy": "images that nobody uses leave the cache; they come again",
    "freehold.workers.refused:keep": "requests that are refused: in the seeds' storms",
    "freehold.workers.refused:forget": "a horizon of a day",
    "freehold.workers.registrar.volumes.records:adopt": "a ledger put back, or a pool's store: in the seeds' storms",
    "freehold.workers.registrar.volumes.records:forget_ended": "a horizon of thirty days",
    "freehold.workers.registrar.volumes.records:keep_stray": "a pool's store put back: in the seeds' storms",
    "freehold.workers.host.plugging:_replug_if_moved": "a pool's store put back: in the seeds' storms",
    "freehold.workers.host.records:owe": "an owner that isn't heard when a guest is deleted: in kills and storms",
    "freehold.workers.host.records:paid": "the same, told later",
    "freehold.workers.host.plugging:_take_strangers": "a host's store put back: in the seeds' storms",
    "freehold.workers.volume.records:refuse_attachment": "attachments that are refused: in the seeds' storms",
    "freehold.workers.volume.effects:tidy": "images that nobody needs leave the cache; they come again",
    "freehold.workers.volume.records:forget_refusals": "a horizon of thirty days",
    "freehold.workers.volume.records:keep_pool": "the first start, and a pool that has become larger or can't be used",
    "freehold.workers.volume.records:refuse": "volumes that are refused, or deleted twice: in the seeds' storms",
    # Images: the script uses one that is there.
    "freehold.workers.image.records:stage": "images",
    "freehold.workers.image.records:stage_gone": "images",
    "freehold.workers.image.records:stage_cleared": "images",
    "freehold.workers.image.records:stage_member": "images: one commit each, before its answer",
    "freehold.workers.image.worker:_stage": "images",
    "freehold.workers.image.transfers:take": "images",
    "freehold.workers.image.transfers:_end": "images",
    "freehold.workers.image.transfers:_stage_settled": "images",
    "freehold.workers.image.reconciler:_audit": "images",
    "freehold.workers.image.effects:take": "images",
    "freehold.workers.image.effects:discard": "images",
    "freehold.workers.image.records:door_key": "the first start",
    "freehold.workers.notifier.worker:_take_up": "what waits for nobody: each start",
    "freehold.workers.notifier.reconciler:look": "leases that are over, and what was held or kept for a day",
    "freehold.workers.notifier.questions:_staged": "webhooks and feeds: one commit each, before its answer",
    "freehold.workers.notifier.leasing:_ask_once": "leases: one commit each, after the subscriber's answer",
}
"""Functions that write and that the script of a guest's life doesn't pass, and why that is enough."""


def left_out(callers: Set[str], root: Path = ROOT) -> list[str]:
    """What is wrong with what a script reached: a line for each function that makes a step and isn't in `callers`."""
    there = writers(root)
    lines = [f"{name} makes a durable step, and no kill point reaches it" for name in there - callers - set(ELSEWHERE)]
    lines += [f"{name} is excused, and makes no durable step any more" for name in set(ELSEWHERE) - there]

    return sorted(lines)


def writers(root: Path = ROOT) -> set[str]:
    """Every function of the workers that makes a durable step, as ``module:function``."""
    found = set()
    for path in sorted((root / WORKERS).rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        found |= {f"{module}:{name}" for name in _functions(ast.parse(path.read_text()))}
    return found


def _functions(tree: ast.AST, inside: str = "<module>") -> Iterator[str]:
    """The innermost function around each call that makes a step."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and _steps(node):
            yield inside
        yield from _functions(node, node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else inside)


def _steps(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    holder, verb = ast.unparse(call.func.value), call.func.attr
    return verb in _WRITES or (holder.endswith(_DRIVERS) and verb not in LOOKS)
