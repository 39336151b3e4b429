"""What is pursued, and when each is next due: the pauses grow with the tries, and news starts them anew."""

import asyncio
import heapq
from typing import Final

from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock

FIRST_RETRY_S: Final = 5.0
RETRY_S_MAX: Final = 60.0
DOUBLED_MAX: Final = 10
"""Past the longest pause, and far from what a float holds: a host that is away for a day is tried a thousand times."""


class Due:
    """Ids, each with its next time. Of several times of one, the last counts."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock, self._chance = clock, chance
        self._heap: list[tuple[float, str, int]] = []
        self._tries: dict[str, int] = {}
        self._turn: dict[str, int] = {}
        self._woken = asyncio.Event()

    def wake(self, identifier: str) -> None:
        """It is due now, and the pauses begin anew."""
        self._tries[identifier] = 0
        self._schedule(identifier, 0.0)

    def plan(self, identifier: str) -> None:
        """It is being tried, and is due again after its next pause."""
        tries = self._tries.get(identifier, 0)
        self._tries[identifier] = tries + 1
        pause_s = min(FIRST_RETRY_S * 2 ** min(tries, DOUBLED_MAX), RETRY_S_MAX)
        self._schedule(identifier, float(pause_s * self._chance.uniform(0.8, 1.2)))

    def put_off(self, identifier: str, pause_s: float) -> None:
        """It couldn't be tried after all, and is due soon."""
        self._tries[identifier] -= 1
        self._schedule(identifier, pause_s)

    def forget(self, identifier: str) -> None:
        """It isn't pursued any more."""
        self._tries.pop(identifier, None)
        self._turn.pop(identifier, None)

    def take(self, most: int) -> list[str]:
        """What is due by now; some of it if it is much."""
        now_s, found = self._clock.monotonic_s(), list[str]()
        while self._heap and self._heap[0][0] <= now_s and len(found) < most:
            _, identifier, turn = heapq.heappop(self._heap)
            if turn == self._turn.get(identifier):
                found.append(identifier)
        return found

    async def wait(self) -> None:
        """Waits until something may be due."""
        until_due_s = self._heap[0][0] - self._clock.monotonic_s() if self._heap else None
        try:
            async with asyncio.timeout(until_due_s):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def _schedule(self, identifier: str, after_s: float) -> None:
        turn = self._turn.get(identifier, 0) + 1
        self._turn[identifier] = turn
        heapq.heappush(self._heap, (self._clock.monotonic_s() + after_s, identifier, turn))
        self._woken.set()
