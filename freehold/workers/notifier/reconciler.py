"""Ends what is over: leases, wishes and held events; on a period, and when the process starts."""

from typing import Final

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.store.writing import Change
from freehold.vocabulary.units import unix_ms
from freehold.workers.notifier.lifecycle import LATE_S, Lease
from freehold.workers.notifier.queues import Queues
from freehold.workers.notifier.records import Records

LOOK_PERIOD_S: Final = 60.0
COMPACT_EVERY: Final = 60
"""Looks."""

_log = logger("notifier")


class Reconciler:
    """One look; who calls it decides when."""

    def __init__(self, records: Records, queues: Queues, clock: HybridClock) -> None:
        self._records, self._queues, self._clock = records, queues, clock
        self._ends_s: dict[str, tuple[int, float]] = {}
        """Until when each lease lasts on the clock that can't jump, and which `until` that was taken from."""
        self._looks = 0

    def is_over(self, lease: Lease) -> bool:
        """Whether a lease has run out. A wall clock that jumps ends none, and makes none longer than it was given."""
        now_s = self._clock.clock.monotonic_s()
        until, ends_s = self._ends_s.get(lease.id, (0, 0.0))
        if until != lease.until:
            left_s = (unix_ms(lease.until) - self._clock.clock.unix_ms()) / 1000
            ends_s = now_s + min(max(left_s, 0.0), lease.lease_s)
            self._ends_s[lease.id] = (lease.until, ends_s)
        return now_s >= ends_s

    async def look(self) -> None:
        """Ends what is over, and lets go of what is left of it."""
        changes: list[Change] = []
        for lease in [lease for lease in self._records.leases.values() if self.is_over(lease)]:
            changes += self._records.drop_lease(lease.id, self._queues.clear(lease.id))
            self._ends_s.pop(lease.id, None)
        horizon_ms = self._clock.clock.unix_ms() - int(LATE_S * 1000)
        for key, held in self._records.held_of("") if self._records.held else ():
            if unix_ms(held.time) < horizon_ms:
                _log.error("the ledger never gave a guest to who told of it", store=held.owner.store)
                changes += self._records.release(key)
        if self._looks % COMPACT_EVERY == 0:
            old = [guest for guest, time in self._records.all_gone().items() if unix_ms(time) < horizon_ms]
            changes += [self._records.keep_gone(guest, None) for guest in old]
        if changes:
            self._records.stage(changes, "reconcile")
        await self._records.durable()
        if self._looks % COMPACT_EVERY == 0:
            await self._records.compact()
        self._looks += 1
