"""An asyncio loop on virtual time: nothing waits, and what is ready runs in an order that the seed picks.

Time moves to the next timer when nothing is ready. A callback belongs to the process in whose context it was made
(see `process`): those of a dead process are never run, those of a paused one when it goes on.

A run is little else but callbacks, so what asyncio does for each is done here again, without its debug mode.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from types import AsyncGeneratorType
from typing import Any, Final, TypeVar

from freehold.sim.process import PROCESS

T = TypeVar("T")

SHUFFLED_SHARE: Final = 0.3
"""How often callbacks that are ready at once change places."""


CANCELLED_MAX: Final = 512
"""Cancelled timers that may lie in the heap before they are cleared out of it."""


class Stuck(Exception):
    """Nothing is ready and no timer is set: who waits now waits for ever."""


class _Call(list[Any]):
    """[when, order, callback, arguments, context, loop]: a handle that is its own place in the heap of timers.

    A list, because there is one for every step, and a list is made and compared without a line of Python.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """See asyncio.Handle."""
        if self[_CALLBACK] is not None:
            self[_CALLBACK] = self[_ARGUMENTS] = None
            self[_LOOP].timer_cancelled()

    def cancelled(self) -> bool:
        """See asyncio.Handle."""
        return self[_CALLBACK] is None

    def when(self) -> float:
        """See asyncio.TimerHandle."""
        return float(self[_WHEN])


_WHEN, _CALLBACK, _ARGUMENTS, _LOOP = 0, 2, 3, 5


class SimLoop(asyncio.BaseEventLoop):
    """See the module. `steps` counts callbacks run."""

    _closed: bool
    _stopping: bool

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._ready: deque[_Call]
        self._timers: list[_Call] = []
        self._order = count()
        self._cancelled = 0
        self.dropped: list[_Call] = []
        """Callbacks of dead processes, kept so that nothing of them is finalized, and so run, before the run's end."""
        self.unclosed: list[str] = []
        """Async generators that were left to the garbage collector, whose end would come at no time of this loop."""
        self.steps = 0

    get_debug = staticmethod(bool)
    """Never: each future asks when it is made, and this answers without a frame of Python."""

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Call:
        """See asyncio."""
        if self._closed:
            raise RuntimeError("the loop is closed")
        call = _Call((self._now, 0, callback, args, copy_context() if context is None else context, self))
        self._ready.append(call)
        return call

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Call:
        """See asyncio: on virtual time."""
        context = copy_context() if context is None else context
        timer = _Call((when, next(self._order), callback, args, context, self))
        heappush(self._timers, timer)
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Call:
        """See asyncio: on virtual time."""
        context = copy_context() if context is None else context
        timer = _Call((self._now + delay, next(self._order), callback, args, context, self))
        heappush(self._timers, timer)
        return timer

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[T]":
        """See asyncio."""
        if self._closed:
            raise RuntimeError("the loop is closed")
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def timer_cancelled(self) -> None:
        """Counts a timer that was cancelled, whether or not it has run before."""
        self._cancelled += 1
        timers = self._timers
        if self._cancelled > CANCELLED_MAX and self._cancelled * 2 > len(timers):
            timers[:] = [timer for timer in timers if timer[_CALLBACK] is not None]
            heapify(timers)
            self._cancelled = 0

    def _asyncgen_finalizer_hook(self, agen: AsyncGeneratorType[Any, Any]) -> None:
        """Who breaks off an async generator is to close it (`contextlib.aclosing`)."""
        self.unclosed.append(agen.__qualname__)

    def _process_events(self, event_list: Any) -> None:
        """There are none: no file is ever waited for."""

    def _write_to_self(self) -> None:
        """There are no threads to be woken by."""

    def _run_once(self) -> None:
        """Goes round until it is to stop: asyncio, which asks for one round, looks only then."""
        ready, stopped = self._ready, False
        while not stopped:
            self._take_due()
            number = len(ready)
            if number > 1:
                self._maybe_shuffle()
            for _ in range(number):
                call = ready.popleft()
                _, _, callback, arguments, context, _ = call
                if callback is None:
                    continue
                process = context.get(PROCESS)
                if process is None or process.runs:
                    self.steps += 1
                    try:
                        context.run(callback, *arguments)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # noqa: BLE001 - as in asyncio: no callback ends the loop
                        self.call_exception_handler({"message": "a callback failed", "exception": error})
                elif process.alive:
                    process.held.append(call)
                else:
                    self.dropped.append(call)
            stopped = self._stopping

    def _take_due(self) -> None:
        """Makes ready what is due; if nothing is ready, it is later now."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][_CALLBACK] is None:
            heappop(timers)
            self._cancelled -= 1
        if timers:
            if not ready:
                self._now = max(self._now, timers[0][_WHEN])
            now = self._now
            while timers and timers[0][_WHEN] <= now:
                ready.append(heappop(timers))
        elif not ready and not self._stopping:
            raise Stuck("nothing is ready, and nothing will be")

    def _maybe_shuffle(self) -> None:
        if self._random.random() < SHUFFLED_SHARE:
            batch = list(self._ready)
            self._random.shuffle(batch)
            self._ready.clear()
            self._ready.extend(batch)

    def take_up(self, calls: list[_Call]) -> None:
        """Runs callbacks that were held while their process was paused."""
        self._ready.extend(calls)
