"""Plays every kill point, and pairs of two: `python -m freehold.sim.kills`. Exits 1 if anything is violated.

One kill: at every step of create, stop, start, reboot and delete, before it, in its middle and after it, of every
process in turn, and so of a build that is withdrawn since its request has failed; and of a volume's life. Where others
are told of a guest, of the notifier at each of its own. Two kills: at every pair of moments of
create and delete, each of the process whose step it is; and those where the second is another's, once it has happened
that the step is done.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from random import Random
from typing import Final, TypeVar

from freehold.sim.killpoints import Kill, Point, Steps, others, own
from freehold.sim.life import BUILD_AND_DELETE, BUILD_IN_VAIN, SCALE, TOLD, WHOLE_LIFE, script
from freehold.sim.plan import Scale
from freehold.sim.reached import left_out
from freehold.sim.run import play_in
from freehold.sim.seeds import end_with_parent
from freehold.sim.volume_life import ATTACHED_LIFE, POOL, VOLUME_LIFE, VOLUME_OF_IMAGE, volume_script

T = TypeVar("T")

LIVES: Final = (
    (WHOLE_LIFE, SCALE),
    (BUILD_IN_VAIN, SCALE),
    (VOLUME_LIFE, POOL),
    (VOLUME_OF_IMAGE, POOL),
    (ATTACHED_LIFE, POOL),
)
"""What is played without a kill, to see which steps there are."""
SHORT: Final = 0.04
"""The share of the long part that is played when it is to be short."""
TELL_EVERY: Final = 250
CHUNK: Final = 8


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run with kills. `points`: every one after the last kill; `cpu_s`: what it cost."""

    kills: tuple[Kill, ...]
    violation: str
    points: tuple[Point, ...]
    callers: frozenset[str]
    cpu_s: float


def play_kills(kills: tuple[Kill, ...], actions: tuple[str, ...], scale: Scale = SCALE) -> Played:
    """Plays the life of a guest with these kills. One that didn't come is a violation: nothing was shown."""
    steps = Steps(kills)
    play = volume_script if scale.pools else script
    outcome = play_in(1, scale, lambda world: play(world, steps, actions))
    violation = outcome.violation
    if not violation and steps.killed < len(kills):
        violation = f"only {steps.killed} of the kills came"
    return Played(kills, violation, tuple(steps.points), frozenset(steps.callers), outcome.cpu_s)


def every_single(pool: ProcessPoolExecutor, actions: tuple[str, ...], share: float) -> Iterator[Played]:
    """Every point of `actions`, with every process that lives there. Of others' processes, a share."""
    plain = play_kills((), actions)
    yield plain
    kills = [*own(plain.points), *_share(others(plain.points), share, "others")]
    yield from _all(pool, ((kill,) for kill in kills), actions)


def every_telling(pool: ProcessPoolExecutor) -> Iterator[Played]:
    """Every point of the notifier's in a whole life that it tells others of."""
    plain = play_kills((), WHOLE_LIFE, TOLD)
    yield plain
    kills = own(tuple(point for point in plain.points if point.site == "notifier"))
    yield from _all(pool, ((kill,) for kill in kills), WHOLE_LIFE, TOLD)


def every_volume(pool: ProcessPoolExecutor, share: float) -> Iterator[Played]:
    """Every point of a volume's life, with every process that lives there. Of others' processes, a share."""
    for actions in (VOLUME_LIFE, VOLUME_OF_IMAGE, ATTACHED_LIFE):
        plain = play_kills((), actions, POOL)
        yield plain
        kills = [*own(plain.points), *_share(others(plain.points), share, "volumes")]
        yield from _all(pool, ((kill,) for kill in kills), actions, POOL)


def every_volume_pair(pool: ProcessPoolExecutor, share: float) -> Iterator[Played]:
    """Every pair of moments of a volume's life, each of the process whose step it is."""
    for actions in (VOLUME_LIFE, ATTACHED_LIFE):
        plain = play_kills((), actions, POOL)
        firsts = _all(pool, ((kill,) for kill in own(plain.points)), actions, POOL)
        pairs = [(*first.kills, kill) for first in firsts for kill in own(first.points)]
        yield from _all(pool, _share(pairs, share, "volume pairs"), actions, POOL)


def every_first(pool: ProcessPoolExecutor) -> Iterator[Played]:
    """Every point of create and delete, with the process whose step it is."""
    plain = play_kills((), BUILD_AND_DELETE)
    yield from _all(pool, ((kill,) for kill in own(plain.points)), BUILD_AND_DELETE)


def every_pair(pool: ProcessPoolExecutor, firsts: list[Played], share: float) -> Iterator[Played]:
    """Each of `firsts`, and at every point that follows it a second kill of the process whose step it is."""
    pairs = [(*first.kills, kill) for first in firsts for kill in own(first.points)]
    yield from _all(pool, _share(pairs, share, "pairs"), BUILD_AND_DELETE)


def every_mixed_pair(pool: ProcessPoolExecutor, firsts: list[Played], share: float) -> Iterator[Played]:
    """Each of `firsts`, and after every step that follows it a second kill, of each other process that lives."""
    pairs = [(*first.kills, kill) for first in firsts for kill in others(first.points) if kill.moment == "after"]
    yield from _all(pool, _share(pairs, share, "mixed pairs"), BUILD_AND_DELETE)


def _share(those: Iterable[T], share: float, name: str) -> list[T]:
    """Some of `those`, the same ones each time."""
    random = Random(name)
    return [one for one in those if random.random() < share]


def _all(
    pool: ProcessPoolExecutor, kills: Iterable[tuple[Kill, ...]], actions: tuple[str, ...], scale: Scale = SCALE
) -> Iterator[Played]:
    listed = list(kills)
    return pool.map(play_kills, listed, repeat(actions), repeat(scale), chunksize=CHUNK)


def main() -> int:
    """Plays what the command line asks for, and says what came of it."""
    parser = argparse.ArgumentParser(prog="freehold.sim.kills", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of kills of others' processes, and of pairs")
    parser.add_argument("--short", dest="share", action="store_const", const=SHORT, help=f"a share of {SHORT}")
    parser.add_argument("--reached", action="store_true", help="only whether every durable step has a kill point")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with ProcessPoolExecutor(given.processes, initializer=end_with_parent) as pool:
        firsts = list(every_first(pool))
        telling = list(every_telling(pool))
        lives = [play_kills((), actions, scale) for actions, scale in LIVES]
        bad = _tell_left_out([*lives, *firsts, *telling])
        if not given.reached:
            bad += _tell_all(pool, firsts, telling, given.share)
    return 1 if bad else 0


def _tell_left_out(played: list[Played]) -> int:
    """Prints what no kill point reaches; the number of such functions."""
    lines = left_out(frozenset(chain.from_iterable(one.callers for one in played)))
    for line in lines:
        print(line, flush=True)
    print(f"durable steps without a kill point: {len(lines)}", flush=True)
    return len(lines)


def _tell_all(pool: ProcessPoolExecutor, firsts: list[Played], telling: list[Played], share: float) -> int:
    """Plays all and prints the totals; the number of violations."""
    totals = [
        tell("one kill in a whole life", every_single(pool, WHOLE_LIFE, share)),
        tell("one kill in a build that is withdrawn", every_single(pool, BUILD_IN_VAIN, share)),
        tell("one kill of the notifier in a whole life", telling),
        tell("one kill in create and delete", firsts),
        tell("two kills in create and delete", every_pair(pool, firsts, share)),
        tell("two kills, the second of another process", every_mixed_pair(pool, firsts, share)),
        tell("one kill in a volume's life", every_volume(pool, share)),
        tell("two kills in a volume's life", every_volume_pair(pool, share)),
    ]
    count, bad = sum(played for played, _ in totals), sum(wrong for _, wrong in totals)
    print(f"kill points: {count:,} played, {bad} violations", flush=True)
    return bad


def tell(what: str, played: Iterable[Played]) -> tuple[int, int]:
    """Prints what came of it, as it comes; how many were played, and how many violations there were."""
    count, bad, cpu_s, began_s = 0, 0, 0.0, time.monotonic()
    for one in played:
        count += 1
        cpu_s += one.cpu_s
        if one.violation:
            bad += 1
            print(f"{one.kills}: {one.violation}", flush=True)
        if count % TELL_EVERY == 0:
            print(f"  {what}: {count:,} played so far, {bad} violations", flush=True)
    took_s = time.monotonic() - began_s
    print(f"{what}: {count:,} played, {bad} violations ({cpu_s:.0f} s of CPU, {took_s:.0f} s)", flush=True)
    return count, bad


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "freehold.sim.kills", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONHASHSEED": "0"})
    sys.exit(main())
