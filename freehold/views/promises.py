"""Room that was promised to builds and hasn't been heard of yet."""

from collections.abc import Iterator

from freehold.vocabulary.host import Capacity


class Promises:
    """Of each guest at most one. Each lasts as long as the others: they end in the order in which they were made."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, Capacity, float]] = {}
        """Guest -> (host, room, until when)."""
        self._at: dict[str, dict[str, Capacity]] = {}
        """Host -> guest -> room."""

    def make(self, guest: str, host: str, room: Capacity, until: float) -> None:
        """Promises a guest, which has no promise, room at a host until then."""
        self._made[guest] = (host, room, until)
        self._at.setdefault(host, {})[guest] = room

    def end(self, guest: str) -> tuple[str, Capacity] | None:
        """Ends a promise. The host and the room that it was of; None if there is none."""
        made = self._made.pop(guest, None)
        if made is None:
            return None
        host, room, _ = made
        theirs = self._at[host]
        del theirs[guest]
        if not theirs:
            del self._at[host]
        return host, room

    def host_of(self, guest: str) -> str:
        """Where a guest is promised room; empty: nowhere."""
        made = self._made.get(guest)
        return "" if made is None else made[0]

    def at(self, host: str) -> list[Capacity]:
        """All that is promised of a host."""
        return list(self._at.get(host, {}).values())

    def past(self, now: float) -> Iterator[str]:
        """The guests whose promises have lasted long enough. Each is to be ended before the next is asked for."""
        while self._made:
            guest = next(iter(self._made))
            if self._made[guest][2] > now:
                return
            yield guest
