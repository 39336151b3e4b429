"""A decision while it is made: what is, the time and the chance it was given, and what it has changed so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from freehold.vocabulary.errors import BadRequest, QuotaExceeded
from freehold.vocabulary.ids import is_uuid, uuid_text
from freehold.vocabulary.network import SecurityGroup
from freehold.vocabulary.word import Word
from freehold.workers.network.holdings import Change, Gone, Holdings, name_of

MTU_OVERLAY: Final = 1450
"""What VXLAN leaves of an Ethernet frame of 1500 bytes."""

Dice = Callable[[int], bytes]
"""So many random bytes."""


@dataclass(slots=True)
class Draft:
    """Rules read `holdings` and write here only; a decision that raises leaves nothing behind."""

    holdings: Holdings
    now: int
    """Clock time."""
    dice: Dice
    changes: list[Change] = field(default_factory=list)
    addresses: dict[str, set[int]] = field(default_factory=dict)
    """Subnet -> addresses taken in this decision."""
    macs: set[str] = field(default_factory=set)
    overlay_mtu: int = MTU_OVERLAY
    """The largest that a network of the cluster's own can have."""

    def put(self, record: Word) -> None:
        """Makes or replaces a record."""
        self.changes.append(record)

    def drop(self, kind: str, key: str) -> None:
        """Deletes a record."""
        self.changes.append(Gone(kind, key))

    def new_id(self, wanted: str = "") -> str:
        """`wanted`, which must be a UUID, or a new one where nothing is wanted."""
        if not wanted:
            return uuid_text(self.dice(16))
        if not is_uuid(wanted):
            raise BadRequest(f"'{wanted}' is not a UUID.")
        return wanted

    def default_group(self, project: str) -> str | None:
        """The id of the project's default group, made before or in this decision."""
        for change in self.changes:
            if isinstance(change, SecurityGroup) and change.project == project and change.name == "default":
                return change.id
        return self.holdings.default_groups.get(project)

    def within_quota(self, kind: str, project: str, more: int = 1) -> None:
        """Raises QuotaExceeded if the project may not have `more` of `kind` than it has with this decision so far."""
        limit: int = getattr(self.holdings.quota(project), kind + "s")
        used = self.holdings.count(kind, project) + self._made(kind, project)
        if limit >= 0 and more > 0 and used + more > limit:
            raise QuotaExceeded(
                f"The project has {used} of {limit} {kind.replace('_', ' ')}s; its quota doesn't allow {more} more."
            )

    def _made(self, kind: str, project: str) -> int:
        names = {
            name_of(change)
            for change in self.changes
            if not isinstance(change, Gone) and getattr(change, "project", None) == project
        }
        return sum(name.kind == kind and not self.holdings.has(name) for name in names)
