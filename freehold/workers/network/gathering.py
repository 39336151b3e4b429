"""The heartbeats of a cluster's hosts, passed on many in one message.

Each host beats every few seconds, and every reader in the cloud would have to take each by itself, and to check who
said it: for ten thousand hosts that is a good part of a core of each reader. So a host asks a network worker of its
cluster to pass its heartbeat on. If none does, it tells everybody itself.
"""

from typing import Final

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.envelope import Beats, Heartbeat, Owner, Passed, PassOn
from freehold.workers.base import Means

GROUP: Final = "beats"
PAUSE_S: Final = 1.0
PAUSE_SOON_S: Final = 0.05
"""How long a heartbeat waits for others, and how long one does that readers wait for."""
BEATS_MAX: Final = 500
"""In one message; a reader takes so many in a few milliseconds."""


class Gathering:
    """Of one network worker."""

    def __init__(self, means: Means, owner: Owner) -> None:
        self._means, self._owner = means, owner
        self._due: dict[str, Heartbeat] = {}
        """By store: the newest of each."""
        self._waits, self._waits_soon = False, False
        self._subscription: Subscription | None = None
        self.tasks = Tasks("network.gathering")

    async def open(self) -> None:
        """Takes heartbeats."""
        subject = subjects.ask_beats_of(self._owner.cluster)
        self._subscription = await talk.serve(
            self._means.bus, subject, PassOn, self._take, GROUP, subject_of=lambda asked, _: _asked_at(asked)
        )

    async def close(self) -> None:
        """Takes no more, and passes on what it has taken."""
        if self._subscription is not None:
            await self._subscription.close()
        await self.tasks.close()
        await self._say()

    async def _take(self, asked: PassOn) -> Passed:
        self._due[asked.beat.owner.store] = asked.beat
        if asked.soon and not self._waits_soon:
            self._waits_soon = True
            self.tasks.start("say soon", self._say_in(PAUSE_SOON_S))
        elif not self._waits:
            self._waits = True
            self.tasks.start("say", self._say_in(PAUSE_S))
        return Passed()

    async def _say_in(self, pause_s: float) -> None:
        await self._means.clock.clock.sleep(pause_s)
        if pause_s == PAUSE_SOON_S:
            self._waits_soon = False
        else:
            self._waits = False
        await self._say()

    async def _say(self) -> None:
        due, self._due = list(self._due.values()), {}
        for first in range(0, len(due), BEATS_MAX):
            beats = Beats(owner=self._owner, beats=tuple(due[first : first + BEATS_MAX]))
            await talk.say(self._means.bus, subjects.beats(self._owner), beats)


def _asked_at(asked: PassOn) -> str:
    return subjects.ask_beats(asked.beat.owner)
