"""What a volume worker remembers: volumes, snapshots, what it refused, and its pool, written with each claim.

What the pool has promised has no ledger of its own: it is the sum over the records, kept in step with each change.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.volume import Pool, Snapshot, Source, SourceKind, Volume, VolumeRefusal, VolumeState

ENDED_ATTACHMENT = "ended_attachment"
"""Private kind: when an attachment ended. Key: its id."""


class Records:
    """The typed rows of a volume worker's store."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store, self._now = store, now
        self._volumes = {volume.id: volume for volume in store.scan(Volume)}
        self._snapshots = {snapshot.id: snapshot for snapshot in store.scan(Snapshot)}
        self._of_volume: dict[str, dict[str, None]] = {}
        self._promised_gib = sum(map(promised_gib, self._volumes.values()))
        self._promised_gib += sum(map(promised_gib, self._snapshots.values()))
        for snapshot in self._snapshots.values():
            self._of_volume.setdefault(snapshot.volume, {})[snapshot.id] = None

    # --- reading -------------------------------------------------------------------------------------------------

    def pool(self) -> Pool | None:
        """The pool; None before it was looked at for the first time."""
        return self._store.read_as(Pool, self._store.id)

    def volume(self, volume: str) -> Volume | None:
        """A volume."""
        return self._volumes.get(volume)

    def volumes(self) -> list[Volume]:
        """All of them."""
        return list(self._volumes.values())

    def snapshot(self, snapshot: str) -> Snapshot | None:
        """A snapshot."""
        return self._snapshots.get(snapshot)

    def snapshots(self) -> list[Snapshot]:
        """All of them."""
        return list(self._snapshots.values())

    def snapshots_of(self, volume: str) -> list[Snapshot]:
        """Those of a volume, in the order in which they were asked for."""
        return [self._snapshots[snapshot] for snapshot in self._of_volume.get(volume, ())]

    def source(self, source: Source | None) -> Volume | Snapshot | None:
        """What of this pool a volume is to be a copy of."""
        if source is None or source.kind is SourceKind.IMAGE:
            return None
        return self.volume(source.id) if source.kind is SourceKind.VOLUME else self.snapshot(source.id)

    def copies_of(self, kind: SourceKind, identifier: str) -> int:
        """How many volumes are being made as copies of something."""
        source = Source(kind=kind, id=identifier)
        return sum(one.state is VolumeState.CREATING and one.spec.source == source for one in self._volumes.values())

    def images_wanted(self) -> frozenset[str]:
        """Those of which a copy is being made."""
        making = (one.spec.source for one in self._volumes.values() if one.state is VolumeState.CREATING)
        return frozenset(source.id for source in making if source is not None and source.kind is SourceKind.IMAGE)

    def refusal(self, identifier: str) -> VolumeRefusal | None:
        """What was refused of a volume or a snapshot."""
        return self._store.read_as(VolumeRefusal, identifier)

    def refusals(self) -> list[VolumeRefusal]:
        """All that were."""
        return self._store.scan(VolumeRefusal)

    # --- writing -------------------------------------------------------------------------------------------------

    def keep_pool(self, pool: Pool, cause: str) -> Position:
        """Writes the pool, with what it has promised as it is."""
        return self._store.stage([self._pool_change(pool)], cause)

    def keep(self, record: Volume | Snapshot, cause: str, more: Iterable[Change] = ()) -> Position:
        """Writes a volume or a snapshot, and what the pool has promised with it, in one transaction."""
        self._count(record.id, record)
        return self._store.stage([put(record.id, record), *self._pool_changes(), *more], cause)

    def end(self, record: Volume | Snapshot, refusal: VolumeRefusal, cause: str) -> Position:
        """A volume or a snapshot is gone, or was never made."""
        kind = "volume" if isinstance(record, Volume) else "snapshot"
        self._count(record.id, None)
        return self._store.stage([drop(kind, record.id), put(record.id, refusal), *self._pool_changes()], cause)

    def end_attachments(self, volume: Volume, ended: Iterable[str], cause: str) -> Position:
        """Writes a volume that some guests have no more: none of these attachments is made again."""
        return self.keep(volume, cause, map(self._mark_ended, ended))

    def refuse_attachment(self, attachment: str) -> None:
        """Writes that an attachment isn't made."""
        self._store.stage([self._mark_ended(attachment)], "refused")

    def _mark_ended(self, attachment: str) -> Change:
        return keep_private(ENDED_ATTACHMENT, attachment, encode(self._now()))

    def attachment_has_ended(self, attachment: str) -> bool:
        """Whether an attachment was here and has ended, as far back as is kept."""
        return self._store.read_private(ENDED_ATTACHMENT, attachment) is not None

    def refuse(self, refusal: VolumeRefusal) -> Position:
        """Writes a refusal."""
        return self._store.stage([put(refusal.id, refusal)], refusal.urn)

    def forget_refusals(self, before: int) -> None:
        """Lets go of what was refused, and of the attachments that ended, before a clock time."""
        old = [drop("volume_refusal", one.id) for one in self.refusals() if one.time < before]
        ended = self._store.scan_private(ENDED_ATTACHMENT)
        old += [keep_private(ENDED_ATTACHMENT, one, None) for one, time in ended if decode(time, int) < before]
        if old:
            self._store.stage(old, "horizon")

    async def durable(self) -> None:
        """Waits until all that was staged is on disk."""
        await self._store.durable()

    def done(self, key: str) -> Done:
        """The answer to a question, when all that was staged for it is on disk."""
        return Done(store=self._store.id, position=self._store.position(), key=key)

    def _count(self, identifier: str, record: Volume | Snapshot | None) -> None:
        before = self._volumes.pop(identifier, None) or self._snapshots.pop(identifier, None)
        self._promised_gib -= 0 if before is None else promised_gib(before)
        self._promised_gib += 0 if record is None else promised_gib(record)
        if isinstance(before, Snapshot) and record is None:
            del self._of_volume[before.volume][identifier]
        if isinstance(record, Volume):
            self._volumes[identifier] = record
        elif isinstance(record, Snapshot):
            self._snapshots[identifier] = record
            self._of_volume.setdefault(record.volume, {})[identifier] = None

    def _pool_changes(self) -> list[Change]:
        pool = self.pool()
        return [] if pool is None else [self._pool_change(pool)]

    def _pool_change(self, pool: Pool) -> Change:
        counts = {"volumes": len(self._volumes), "snapshots": len(self._snapshots)}
        return put(pool.id, replace(pool, used_gib=self._promised_gib, updated=self._now(), **counts))


def promised_gib(record: Volume | Snapshot) -> int:
    """What has been promised with a record: a snapshot can come to hold as much as its volume had."""
    if isinstance(record, Volume):
        return max(record.spec.size_gib, record.grows_to_gib)
    return record.size_gib
