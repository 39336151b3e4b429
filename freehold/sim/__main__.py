"""Plays seeds on all processors: `python -m freehold.sim --seeds 100 --first-seed 1`. What fails is told as a story."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from freehold.sim.journal import Journal, code_digest
from freehold.sim.plan import Plan, planned
from freehold.sim.run import Outcome, play
from freehold.sim.seeds import until_faults
from freehold.sim.shrink import shrunk, told

STORY_LINES_MAX = 200


def tell(outcome: Outcome) -> None:
    """Prints what came of a seed; of one that failed, its story."""
    if not outcome.violation:
        return
    print("\n".join(outcome.lines[-STORY_LINES_MAX:]))
    print(f"seed {outcome.seed} failed: {outcome.violation}")
    print(f"play it again: make sim SEEDS=1 FIRST_SEED={outcome.seed}", flush=True)


def shrink(seed: int) -> int:
    """Prints the smallest failing plan found of a seed that fails, and its story."""
    plan = planned(seed)
    if not play(plan).violation:
        print(f"seed {seed} passes: there is nothing to shrink")
        return 0
    tries = 0

    def fails(smaller: Plan) -> bool:
        nonlocal tries
        tries += 1
        failed = bool(play(smaller).violation)
        print(f"shrink: try {tries}, {len(smaller.asks)} asks, {len(smaller.troubles)} troubles: {failed=}", flush=True)
        return failed

    small = shrunk(plan, fails)
    outcome = play(small, keep=True)
    print("\n".join((*outcome.lines[-STORY_LINES_MAX:], f"the plan of seed {seed}, made small:", *told(small))))
    print(f"seed {seed} failed: {outcome.violation}")
    return 1


def main() -> int:
    """Plays the seeds that the command line names."""
    parser = argparse.ArgumentParser(prog="freehold.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many; 0: until --faults were made")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=0, help="stop when so many faults were made")
    parser.add_argument("--journal", type=Path, help="keep what was played in this file, and go on from it")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--story", action="store_true", help="tell what happens, for one seed")
    parser.add_argument("--shrink", action="store_true", help="make the failing plan of one seed small, and tell it")
    given = parser.parse_args()
    if given.shrink:
        return shrink(given.first_seed)
    if given.story:
        outcome = play(planned(given.first_seed), keep=True)
        print("\n".join(outcome.lines))
        print(f"seed {outcome.seed}: {outcome.violation or 'passed'}, {outcome.faults.total():,} faults")
        return 1 if outcome.violation else 0
    first = given.first_seed
    seeds = range(first, first + given.seeds) if given.seeds else count(first)
    if not given.seeds and not given.faults:
        parser.error("say --seeds or --faults")
    if given.journal is None:
        return _played(until_faults(seeds, given.processes, given.faults or sys.maxsize))
    return _played(
        journaled(Journal(given.journal, code_digest()), seeds, given.processes, given.faults or sys.maxsize)
    )


def journaled(journal: Journal, seeds: Iterable[int], processes: int, faults_max: int) -> Iterator[Outcome]:
    """The outcomes that a journal has, and then those of the seeds that it hasn't, which it is given."""
    faults = sum(outcome.faults.total() for outcome in journal.played.values())
    yield from list(journal.played.values())
    if faults >= faults_max:
        return
    left = (seed for seed in seeds if seed not in journal.played)
    for outcome in until_faults(left, processes, faults_max - faults):
        journal.add(outcome)
        yield outcome


def _played(results: Iterable[Outcome]) -> int:
    faults, failed, number, cpu_s, began, shown = Counter[str](), 0, 0, 0.0, time.monotonic(), 0.0
    for outcome in results:
        number += 1
        faults += outcome.faults
        cpu_s += outcome.cpu_s
        failed += bool(outcome.violation)
        tell(outcome)
        if time.monotonic() - shown > 20:
            shown = time.monotonic()
            print(f"sim: {number} seeds, {faults.total():,} faults, {failed} failed, {shown - began:.0f} s", flush=True)
    for kind, times in faults.most_common():
        print(f"  {times:>12,}  {kind}")
    hourly = faults.total() / max(cpu_s, 1e-9) * 3600
    print(f"{faults.total():,} faults in {cpu_s:,.0f} s of CPU: {hourly:,.0f} a core-hour")
    print(f"{number - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of strings is part of what a seed decides
        os.execve(
            sys.executable, [sys.executable, "-m", "freehold.sim", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
        )
    sys.exit(main())
