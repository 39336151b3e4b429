"""Every command that a story may give, with what it does; words in capitals stand for what is named."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.scenarios import asking, breaking, operating
from tests.scenarios.stage import Lines, Stage

PHRASES: Final[dict[str, Callable[..., Awaitable[Lines]]]] = {
    "cloud NAMES": asking.open_cloud,
    "create NAMES at once": asking.create_at_once,
    "create NAMES for PROJECT": asking.create_for,
    "create NAMES": asking.create,
    "delete store of SITE": breaking.delete_store,
    "delete all views": breaking.delete_views,
    "delete NAMES": asking.delete,
    "stop NAMES": asking.stop,
    "start up NAMES": breaking.bring_up,
    "start NAMES": asking.start,
    "wait SPAN": asking.wait,
    "wait NAMES are STATUS": asking.wait_until,
    "wait NAMES is STATUS": asking.wait_until,
    "list": asking.list_guests,
    "list again": asking.list_again,
    "machines": asking.machines,
    "deeds": asking.deeds,
    "order of SITE": asking.order,
    "reason of NAME": asking.reason,
    "log": asking.log,
    "log of NAMES": asking.log_of,
    "poll SITE": asking.poll,
    "what the poller knows": asking.polled,
    "copy store of SITE": breaking.copy_store,
    "put back store of SITE": breaking.put_back,
    "lose all but the hosts": breaking.lose_all_but_hosts,
    "restore SITE from its backup": breaking.restore,
    "cut off SITE": breaking.cut_off,
    "let back SITE": breaking.let_back,
    "cut power of SITE for SPAN": breaking.cut_power,
    "kill SITE for SPAN": breaking.kill,
    "move clock of SITE by SPAN": breaking.move_clock,
    "NAME powers itself off": breaking.power_off,
    "at SITE stop NAME": breaking.order_stop,
    "at SITE start NAME": breaking.order_start,
    "drain SITE": operating.drain,
    "undrain SITE": operating.undrain,
    "retire SITE as dead": operating.retire_dead,
    "retire SITE": operating.retire,
    "at SITE drain": operating.drain_here,
    "at SITE undrain": operating.undrain_here,
    "fence SITE": operating.fence,
    "unfence SITE": operating.unfence,
    "look what leaves SITE": operating.look_what_leaves,
    "evacuate SITE": operating.evacuate,
    "discard NAME of SITE": operating.discard,
    "power off SITE": operating.switch_off,
    "power on SITE": operating.switch_on,
    "take away SITE": operating.take_away,
    "fleet": operating.fleet,
    "heal": asking.heal,
    "settle": asking.settle,
}
"""The first that fits is meant."""

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
ONE_WORD: Final = r"\S+"
_SHAPES: Final = {"NAMES": r"\S+(?: \S+)*", "SPAN": r"-?\d+[smh]"}


async def perform(stage: Stage, command: str) -> Lines:
    """Does what a command says; gives its answer, in which guests have their names."""
    for phrase, act in PHRASES.items():
        found = re.fullmatch(re.sub(r"\b[A-Z]+\b", _hole, phrase), command)
        if found is not None:
            given = [_read(stage, hole, word) for hole, word in found.groupdict().items()]
            return [stage.named(line) for line in await act(stage, *given)]
    raise AssertionError(f"no story knows the command {command!r}")


def _hole(word: re.Match[str]) -> str:
    return f"(?P<{word[0]}>{_SHAPES.get(word[0], ONE_WORD)})"


def _read(stage: Stage, hole: str, word: str) -> Any:
    match hole:
        case "NAMES":
            return word.split()
        case "SITE":
            return stage.world.sites[word]
        case "SPAN":
            return float(word[:-1]) * _SECONDS[word[-1]]
        case _:
            return word
