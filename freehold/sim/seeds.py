"""Seeds on several processors."""

import ctypes
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Final

from freehold.sim.plan import planned
from freehold.sim.run import Outcome, play

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """For a process of a pool: from now on it ends when its parent does, however that ends. See prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def play_seed(seed: int) -> Outcome:
    """The outcome of a seed; of one that fails, with its story. Raises RuntimeError if it doesn't repeat itself."""
    outcome = play(planned(seed))
    if not outcome.violation:
        return outcome
    again = play(planned(seed), keep=True)
    if again.digest != outcome.digest:
        raise RuntimeError(
            f"seed {seed} gave {outcome.violation!r} and then {again.violation!r}: it must repeat itself"
        )
    return again


def outcomes(seeds: Iterable[int], processes: int) -> Iterator[Outcome]:
    """The outcomes of seeds, as they come; each process is replaced now and then, so that no garbage piles up."""
    left = iter(seeds)
    with ProcessPoolExecutor(processes, initializer=end_with_parent, max_tasks_per_child=500) as pool:
        running: set[Future[Outcome]] = {pool.submit(play_seed, seed) for seed in islice(left, 2 * processes)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running |= {pool.submit(play_seed, seed) for seed in islice(left, 1)}
                yield future.result()


def until_faults(seeds: Iterable[int], processes: int, faults_max: int) -> Iterator[Outcome]:
    """Outcomes until so many faults were made."""
    total = 0
    for outcome in outcomes(seeds, processes):
        total += outcome.faults.total()
        yield outcome
        if total >= faults_max:
            return
