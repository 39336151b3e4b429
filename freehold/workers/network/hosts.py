"""What the cluster's hosts say of themselves and of their guests: a sink that turns it into what hosts are told of one
another, and into the ends of leases.
"""

from collections.abc import Sequence
from typing import Final

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.codec import decode_told
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.guest import Guest, Refusal
from freehold.vocabulary.host import Host
from freehold.workers.network.adoption import adopt
from freehold.workers.network.carriers import hear_host
from freehold.workers.network.draft import Dice, Draft
from freehold.workers.network.lifecycle import hear_guest, hear_refusal
from freehold.workers.network.records import Records

_KINDS: Final = ("host", "guest", "refusal")

_log = logger("network")


class HostSink:
    """Hears the hosts of the records' cluster; other clusters' hosts hold no guests with ports here."""

    def __init__(self, records: Records, clock: HybridClock, dice: Dice) -> None:
        self._records, self._clock, self._dice = records, clock, dice

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return self._records.positions

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        if not self._is_ours(owner):
            return
        for entry in entries:
            draft = self._draft()
            if entry.kind in _KINDS:
                _hear(draft, owner.store, entry.kind, entry.key, entry.value)
            stands = Position(epoch=position.epoch, seq=entry.seq, digest=entry.digest)
            self._records.stage_heard(owner.store, stands, draft.changes, entry.cause)

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink. What the host showed or refused before and doesn't now is gone."""
        if not self._is_ours(owner):
            return
        before = self._records.positions.get(owner.store)
        host, told = owner.store, {(row.kind, row.key): row.value for row in rows if row.kind in _KINDS}
        # A store that was put back to an old copy, or lost, doesn't know what is there; what it refused it takes again.
        kinds = ("guest", "refusal") if before is None or before.epoch == position.epoch else ("refusal",)
        absent = [
            (kind, sight.guest)
            for sight in self._records.holdings.sights_at(host)
            for kind in kinds
            if (kind, sight.guest) not in told
        ]
        absent += [("host", host)] if ("host", host) not in told else []
        # First what is gone: a guest that was refused, and isn't any more, has its ports. Last the host: which of its
        # incarnations was heard says that its guests were. A crash before the position is kept has the whole state
        # taken once more, to the same end.
        for kind, key in (*absent, *sorted(told, key=lambda name: name[0] == "host")):
            draft = self._draft()
            _hear(draft, host, kind, key, told.get((kind, key)))
            if draft.changes:
                self._records.stage(draft.changes, "complete")
        self._records.positions[host] = position
        self._records.keep_positions()

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink. Nothing ends by time, so a sign of life says nothing here."""

    def _is_ours(self, owner: Owner) -> bool:
        return owner.cluster == self._records.holdings.cluster

    def _draft(self) -> Draft:
        return Draft(self._records.holdings, self._clock.now(), self._dice)


def _hear(draft: Draft, host: str, kind: str, key: str, value: bytes | None) -> None:
    try:
        if kind == "host":
            hear_host(draft, host, None if value is None or key != host else decode_told(value, Host))
        elif kind == "guest":
            guest = None if value is None else decode_told(value, Guest)
            hear_guest(draft, host, key, guest)
            if guest is not None:
                adopt(draft, host, guest)
        else:
            hear_refusal(draft, host, key, None if value is None else decode_told(value, Refusal))
    except ValueError as error:
        # One record that can't be read must not stop the cluster: it is left aside, and nothing ends by it.
        _log.error("a host's record can't be read", host=host, kind=kind, key=key, error=str(error))
        draft.changes.clear()
