"""What was made of servers for those who read them, kept until something changes that it shows.

A page of a thousand servers is joined from what was made of each when it was shown last. A server is its admission, its
guest, what is done to it, its ports, and the security groups of its project; what else is shown of one isn't kept.
"""

from collections.abc import Hashable
from typing import Final

from freehold.vocabulary.codec import decode_told
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.network import Port, SecurityGroup

BYTES_MAX: Final = 64 * 1024 * 1024
OVERHEAD_BYTES: Final = 300
_OF_GUEST: Final = frozenset({"admission", "guest", "action", "refusal"})
"""Kinds whose key is the guest's, or begins with it."""


class Fragments:
    """Bytes by server and variant: for whom and in which shape they were made."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: dict[str, dict[Hashable, bytes]] = {}
        """By guest; the last used at the end."""
        self._of_project: dict[str, dict[str, None]] = {}
        self._project_of: dict[str, str] = {}
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def get(self, guest: str, variant: Hashable) -> bytes | None:
        """What was made of a server, if it is still so."""
        kept = self._kept.get(guest)
        return None if kept is None else kept.get(variant)

    def put(self, project: str, guest: str, variant: Hashable, fragment: bytes) -> None:
        """Keeps what was made of a server just now, and lets go of what was made first if that is too much."""
        kept = self._kept.setdefault(guest, {})
        self._bytes += _size(fragment) - (_size(kept[variant]) if variant in kept else 0)
        kept[variant] = fragment
        self._project_of[guest] = project
        self._of_project.setdefault(project, {})[guest] = None
        while self._bytes > self._bytes_max:
            self.drop(next(iter(self._kept)))

    def drop(self, guest: str) -> None:
        """A server isn't as it was any more."""
        kept = self._kept.pop(guest, None)
        if kept is None:
            return
        self._bytes -= sum(map(_size, kept.values()))
        project = self._project_of.pop(guest)
        guests = self._of_project[project]
        del guests[guest]
        if not guests:
            del self._of_project[project]

    def clear(self) -> None:
        """Nothing is sure to be as it was."""
        self._kept.clear()
        self._of_project.clear()
        self._project_of.clear()
        self._bytes = 0

    def changed(self, entry: Entry, before: bytes | None) -> None:
        """An entry is taken in; `before`: what stood under its key."""
        if entry.kind in _OF_GUEST:
            self.drop(entry.key.partition("/")[0])
        elif entry.kind == "port":
            for value in filter(None, (before, entry.value)):
                self.drop(decode_told(value, Port).device)
        elif entry.kind == "security_group":
            for value in filter(None, (before, entry.value)):
                for guest in tuple(self._of_project.get(decode_told(value, SecurityGroup).project, ())):
                    self.drop(guest)


def _size(fragment: bytes) -> int:
    return OVERHEAD_BYTES + len(fragment)
