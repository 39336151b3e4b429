"""Which shards of the registrar have more builds than they get done: they aren't asked for more for a moment.

A request that would be refused there is refused here, before anything is done for it: what is spent on refusals is
missing for what was promised.
"""

from typing import Final

from freehold.runtime.clock import Clock
from freehold.vocabulary.errors import Busy

PAUSE_S: Final = 0.1
"""How long a shard that was busy isn't asked. In that time it gets some dozens of builds done."""


class Backlog:
    """Of one API process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: dict[int, tuple[float, str]] = {}
        """By shard: until when it isn't asked, and what it had said."""

    def check(self, shard: int) -> None:
        """Raises Busy if the shard has just said that it is."""
        until_s, message = self._until_s.get(shard, (0.0, ""))
        if self._clock.monotonic_s() < until_s:
            raise Busy(message)

    def said(self, shard: int, busy: Busy) -> None:
        """A shard has refused a request as it is busy."""
        self._until_s[shard] = (self._clock.monotonic_s() + PAUSE_S, busy.message)
