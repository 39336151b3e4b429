"""What the API room is handed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from freehold.bus.interface import Bus
from freehold.runtime.chance import Chance
from freehold.runtime.clock import HybridClock
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.request import Admitted
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)


class View(Protocol):
    """What the API reads: see `freehold/views/cloud.py`, whose `CloudView` is one."""

    def get(self, shape: type[R], key: str) -> R | None:
        """The record under `key`, if the view has it."""

    def list(
        self, shape: type[R], project: str | None = None, *, after: str = "", newest_first: bool = True
    ) -> Iterator[R]:
        """Records in order of creation, of one project or of all. Raises NotFound if there is no record `after`."""

    def keyed(self, shape: type[R], prefix: str) -> Iterator[R]:
        """Records whose key begins with `prefix`, in the order of keys."""

    async def seen(self, done: Done | Admitted, deadline_s: float = 5.0) -> None:
        """Waits until the view has that write."""

    async def fresh(self, roles: Sequence[str]) -> None:
        """Makes sure that the view has what the owners of `roles` had written when the question came."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud as its API sees it. `public_url`: where clients reach this API, without a slash at the end."""

    bus: Bus
    view: View
    clock: HybridClock
    chance: Chance
    public_url: str
    region: str = "RegionOne"
    cluster: str = "default"
    """The cluster that new networks belong to."""
