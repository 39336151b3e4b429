"""An asyncio loop on virtual time: nothing waits, and what is ready runs in an order that the seed picks.

Time moves to the next timer when nothing is ready. A callback belongs to the process in whose context it was made
(see `process`): those of a dead process are never run, those of a paused one when it goes on.
"""

import asyncio
import heapq
from collections import deque
from random import Random
from typing import Any, Final

from freehold.sim.process import PROCESS

SHUFFLED_SHARE: Final = 0.3
"""How often callbacks that are ready at once change places."""


class Stuck(Exception):
    """Nothing is ready and no timer is set: who waits now waits for ever."""


class SimLoop(asyncio.BaseEventLoop):
    """See the module. `steps` counts callbacks run."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self._selector = None
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[asyncio.TimerHandle]
        self.dropped: list[asyncio.Handle] = []
        """Callbacks of dead processes, kept so that nothing of them is finalized, and so run, before the run's end."""
        self.steps = 0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _process_events(self, event_list: Any) -> None:
        """There are none: no file is ever waited for."""

    def _write_to_self(self) -> None:
        """There are no threads to be woken by."""

    def _run_once(self) -> None:
        self._take_due()
        count = len(self._ready)
        if count > 1 and self._random.random() < SHUFFLED_SHARE:
            batch = list(self._ready)
            self._random.shuffle(batch)
            self._ready.clear()
            self._ready.extend(batch)
        for _ in range(count):
            handle = self._ready.popleft()
            if handle._cancelled:  # type: ignore[attr-defined]
                continue
            process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
            if process is None or process.runs:
                self.steps += 1
                handle._run()
            elif process.alive:
                process.held.append(handle)
            else:
                self.dropped.append(handle)

    def _take_due(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not self._ready:
            if not scheduled:
                if self._stopping:  # type: ignore[attr-defined]
                    return
                raise Stuck("nothing is ready, and nothing will be")
            self._now = max(self._now, scheduled[0]._when)  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._when <= self._now:  # type: ignore[attr-defined]
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(handle)

    def take_up(self, handles: list[asyncio.Handle]) -> None:
        """Runs callbacks that were held while their process was paused."""
        self._ready.extend(handles)
