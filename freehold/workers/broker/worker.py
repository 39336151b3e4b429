"""The broker's loop."""

import asyncio
from typing import Final

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.machine import Roll
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Means
from freehold.workers.broker import lifecycle
from freehold.workers.broker.effects import RollKept, Served

PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 30.0
"""Between a server's end and its next start: twice as long each time, until it has run for `STEADY_S`."""
STEADY_S: Final = 60.0

_log = logger("broker")


class BrokerWorker:
    """See the package. `served` runs already: without it there is no bus to hear on. `machines`: the account that the
    authority's rolls are of.
    """

    def __init__(self, means: Means, served: Served, machines: str, kept: RollKept) -> None:
        self._means, self._served, self._machines, self._kept = means, served, machines, kept
        self._news = asyncio.Event()
        self.tasks = Tasks("broker")
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Hears which tickets aren't taken any more, and watches over the server."""
        self._subscriptions = [await talk.hear(self._means.bus, subjects.ROLL, Roll, self._hear)]
        self.tasks.start("tell", self._tell())
        self.tasks.start("watch", self._watch())

    async def close(self) -> None:
        """Stops. The server is ended by whoever started it."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.tasks.close()

    def identify(self, ticket: str, key: Secret) -> None:
        """The machine's passport was renewed."""
        self._served.identify(ticket, key)
        self._news.set()

    async def _hear(self, roll: Roll) -> None:
        held = self._served.roll
        if not lifecycle.newer(held, roll):
            return
        if not lifecycle.is_sound(roll, self._machines):
            _log.error("a roll isn't of this cloud's authority; it was dropped")
            return
        self._served.hold(roll)
        if lifecycle.changes(held, roll):
            self._kept.keep_roll(roll)
            self._news.set()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._served.tell()
                _log.info("the server has its new roll")
            except FreeholdError as error:
                _log.error("the server isn't told who is shut out; trying again", error=error.message)
                await self._means.clock.clock.sleep(PAUSE_S)
                self._news.set()

    async def _watch(self) -> None:
        clock, pause_s = self._means.clock.clock, PAUSE_S
        while True:
            since_s = clock.monotonic_s()
            words = await self._served.ended()
            if clock.monotonic_s() - since_s > STEADY_S:
                pause_s = PAUSE_S
            _log.error("the server has ended by itself; starting it again", words=words, pause_s=pause_s)
            await self._start_again(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _start_again(self, pause_s: float) -> None:
        while True:
            await self._means.clock.clock.sleep(pause_s)
            try:
                return await self._served.start()
            except FreeholdError as error:
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                _log.error("the server doesn't start", error=error.message, pause_s=pause_s)
