"""Backups in memory, for tests and the simulation."""

from freehold.drivers.backup.checks import absent, checked, held_elsewhere, not_held, out_of_order, there_already
from freehold.vocabulary.errors import FreeholdError


class Shelf:
    """What outlives the processes that write: segments by store and number, and who holds a store.

    `failing`, while it is set, is what every write raises.
    """

    def __init__(self) -> None:
        self.segments: dict[str, dict[int, bytes]] = {}
        self.holders: dict[str, SimulatedBackups] = {}
        self.failing: FreeholdError | None = None


class SimulatedBackups:
    """See Backups. Each process has its own, over one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def stores(self) -> list[str]:
        """See Backups."""
        return sorted(store for store, segments in self._shelf.segments.items() if segments)

    async def hold(self, store: str) -> None:
        """See Backups."""
        if self._shelf.holders.setdefault(checked(store), self) is not self:
            raise held_elsewhere(store)

    async def numbers(self, store: str) -> list[int]:
        """See Backups."""
        return sorted(self._shelf.segments.get(checked(store), {}))

    async def write(self, store: str, number: int, content: bytes) -> None:
        """See Backups."""
        self._check_held(store)
        if self._shelf.failing is not None:
            raise self._shelf.failing
        if number in self._shelf.segments.setdefault(store, {}):
            raise there_already(store, number)
        if number > 1 and number - 1 not in self._shelf.segments[store]:
            raise out_of_order(store, number)
        self._shelf.segments[store][number] = content

    async def read(self, store: str, number: int) -> bytes:
        """See Backups."""
        content = self._shelf.segments.get(checked(store), {}).get(number)
        if content is None:
            raise absent(store, number)
        return content

    async def delete(self, store: str, number: int) -> None:
        """See Backups."""
        self._check_held(store)
        self._shelf.segments.get(store, {}).pop(number, None)

    async def close(self) -> None:
        """See Backups."""
        self.abandon()

    def abandon(self) -> None:
        """What the operating system does when the process dies."""
        for store in [store for store, holder in self._shelf.holders.items() if holder is self]:
            del self._shelf.holders[store]

    def _check_held(self, store: str) -> None:
        if self._shelf.holders.get(checked(store)) is not self:
            raise not_held(store)
