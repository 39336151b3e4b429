"""What volume workers say of volumes and snapshots: the evidence that moves the ledger on."""

from collections.abc import Iterable, Sequence

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.codec import decode_told
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.shards import Shards
from freehold.vocabulary.volume import Snapshot, Volume, VolumeRefusal
from freehold.workers.registrar.volumes import lifecycle
from freehold.workers.registrar.volumes.reconciler import Reconciler
from freehold.workers.registrar.volumes.records import Records

_log = logger("registrar")

_TOLD = ("volume", "snapshot", "volume_refusal")


class OwnerSink:
    """Follows volume workers. What moves the ledger is kept together with the position it was read at."""

    def __init__(self, records: Records, clock: HybridClock, reconciler: Reconciler, shards: Shards) -> None:
        self._records, self._clock = records, clock
        self._reconciler, self._shards = reconciler, shards

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return self._records.positions()

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink. The position is kept with what it led to; entries that led to nothing may come again."""
        self._take(owner, position, ((entry.kind, entry.value) for entry in entries))

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink. What its owner should have and doesn't show is sent there again."""
        shown = {row.key for row in rows if row.kind in _TOLD}
        now, is_moved = self._clock.now(), False
        for admission in self._records.at(owner.store):
            after = admission if admission.id in shown else lifecycle.lost(admission, now)
            if after is not admission:
                _log.error("an owner has lost its record of a volume; it is sent there again", volume=admission.id)
                self._records.moved(admission, after, "lost", now)
                self._reconciler.wake(admission.id)
                is_moved = True
        self._take(owner, position, ((row.kind, row.value) for row in rows), is_moved=is_moved)

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        self._clock.heard(heartbeat.time)

    def _take(
        self, owner: Owner, position: Position, news: Iterable[tuple[str, bytes | None]], *, is_moved: bool = False
    ) -> None:
        for kind, value in news:
            if value is None or kind not in _TOLD:
                continue
            if kind == "volume_refusal":
                is_moved |= self._refusal_seen(decode_told(value, VolumeRefusal), owner.store)
            elif kind == "snapshot":
                is_moved |= self._seen(decode_told(value, Snapshot), owner.store)
            else:
                is_moved |= self._seen(decode_told(value, Volume), owner.store)
        if is_moved:
            self._records.store.stage([self._records.keep_position(owner.store, position)], "news")

    def _seen(self, record: Volume | Snapshot, store: str) -> bool:
        admission, now = self._records.admission(record.id), self._clock.now()
        if admission is None:
            return self._adopt(record, store, now)
        if lifecycle.is_stray(admission, record):
            return self._stray(record, store)
        after = lifecycle.seen(admission, record, now)
        if after is admission:
            return False
        refused = lifecycle.growth_refused(admission, record)
        more = [] if refused is None else [self._records.refused.change(admission.grow_urn, refused, now)]
        self._records.moved(admission, after, record.urn, now, more)
        return True

    def _adopt(self, record: Volume | Snapshot, store: str, now: int) -> bool:
        if record.store != store or self._shards.of(record.project) != self._records.store.owner.shard:
            return False
        if self._records.has_ended(record.id):
            return self._stray(record, store)
        _log.error("an owner has a volume that this ledger hasn't", volume=record.id)
        self._records.adopt(lifecycle.adopted(record, now))
        self._reconciler.wake(record.id)
        return True

    def _stray(self, record: Volume | Snapshot, store: str) -> bool:
        """Its store was put back to an old copy: what had ended is there again, or its request came there again after
        the refusal of it was lost. Nobody is shown it.
        """
        if record.store != store or self._records.stray(store, record.id):
            return False
        _log.error("a pool has a volume that it shouldn't have; it is removed there", volume=record.id, store=store)
        self._records.keep_stray(store, record.id, lifecycle.stray(record))
        self._reconciler.wake(f"{store}/{record.id}")
        return True

    def _refusal_seen(self, refusal: VolumeRefusal, store: str) -> bool:
        admission, now = self._records.admission(refusal.id), self._clock.now()
        if refusal.deleted and self._records.stray(store, refusal.id) is not None:
            self._records.keep_stray(store, refusal.id, None)
            return True
        if admission is None:
            return False
        after = lifecycle.refusal_seen(admission, refusal, store, now)
        if after is admission:
            return False
        self._records.moved(admission, after, refusal.urn, now)
        self._reconciler.wake(refusal.id)
        return True
