"""What readers ask owners of their logs, and where these stand.

When an API process ends, all of its readers come to another at once, most of them from the same places: who asks an
owner for the same entries as somebody else does at that moment shares the answer. What an entry says never changes.
"""

import asyncio
from typing import Final

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus
from freehold.vocabulary.envelope import Happened, Happenings, Owner, Position, Stands
from freehold.vocabulary.errors import NoAnswer

TRIES: Final = 3
STANDS_DEADLINE_S: Final = 1.5
"""For each try: a question or its answer may have been lost."""
ASK_DEADLINE_S: Final = 2.0


class Questions:
    """Asks owners what happened between two places in their logs."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asked: dict[tuple[str, Happened], asyncio.Task[Happenings]] = {}

    async def ask(self, owner: Owner, question: Happened) -> Happenings:
        """The owner's answer. Raises NoAnswer, and what the owner refuses with."""
        key = owner.store, question
        under_way = self._asked.get(key)
        if under_way is None:
            under_way = self._asked[key] = asyncio.create_task(self._answer(owner, question))
            under_way.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(under_way)

    def _answered(self, key: tuple[str, Happened], task: "asyncio.Task[Happenings]") -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # those who have asked have it, and if they have all left nobody needs it

    async def _answer(self, owner: Owner, question: Happened) -> Happenings:
        for left in range(TRIES - 1, -1, -1):
            try:
                return await talk.ask(self._bus, subjects.owner(owner), question, Happenings, ASK_DEADLINE_S)
            except NoAnswer:
                if not left:
                    raise
        raise AssertionError("the last try answers or raises")


class StandsQuestion:
    """The question where an owner stands, shared: whoever comes while one is under way waits for the next, which is
    asked after they came.
    """

    def __init__(self, bus: Bus, owner: Owner) -> None:
        self._bus, self._owner = bus, owner
        self._running: asyncio.Task[Position] | None = None
        self._next: asyncio.Task[Position] | None = None

    async def stands(self) -> Position:
        """Where the owner stood at some moment after this was called. Raises NoAnswer."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask())
            return await asyncio.shield(self._running)
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._ask_after(self._running))
        return await asyncio.shield(self._next)

    async def _ask_after(self, before: "asyncio.Task[Position]") -> Position:
        await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._ask()

    async def _ask(self) -> Position:
        for left in range(TRIES - 1, -1, -1):
            try:
                return await talk.ask(self._bus, subjects.owner(self._owner), Stands(), Position, STANDS_DEADLINE_S)
            except NoAnswer:
                if not left:
                    raise
        raise AssertionError("the last try answers or raises")
