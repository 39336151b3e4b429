"""What a store's records are: staged changes over what is on disk. What was used last is kept in memory as well.

Nobody but its owner writes a store, so what was read or written once stays so until the next change.
"""

from bisect import insort
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from freehold.store.connection import Connection

RECENT_BYTES_MAX: Final = 8 << 20
"""Of one store that has a process to itself."""
RECENT_BYTES_MIN: Final = 16 << 10
"""What each of several stores that keep theirs in one room has at any rate."""
RECENT_OVERHEAD_BYTES: Final = 200
"""What the place of a value takes beside it."""


class Place(NamedTuple):
    """Where a value is."""

    private: bool
    kind: str
    key: str


class Room:
    """What the values may take that are kept in memory: those of a store, or of several in a process together."""

    def __init__(self, bytes_max: int = RECENT_BYTES_MAX) -> None:
        self.bytes_max, self.taken_bytes = bytes_max, 0

    def is_short(self) -> bool:
        """Whether more is taken than there is."""
        return self.taken_bytes > self.bytes_max


class Values:
    """The values of a store that its decisions stand on. Not for several threads.

    Of several that keep theirs in one `room`, who keeps more when it is full lets go of its own.
    """

    def __init__(self, reader: Connection, room: Room | None = None) -> None:
        self._reader, self._room = reader, room or Room()
        self._staged: dict[Place, tuple[int, bytes | None]] = {}
        """What isn't on disk yet, with the ticket of its transaction."""
        self._recent: dict[Place, bytes | None] = {}
        """What is on disk, the last used at the end."""
        self._recent_bytes = 0

    def get(self, place: Place) -> bytes | None:
        """The value at a place, with staged changes; None if there is none."""
        staged = self._staged.get(place)
        if staged is not None:
            return staged[1]
        if place in self._recent:
            return self._recent[place]
        row = self._reader.execute(
            f"SELECT value FROM {_table(place.private)} WHERE kind = ? AND key = ?", (place.kind, place.key)
        ).fetchone()
        value = None if row is None else cast(bytes | None, row[0])
        self._keep(place, value)
        return value

    def scan(self, private: bool, kind: str, prefix: str) -> list[tuple[str, bytes]]:
        """All (key, value) of a kind whose key begins with `prefix`, in key order, with staged changes."""
        found: dict[str, bytes] = dict(
            self._reader.execute(
                f"SELECT key, value FROM {_table(private)} "
                "WHERE kind = ? AND key >= ? AND key < ? AND value IS NOT NULL ORDER BY key",
                (kind, prefix, prefix + "\U0010ffff"),
            )
        )
        keys = list(found)
        for place, (_, value) in self._staged.items():
            if place.private is private and place.kind == kind and place.key.startswith(prefix):
                if value is None:
                    found.pop(place.key, None)
                else:
                    if place.key not in found:
                        insort(keys, place.key)
                    found[place.key] = value
        return [(key, found[key]) for key in keys if key in found]

    def stage(self, place: Place, value: bytes | None, ticket: int) -> None:
        """Takes a change that is to become durable with the transaction of `ticket`."""
        self._staged[place] = ticket, value

    def landed(self, values: Mapping[Place, bytes | None], ticket: int) -> None:
        """All that was staged up to `ticket` is on disk: of each place, the value that was staged last."""
        for place, value in values.items():
            if place in self._staged and self._staged[place][0] <= ticket:
                del self._staged[place]
                self._keep(place, value)

    def _keep(self, place: Place, value: bytes | None) -> None:
        recent = self._recent
        if place in recent:
            self._take(-_size(recent.pop(place)))
        recent[place] = value
        self._take(_size(value))
        while self._room.is_short() and self._recent_bytes > RECENT_BYTES_MIN:
            self._take(-_size(recent.pop(next(iter(recent)))))

    def _take(self, size_bytes: int) -> None:
        self._recent_bytes += size_bytes
        self._room.taken_bytes += size_bytes


def _size(value: bytes | None) -> int:
    return RECENT_OVERHEAD_BYTES + (0 if value is None else len(value))


def _table(private: bool) -> str:
    return "private" if private else "rows"
