"""Where guests are, by the deeds that the registrar's shards have recorded, and which hosts the members of a server
group have. All of it is in the scheduler's file: a region has more guests than a process should have objects.

    placed    guest              -> Placed
    told      shard's store guest  -> nothing
    members   group guest        -> nothing
"""

from collections.abc import Collection
from itertools import takewhile
from typing import Final, NamedTuple

from freehold.views.mapped import Kept
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.request import Admission

TABLES: Final = ("placed", "told", "members")
_END: Final = "\0"
"""Of the first part of a key."""


class Placed(NamedTuple):
    """A guest's highest deed, told by the registrar whose store is `told_by`. `holds`: no host has refused it."""

    deed: Deed
    group: str
    holds: bool
    told_by: str


class Placements:
    """Each guest is told of by one registrar shard."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def deed(self, guest: str) -> Deed | None:
        """The guest's highest deed."""
        placed = self._placed(guest)
        return None if placed is None else placed.deed

    def group_hosts(self, group: str, but: str = "") -> tuple[str, ...]:
        """The hosts that have, or may yet have, members of a server group other than the guest `but`."""
        if not group:
            return ()
        guests = [guest for guest, _ in self._kept.under("members", group + _END) if guest != but]
        members = [placed for guest in guests if (placed := self._placed(guest)) is not None]
        return tuple(sorted({member.deed.host for member in members if member.holds}))

    def learn(self, guest: str, admission: Admission | None, told_by: str) -> None:
        """Takes what a shard has written of a guest; None: it is gone."""
        before, now = self._placed(guest), _placed_by(admission, told_by)
        if before == now:
            return
        if before is not None:
            self._forget(guest, before)
        if now is not None:
            self._kept.put("placed", guest, encode(now))
            self._kept.put("told", told_by + _END + guest)
            if now.group:
                self._kept.put("members", now.group + _END + guest)

    def keep_only(self, told_by: str, guests: Collection[str], after: str, upto: str) -> None:
        """Forgets what a shard once told of other guests than these, of those after one and up to another: its complete
        state hasn't them.
        """
        told = takewhile(lambda one: one[0] <= upto, self._kept.under("told", told_by + _END, after))
        for guest in [guest for guest, _ in told if guest not in guests]:
            placed = self._placed(guest)
            if placed is not None:
                self._forget(guest, placed)

    def _placed(self, guest: str) -> Placed | None:
        kept = self._kept.get("placed", guest)
        return None if kept is None else decode(kept, Placed)

    def _forget(self, guest: str, placed: Placed) -> None:
        self._kept.drop("placed", guest)
        self._kept.drop("told", placed.told_by + _END + guest)
        if placed.group:
            self._kept.drop("members", placed.group + _END + guest)


def _placed_by(admission: Admission | None, told_by: str) -> Placed | None:
    if admission is None or admission.deed is None:
        return None
    holds = admission.live_deed() is not None
    return Placed(admission.deed, admission.spec.server_group, holds, told_by)
