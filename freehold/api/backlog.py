"""How many more builds each shard of the registrar takes: it isn't asked for more than that.

A request that would be refused there is refused here, before anything is done for it: what is spent on refusals is
missing for what was promised. A shard says with each admission how much room it has left; one that has none, or that
has refused a request, is left alone for a moment, and then asked once, to hear how much room there is by then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from freehold.runtime.clock import Clock
from freehold.vocabulary.errors import Busy

PAUSE_S: Final = 0.1
"""How long a shard without room isn't asked. In that time it gets some dozens of builds done."""
AMPLE: Final = 100
"""A shard with so much room is asked without counting."""
PAUSES_KNOWN: Final = 20
"""For so many pauses it is known what a shard has said. Whoever comes later finds it as if it had said nothing."""
_MESSAGE: Final = "More guests have been asked for than are built at the moment, and this one isn't taken yet."


@dataclass(slots=True)
class _Shard:
    """One that has little room."""

    room: int
    """How often it may be asked before it says something anew."""
    until_s: float
    """When it is asked once more, if it has said nothing by then."""
    known_until_s: float
    message: str


class Backlog:
    """Of one API process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shards: dict[int, _Shard] = {}
        self._asked: dict[int, int] = {}
        """Questions that each shard hasn't answered yet."""

    def enter(self, shard: int) -> None:
        """Takes the place of a request. Raises Busy if the shard has none left."""
        known = self._shards.get(shard)
        if known is None:
            return
        now_s = self._clock.monotonic_s()
        if now_s >= known.known_until_s:
            del self._shards[shard]
            return
        if known.room > 0:
            known.room -= 1
        elif now_s < known.until_s:
            raise Busy(known.message)
        known.until_s = now_s + PAUSE_S

    @contextmanager
    def asking(self, shard: int) -> Iterator[None]:
        """While the shard is asked: until it answers, it doesn't know of the request."""
        self._asked[shard] = self._asked.get(shard, 0) + 1
        try:
            yield
        except Busy as busy:
            self._said(shard, 0, busy.message)
            raise
        finally:
            self._asked[shard] -= 1

    def has_room(self, shard: int, room: int) -> None:
        """A shard has said how many more builds it takes, beside those that it was asked for and hasn't answered."""
        left = room - self._asked.get(shard, 0)
        if left >= AMPLE:
            self._shards.pop(shard, None)
        else:
            self._said(shard, max(left, 0), _MESSAGE)

    def _said(self, shard: int, room: int, message: str) -> None:
        now_s = self._clock.monotonic_s()
        self._shards[shard] = _Shard(room, now_s + PAUSE_S, now_s + PAUSE_S * PAUSES_KNOWN, message)
