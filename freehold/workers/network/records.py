"""The network worker's own store: rows told to everyone, private rows, and all of it in memory for the rules."""

from collections.abc import Iterable
from typing import Final

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change as Row
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.network import Carrier, Network, NetworkQuota, Port, SecurityGroup, Subnet
from freehold.vocabulary.word import Word
from freehold.workers.network.holdings import Booking, Change, Gone, Holdings, Sight, name_of

_TOLD: Final[tuple[type[Word], ...]] = (Network, Subnet, SecurityGroup, NetworkQuota, Port, Carrier)
"""In the order in which they refer to one another."""

_PRIVATE: Final[dict[str, type[Word]]] = {"booking": Booking, "sight": Sight}
_POSITION: Final = "host_position"


class Records:
    """What is decided is staged here: rows, log and memory change together, and are durable together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.holdings = self.read()
        kept = {key: decode(value, Position) for key, value in store.scan_private(_POSITION)}
        heard = {carrier.host for carrier in self.holdings.carriers.values() if carrier.incarnation}
        self.positions = {key: kept[key] for key in kept if key in heard}
        """Where what is known of each host stands, by its store. If which incarnation of it was heard isn't known, as
        with an older release, it is read anew.
        """
        self._kept_positions = dict(self.positions)

    def read(self) -> Holdings:
        """Holdings built from the rows alone."""
        holdings = Holdings(self._store.owner.cluster)
        for shape in _TOLD:
            holdings.apply(self._store.scan(shape))
        for kind, private in _PRIVATE.items():
            holdings.apply(decode(value, private) for _, value in self._store.scan_private(kind))
        return holdings

    def refresh(self) -> bool:
        """Takes memory from the rows again where it differs from them. True if it did, which is a bug of ours."""
        fresh = self.read()
        if fresh.same_as(self.holdings):
            return False
        self.holdings = fresh
        return True

    def stage(self, changes: Iterable[Change], cause: str) -> Position:
        """Takes changes in as one transaction; gives the position at which they will be durable."""
        decided = tuple(changes)
        position = self._store.stage([_row(change) for change in decided], cause)
        self.holdings.apply(decided)
        return position

    def stage_heard(self, store: str, stands: Position, changes: Iterable[Change], cause: str) -> None:
        """Takes in what a host's entry at `stands` led to, with that position in the same transaction."""
        decided = tuple(changes)
        self.positions[store] = stands
        # An entry that changes nothing changes nothing when it is read again either: its position needs no write of
        # its own.
        if decided:
            self._store.stage([*(_row(change) for change in decided), self._position_row(store)], cause)
            self.holdings.apply(decided)

    def keep_positions(self) -> None:
        """Stages the positions that moved since they were last kept, so that a restart reads little again."""
        moved = [key for key, position in self.positions.items() if self._kept_positions.get(key) != position]
        if moved:
            self._store.stage([self._position_row(key) for key in moved], "positions")

    async def durable(self) -> None:
        """Waits until all that was staged is on disk. Raises Broken if the disk refused it: the worker must end."""
        await self._store.durable()

    def _position_row(self, store: str) -> Row:
        self._kept_positions[store] = self.positions[store]
        return keep_private(_POSITION, store, encode(self.positions[store]))


def _row(change: Change) -> Row:
    name = change if isinstance(change, Gone) else name_of(change)
    if name.kind in _PRIVATE:
        return keep_private(name.kind, name.key, None if isinstance(change, Gone) else encode(change))
    return drop(name.kind, name.key) if isinstance(change, Gone) else put(name.key, change)
