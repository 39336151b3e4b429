"""An asyncio loop on virtual time: nothing waits, and what is ready runs in an order that the seed picks.

Time moves to the next timer when nothing is ready. A callback belongs to the process in whose context it was made
(see `process`): those of a dead process are never run, those of a paused one when it goes on.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context
from itertools import count
from random import Random
from typing import Any, Final

from freehold.sim.process import PROCESS

SHUFFLED_SHARE: Final = 0.3
"""How often callbacks that are ready at once change places."""


CANCELLED_MAX: Final = 512
"""Cancelled timers that may lie in the heap before they are cleared out of it."""


class Stuck(Exception):
    """Nothing is ready and no timer is set: who waits now waits for ever."""


class SimLoop(asyncio.BaseEventLoop):
    """See the module. `steps` counts callbacks run."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._ready: deque[asyncio.Handle]
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._cancelled = 0
        self.dropped: list[asyncio.Handle] = []
        """Callbacks of dead processes, kept so that nothing of them is finalized, and so run, before the run's end."""
        self.steps = 0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio: on virtual time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > CANCELLED_MAX and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _process_events(self, event_list: Any) -> None:
        """There are none: no file is ever waited for."""

    def _write_to_self(self) -> None:
        """There are no threads to be woken by."""

    def _run_once(self) -> None:
        self._take_due()
        ready = self._ready
        number = len(ready)
        if number > 1 and self._random.random() < SHUFFLED_SHARE:
            batch = list(ready)
            self._random.shuffle(batch)
            ready.clear()
            ready.extend(batch)
        for _ in range(number):
            handle = ready.popleft()
            if handle._cancelled:
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
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled -= 1
        if not self._ready:
            if not timers:
                if self._stopping:  # type: ignore[attr-defined]
                    return
                raise Stuck("nothing is ready, and nothing will be")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)

    def take_up(self, handles: list[asyncio.Handle]) -> None:
        """Runs callbacks that were held while their process was paused."""
        self._ready.extend(handles)
