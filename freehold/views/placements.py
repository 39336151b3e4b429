"""Where guests are, by the deeds that the registrar's shards have recorded, and which hosts the members of a server
group have.
"""

from collections.abc import Iterable
from typing import NamedTuple

from freehold.vocabulary.deed import Deed
from freehold.vocabulary.request import Admission


class Placed(NamedTuple):
    """A guest's highest deed, told by the registrar whose store is `told_by`. `holds`: no host has refused it."""

    deed: Deed
    group: str
    holds: bool
    told_by: str


class Placements:
    """Each guest is told of by one registrar shard."""

    def __init__(self) -> None:
        self._placed: dict[str, Placed] = {}
        self._members: dict[str, dict[str, None]] = {}

    def deed(self, guest: str) -> Deed | None:
        """The guest's highest deed."""
        placed = self._placed.get(guest)
        return None if placed is None else placed.deed

    def group_hosts(self, group: str, but: str = "") -> tuple[str, ...]:
        """The hosts that have, or may yet have, members of a server group other than the guest `but`."""
        members = [self._placed[guest] for guest in self._members.get(group, ()) if guest != but]
        return tuple(sorted({member.deed.host for member in members if member.holds}))

    def learn(self, guest: str, admission: Admission | None, told_by: str) -> None:
        """Takes what a shard has written of a guest; None: it is gone."""
        self._forget(guest)
        if admission is None or admission.deed is None:
            return
        group = admission.spec.server_group
        self._placed[guest] = Placed(admission.deed, group, admission.live_deed() is not None, told_by)
        if group:
            self._members.setdefault(group, {})[guest] = None

    def keep_only(self, told_by: str, guests: Iterable[str]) -> None:
        """Forgets what a shard once told of other guests than these: its complete state hasn't them."""
        known = frozenset(guests)
        for guest in [g for g, placed in self._placed.items() if placed.told_by == told_by and g not in known]:
            self._forget(guest)

    def _forget(self, guest: str) -> None:
        placed = self._placed.pop(guest, None)
        if placed is None or not placed.group:
            return
        members = self._members[placed.group]
        del members[guest]
        if not members:
            del self._members[placed.group]
