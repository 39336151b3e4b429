"""Plays every kill point, and pairs of two: `python -m freehold.sim.kills [--pairs SHARE]`."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from freehold.sim.killpoints import ACTIONS, MOMENTS, SCALE, Kill, Steps, pairs, script, single
from freehold.sim.run import play_in

BUILD_AND_DELETE = ("delete",)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run with kills. `steps`: every step, in order; `after`: how many came after the last kill."""

    kills: tuple[Kill, ...]
    fired: int
    violation: str
    steps: tuple[str, ...]
    after: int
    callers: frozenset[str]


def play_kills(kills: tuple[Kill, ...], actions: tuple[str, ...]) -> Played:
    """Plays the life of a guest with these kills."""
    steps = Steps(kills)
    outcome = play_in(1, SCALE, lambda world: script(world, steps, actions))
    callers = frozenset(steps.callers)
    return Played(kills, steps.killed, outcome.violation, tuple(steps.seen), steps.since_kill, callers)


def play_pairs(first: Kill, share: float) -> list[Played]:
    """Plays a kill with each of those that may follow it, or a share of them."""
    one = play_kills((first,), BUILD_AND_DELETE)
    random = Random(f"{first.step} {first.moment}")
    followers = [kills for kills in pairs(first, one.after) if random.random() < share]
    return [one, *(play_kills(kills, BUILD_AND_DELETE) for kills in followers)]


def every_single(processes: int) -> Iterator[Played]:
    """Every step of create, stop, start, reboot and delete, at each moment."""
    count = len(play_kills((), ACTIONS[1:]).steps)
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(play_kills, single(count), [ACTIONS[1:]] * count * len(MOMENTS))


def every_pair(processes: int, share: float) -> Iterator[Played]:
    """Every step of create and delete, and every step after it."""
    count = len(play_kills((), BUILD_AND_DELETE).steps)
    firsts = [kills[0] for kills in single(count)]
    with ProcessPoolExecutor(processes) as pool:
        for played in pool.map(play_pairs, firsts, [share] * len(firsts)):
            yield from played


def main() -> int:
    """Plays what the command line asks for."""
    parser = argparse.ArgumentParser(prog="freehold.sim.kills", description=__doc__)
    parser.add_argument("--pairs", type=float, default=0.0, help="the share of pairs to play; 1: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    bad = tell("kill points", every_single(given.processes))
    if given.pairs:
        bad += tell("pairs of kills", every_pair(given.processes, given.pairs))
    return 1 if bad else 0


def tell(what: str, played: Iterable[Played]) -> int:
    """Prints what came of it; the number of violations."""
    count = bad = unfired = 0
    for one in played:
        count += 1
        unfired += one.fired < len(one.kills)
        if one.violation:
            bad += 1
            print(f"{one.kills}: {one.violation}", flush=True)
        if count % 250 == 0:
            print(f"{what}: {count:,} played, {bad} violations", flush=True)
    print(f"{what}: {count:,} played, {bad} violations, {unfired} in which a step didn't come", flush=True)
    return bad


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "freehold.sim.kills", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONHASHSEED": "0"})
    sys.exit(main())
