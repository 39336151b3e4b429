"""Time, as it is handed to everybody who needs it."""

import asyncio
import time
from typing import Protocol

from freehold.vocabulary.units import clock_time


class Clock(Protocol):
    """What time it is, and how to wait."""

    def unix_ms(self) -> int:
        """The wall clock: milliseconds since 1970. May jump either way."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that only goes forward; its zero means nothing."""

    async def sleep(self, seconds: float) -> None:
        """Waits on the monotonic clock."""


class SystemClock:
    """The machine's clock."""

    def unix_ms(self) -> int:
        """See Clock."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """See Clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


class HybridClock:
    """Clock times that never go back in one process, and are after everything that the process has heard of.

    A wall clock that jumps back is followed by counting on from the last time.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._last = 0

    def now(self) -> int:
        """The next clock time."""
        self._last = max(self._last + 1, clock_time(self.clock.unix_ms()))
        return self._last

    def heard(self, time_heard: int, ahead_ms_max: int = 60_000) -> None:
        """Moves past a time that somebody else gave, unless it is so far ahead that their clock must be wrong."""
        if time_heard <= clock_time(self.clock.unix_ms() + ahead_ms_max):
            self._last = max(self._last, time_heard)

    def go_on_from(self, time_given: int) -> None:
        """Moves past a time that was given out before, however far ahead: by an earlier process, and kept on disk."""
        self._last = max(self._last, time_given)
