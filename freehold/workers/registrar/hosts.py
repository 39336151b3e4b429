"""What hosts say of guests: the evidence that moves the ledger on."""

from collections.abc import Callable, Iterable, Sequence

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.store.database import keep_private
from freehold.vocabulary.codec import decode_told, encode
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.guest import Guest, Refusal
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.workers.registrar import lifecycle
from freehold.workers.registrar.reconciler import Reconciler
from freehold.workers.registrar.records import Records

_log = logger("registrar")


class HostSink:
    """Follows hosts. What moves the ledger is kept together with the position it was read at."""

    def __init__(
        self,
        records: Records,
        clock: HybridClock,
        reconciler: Reconciler,
        shards: Shards = ONE_SHARD,
        heard: Callable[[Owner], None] = lambda _owner: None,
    ) -> None:
        self._records, self._clock, self._reconciler = records, clock, reconciler
        self._shards, self._heard = shards, heard

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return self._records.positions()

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink. The position is kept with what it led to; entries that led to nothing may come again."""
        self._take(owner, position, ((entry.kind, entry.value) for entry in entries))

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink. What is absent is left alone: only a refusal on the host's disk ends a deed."""
        self._take(owner, position, ((row.kind, row.value) for row in rows))

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        self._clock.heard(heartbeat.time)
        self._heard(heartbeat.owner)

    def _take(self, owner: Owner, position: Position, news: Iterable[tuple[str, bytes | None]]) -> None:
        moved = False
        for kind, value in news:
            if value is not None and kind == "guest":
                moved |= self._guest_seen(decode_told(value, Guest), owner.store)
            elif value is not None and kind == "refusal":
                moved |= self._refusal_seen(decode_told(value, Refusal), owner.store)
        if moved:
            self._records.store.stage([keep_private("position", owner.store, encode(position))], "news")

    def _guest_seen(self, guest: Guest, host: str) -> bool:
        admission = self._records.admission(guest.id)
        if guest.host != host:  # a host speaks for itself alone
            return False
        now = self._clock.now()
        if admission is None:
            return self._adopt(guest, now)
        after = lifecycle.guest_seen(admission, guest, now)
        if after is admission:
            return False
        self._records.moved(admission, after, guest.urn, now)
        return True

    def _adopt(self, guest: Guest, now: int) -> bool:
        another_shards = self._shards.of(guest.project) != self._records.store.owner.shard
        if another_shards or self._records.has_ended(guest.id):
            return False
        _log.error("a host has a guest that this ledger has lost; it is taken in", guest=guest.id, host=guest.host)
        self._records.adopt(lifecycle.adopted(guest, now), guest.urn)
        return True

    def _refusal_seen(self, refusal: Refusal, host: str) -> bool:
        admission = self._records.admission(refusal.guest)
        if admission is None:
            return False
        now = self._clock.now()
        after = lifecycle.refusal_seen(admission, refusal, host, now)
        if after is admission:
            return False
        self._records.moved(admission, after, refusal.urn, now)
        self._reconciler.wake(refusal.guest)
        return True
