"""The scheduler's view of the pools of volumes: few enough to be looked at one by one."""

from collections.abc import Iterable, Sequence
from typing import Final

from freehold.runtime.chance import Chance
from freehold.runtime.clock import HybridClock
from freehold.vocabulary.codec import decode_told
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.volume import Pool
from freehold.vocabulary.volume_request import ChoosePool

SILENT_AFTER_PERIODS: Final = 3


class Pools:
    """Also the `Sink` that follows volume workers: it keeps nothing on disk, and learns all anew after a start."""

    def __init__(self, clock: HybridClock, chance: Chance) -> None:
        self._clock, self._chance = clock, chance
        self._pools: dict[str, Pool] = {}
        self._heard_until_s: dict[str, float] = {}

    def choose(self, asked: ChoosePool) -> Pool:
        """The pool with the most room of those that may take a volume; of equal ones, any. Raises NoRoom, saying what
        was wanted and what there is.
        """
        fit = [pool for pool in self._pools.values() if self._takes(pool, asked)]
        most = max((pool.free_gib() for pool in fit), default=-1)
        if most < asked.size_gib:
            raise NoRoom(self._why_none(asked))
        best = sorted((pool for pool in fit if pool.free_gib() == most), key=lambda pool: pool.id)
        return best[int.from_bytes(self._chance.bytes(4), "big") % len(best)]

    def _takes(self, pool: Pool, asked: ChoosePool) -> bool:
        if pool.closed or pool.id in asked.refused or asked.zone not in ("", pool.cluster):
            return False
        if pool.types and asked.type_name not in pool.types:
            return False
        return self._heard_until_s.get(pool.id, 0.0) > self._clock.clock.monotonic_s()

    def _why_none(self, asked: ChoosePool) -> str:
        text = f"No pool has room for a volume of {asked.size_gib} GiB"
        text += f" of type {asked.type_name}" if asked.type_name else ""
        text += f" in availability zone {asked.zone}" if asked.zone else ""
        text += f": there are {len(self._pools)}"
        text += f", {len(asked.refused)} of which refused it" if asked.refused else ""
        return f"{text}. Delete volumes, choose another type or zone, or ask the operator for room."

    # --- what is heard ---
    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return {}

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        self._take((entry.kind, entry.key, entry.value) for entry in entries)

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink."""
        self._pools.pop(owner.store, None)
        self._take((row.kind, row.key, row.value) for row in rows)

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        self._clock.heard(heartbeat.time)
        patience_s = SILENT_AFTER_PERIODS * heartbeat.period_s
        self._heard_until_s[heartbeat.owner.store] = self._clock.clock.monotonic_s() + patience_s

    def _take(self, news: Iterable[tuple[str, str, bytes | None]]) -> None:
        for kind, key, value in news:
            if kind == "volume_pool" and value is None:
                self._pools.pop(key, None)
            elif kind == "volume_pool" and value is not None:
                self._pools[key] = decode_told(value, Pool)
