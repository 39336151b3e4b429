"""The newest entries of a log, kept in memory: an owner tells of each right after it is on disk."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

from freehold.vocabulary.envelope import Entry, Position

TAIL_ENTRIES: Final = 128


class Tail:
    """Durable entries that follow one another without a gap, the last of the log at the end."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=TAIL_ENTRIES)

    def add(self, entries: Iterable[Entry]) -> None:
        """These are on disk, and follow on the last."""
        self._entries.extend(entries)

    def clear(self) -> None:
        """The log has been shortened, or goes on under another name."""
        self._entries.clear()

    def since(self, position: Position, limit: int) -> tuple[Entry, ...] | None:
        """The entries after `position`, which is of this epoch; None if that can't be said from what is kept here."""
        if not self._entries:
            return None
        index = position.seq - self._entries[0].seq
        if not 0 <= index < len(self._entries) or self._entries[index].digest != position.digest:
            return None
        return tuple(islice(self._entries, index + 1, index + 1 + limit))
