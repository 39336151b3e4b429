"""The ledger's rows of volumes and snapshots, with the sums that quotas need: they are taken from the admissions."""

from collections import Counter
from collections.abc import Iterable

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.tenant import Resource
from freehold.vocabulary.volume_request import VolumeAdmission
from freehold.workers.refused import RefusedRequests
from freehold.workers.registrar.volumes import lifecycle
from freehold.workers.registrar.volumes.lifecycle import Stray

ENDED = "ended_volume"
"""Private kind: when a volume or a snapshot that was here ended. Key: its id."""
IMAGE_OWNER = "volume_image_owner"
"""Private kind: the store of the image worker that has the image of a volume that isn't made yet. Key: the volume."""
STRAY = "stray_volume"
"""Private kind, store/id: what a pool has that isn't to be there. Its value: Stray."""
POSITION = "volume_position"
"""Private kind: where each volume worker was last read to. Key: its store."""


class Records:
    """See the module."""

    def __init__(self, store: Store) -> None:
        self.store, self.refused = store, RefusedRequests(store)
        self._used: dict[str, Counter[Resource]] = {}
        self._at: dict[str, dict[str, None]] = {}
        """By store: what was sent there last."""
        for admission in store.scan(VolumeAdmission):
            self._count(None, admission)

    def admission(self, identifier: str) -> VolumeAdmission | None:
        """The admission of a volume or a snapshot; None if there is none."""
        return self.store.read_as(VolumeAdmission, identifier)

    def admissions(self) -> list[VolumeAdmission]:
        """All of them."""
        return self.store.scan(VolumeAdmission)

    def at(self, store: str) -> list[VolumeAdmission]:
        """Those that were sent to a pool last."""
        found = (self.admission(identifier) for identifier in sorted(self._at.get(store, ())))
        return [admission for admission in found if admission is not None]

    def used(self, project: str) -> Counter[Resource]:
        """What a project's volumes and snapshots take."""
        return self._used.get(project, Counter())

    def image_owner(self, volume: str) -> str:
        """Who has the image that a volume is to be a copy of; empty if nobody is known."""
        return (self.store.read_private(IMAGE_OWNER, volume) or b"").decode()

    def asked_before(self, project: str, key: str) -> tuple[str, str] | None:
        """What a client's key was used for: the digest of the body, and what was admitted."""
        value = self.store.read_private("volume_idempotency", f"{project}/{key}")
        return None if value is None else decode(value, tuple[str, str])

    def has_ended(self, identifier: str) -> bool:
        """Whether something was here and is gone, as far back as is kept."""
        return self.store.read_private(ENDED, identifier) is not None

    def strays(self) -> list[tuple[str, str]]:
        """Pools, and what each has that isn't to be there."""
        return [(key.partition("/")[0], key.partition("/")[2]) for key, _ in self.store.scan_private(STRAY)]

    def stray(self, store: str, identifier: str) -> Stray | None:
        """What a pool has of it that isn't to be there; None if it has nothing."""
        value = self.store.read_private(STRAY, f"{store}/{identifier}")
        return None if value is None else decode(value, Stray)

    def positions(self) -> dict[str, Position]:
        """Where each volume worker was last read to."""
        return {store: decode(value, Position) for store, value in self.store.scan_private(POSITION)}

    # --- writing -------------------------------------------------------------------------------------------------

    def admit(self, admission: VolumeAdmission, image_owner: str, key: str, body_digest: str) -> Position:
        """An admission and the client's key, in one transaction."""
        self._count(None, admission)
        changes = [put(admission.id, admission)]
        if image_owner:
            changes.append(keep_private(IMAGE_OWNER, admission.id, image_owner.encode()))
        if key:
            used_for = encode((body_digest, admission.id))
            changes.append(keep_private("volume_idempotency", f"{admission.project}/{key}", used_for))
        return self.store.stage(changes, admission.urn)

    def moved(
        self, before: VolumeAdmission, after: VolumeAdmission | None, cause: str, now: int, more: Iterable[Change] = ()
    ) -> Position:
        """An admission's next state; None: it is gone."""
        self._count(before, after)
        changes = list(more)
        if after is None:
            changes += [drop("volume_admission", before.id), keep_private(ENDED, before.id, encode(now))]
            changes.append(keep_private(IMAGE_OWNER, before.id, None))
        else:
            changes.append(put(after.id, after))
            if not lifecycle.is_unfinished(after):
                changes.append(keep_private(IMAGE_OWNER, after.id, None))
        return self.store.stage(changes, cause)

    def adopt(self, admission: VolumeAdmission) -> None:
        """Takes in an admission that this store has lost."""
        self._count(None, admission)
        self.store.stage([put(admission.id, admission)], "adopted")

    def keep_stray(self, store: str, identifier: str, made: Stray | None) -> None:
        """A pool has something that isn't to be there; None: it has refused it for good."""
        value = None if made is None else encode(made)
        self.store.stage([keep_private(STRAY, f"{store}/{identifier}", value)], "stray")

    def keep_position(self, store: str, position: Position) -> Change:
        """Where a volume worker was read to."""
        return keep_private(POSITION, store, encode(position))

    def forget_ended(self, before: int) -> None:
        """Lets go of what ended before a clock time."""
        old = [key for key, time in self.store.scan_private(ENDED) if decode(time, int) < before]
        if old:
            self.store.stage([keep_private(ENDED, key, None) for key in old], "horizon")

    def _count(self, before: VolumeAdmission | None, after: VolumeAdmission | None) -> None:
        for admission, sign in ((before, -1), (after, 1)):
            if admission is None:
                continue
            used = self._used.setdefault(admission.project, Counter())
            for resource, amount in lifecycle.wanted(admission).items():
                used[resource] += sign * amount
            if admission.place is not None and sign < 0:
                self._at.get(admission.place.store, {}).pop(admission.id, None)
            elif admission.place is not None:
                self._at.setdefault(admission.place.store, {})[admission.id] = None
