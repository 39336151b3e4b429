"""What readers ask of a view, be it of now or of a moment that is over.

Records come as their owners told them, under the highest deed; nothing here writes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from freehold.views.cursor import Place
from freehold.views.fragments import Fragments
from freehold.views.news import Newsroom
from freehold.vocabulary.envelope import BackupLag, Done, Owner, Position
from freehold.vocabulary.request import Admitted
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

SILENT_S: Final = 15.0
"""An owner that wasn't heard for this long (three heartbeats) isn't taken to be there."""


class OwnerSeen(Word, frozen=True, kw_only=True):
    """An owner as a view knows it."""

    owner: Owner
    name: str
    position: Position
    age_s: float | None
    """Seconds since it was last heard; None if not since this process began."""
    silent_s: float = 0.0
    """Seconds since it was last heard, or since this process began."""
    horizon: int = 0
    """The clock time of the oldest state that it can be asked for, as it last said."""
    backup: BackupLag | None = None
    """How far its backup is behind, as it last said."""
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    """How many of its records were refused since this process began, by reason (`believed`)."""
    contradictions: dict[str, int] = msgspec.field(default_factory=dict)
    """Of a host: what it tells that can't be (`audit`)."""

    @property
    def is_heard(self) -> bool:
        """Whether it was heard lately."""
        return self.age_s is not None and self.age_s < SILENT_S


class View(Protocol):
    """See the module."""

    @property
    def fragments(self) -> Fragments:
        """What was made of servers for those who read them."""

    def get(self, shape: type[R], key: str) -> R | None:
        """One record; None if there is none."""

    def list(
        self, shape: type[R], project: str | None = None, *, after: str = "", newest_first: bool = True
    ) -> Iterator[R]:
        """Records in order of creation within the project; of all projects (by project, then creation) for None.

        `after` is the key of a marker, which isn't included. Raises NotFound if the marker isn't there.
        """

    def keys(self, shape: type[Word], project: str, *, after: str, limit: int, newest_first: bool) -> Sequence[str]:
        """The keys of so many of a project's records, in the same order. Raises NotFound as well."""

    def keyed(self, shape: type[R], prefix: str) -> Iterator[R]:
        """Records whose key begins with `prefix`, in key order."""

    def owner(self, shape: type[Word], key: str) -> str:
        """The store of the owner that a record is shown from; empty if there is no such record."""

    def learned(self, shape: type[R], key: str) -> int:
        """The clock time at which it learned of what a record shows; 0 if there is no such record."""

    def owners(self) -> Sequence[OwnerSeen]:
        """Every owner it knows, by role and name."""

    def owner_seen(self, store: str) -> OwnerSeen | None:
        """One of the owners; None for one that it doesn't know."""

    def known_until(self, roles: Sequence[str]) -> int:
        """A clock time: it has everything that the known owners of `roles` had written until then."""

    news: Newsroom
    """Who waits for what it learns."""

    def action_of(self, urn: str) -> str:
        """The key of the action that a host did by a request; empty if none is known."""

    def place(self, store: str) -> Place | None:
        """Where it stands in an owner's log; None for one that it doesn't know."""

    def owners_of(self, role: str, cluster: str = "") -> Sequence[str]:
        """The stores of the owners of a role, of one cluster if it is named."""

    async def seen(self, done: Done | Admitted) -> None:
        """Waits until it has a write, but not for ever."""

    async def fresh(
        self, roles: Sequence[str], shards: Iterable[int] = (IDENTITY_SHARD,), hosts: Iterable[str] | None = None
    ) -> None:
        """Makes sure that it has what the owners of `roles`, of the registrar those of `shards` and of hosts and volume
        workers those of `hosts` (all, if it is None), had written when this was called.

        Raises Unavailable if it can't be made sure.
        """
