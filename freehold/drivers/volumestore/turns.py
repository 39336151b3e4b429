"""Verbs on one volume wait for each other, and what may take long makes way for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """Whose turn it is with a volume. `hurry` is set while others wait: what is long, and can be done later, ends."""

    def __init__(self) -> None:
        self.hurry = asyncio.Event()
        self.lock = asyncio.Lock()
        self.users = 0


class Turns:
    """Those of all volumes."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    def is_taken(self, volume: str) -> bool:
        """Whether somebody has it to himself, or waits for it."""
        return volume in self._turns

    @asynccontextmanager
    async def take(self, volume: str) -> AsyncIterator[asyncio.Event]:
        """Has the volume to itself; gives the event that is set when somebody else wants it."""
        turn = self._turns.setdefault(volume, Turn())
        turn.users += 1
        if turn.users > 1:
            turn.hurry.set()
        try:
            async with turn.lock:
                if turn.users == 1:
                    turn.hurry.clear()
                yield turn.hurry
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[volume]
