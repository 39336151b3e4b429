"""Notices work that has begun and doesn't end, and an event loop that doesn't get round.

Time is counted in looks, not in seconds: a process that was stopped for an hour has missed looks, and nothing in it is
stuck for that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.errors import Broken

LOOK_PERIOD_S: Final = 10.0
LOOKS_MAX: Final = 30
"""Looks at which the same turn of a loop was in progress: five minutes, and every wait within a turn has a deadline."""
LAG_PERIOD_S: Final = 0.5
LAG_S_MAX: Final = 1.0

T = TypeVar("T")

_log = logger("watchdog")


@dataclass(slots=True, eq=False)
class _Turn:
    loop: str
    task: "asyncio.Task[Any] | None"
    looks: int = 0


class Watchdog:
    """Watches the loops of a room. When a turn of one doesn't end, `run` raises Broken: the room ends, and whoever
    supervises it opens it again.
    """

    def __init__(self, room: str, clock: Clock) -> None:
        self._room, self._clock = room, clock
        self._turns: dict[_Turn, None] = {}

    async def turn(self, loop: str, work: Awaitable[T]) -> T:
        """What `work` gives: one turn of a loop. Waiting for something to do is no part of it."""
        turn = _Turn(loop, asyncio.current_task())
        self._turns[turn] = None
        try:
            return await work
        finally:
            del self._turns[turn]

    def watched(self, loop: str, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """`work`, each call of which is a turn."""
        return lambda: self.turn(loop, work())

    async def run(self) -> None:
        """Looks until cancelled. Raises Broken, naming the loop, when one is stuck; its stack is in the log."""
        while True:
            await self._clock.sleep(LOOK_PERIOD_S)
            for turn in self._turns:
                turn.looks += 1
                if turn.looks > LOOKS_MAX:
                    raise self._stuck(turn)

    def _stuck(self, turn: _Turn) -> Broken:
        seconds = LOOK_PERIOD_S * LOOKS_MAX
        _log.error("a loop is stuck", room=self._room, loop=turn.loop, seconds=seconds, stack=stack_of(turn.task))
        return Broken(f"The loop '{turn.loop}' of the {self._room} hasn't turned for {seconds:g} s.")


def stack_of(task: "asyncio.Task[Any] | None") -> list[str]:
    """Where a task waits, from the outermost call to the innermost: ``function (file:line)``."""
    found: list[str] = []
    waiting: Any = None if task is None else task.get_coro()
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        found.append(f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})")
        waiting = waiting.cr_await
    return found


class LagMeter:
    """Measures how late the event loop comes to what is due: something holds it up that should run elsewhere."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.blocked = 0
        """How often it was late by more than `LAG_S_MAX`."""
        self.lag_s_max = 0.0

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            began_s = self._clock.monotonic_s()
            await self._clock.sleep(LAG_PERIOD_S)
            self.saw(self._clock.monotonic_s() - began_s - LAG_PERIOD_S)

    def saw(self, lag_s: float) -> None:
        """Takes one measurement."""
        self.lag_s_max = max(self.lag_s_max, lag_s)
        if lag_s > LAG_S_MAX:
            self.blocked += 1
            _log.warning("the event loop was held up", seconds=round(lag_s, 2), times=self.blocked)
