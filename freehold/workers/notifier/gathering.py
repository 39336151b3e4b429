"""What owners say, turned into what is to be told: a sink that writes an entry's record, the events that follow from it
and where it stands in one transaction; where nobody is told, together with what comes next.

A host's event counts when the ledger has given it the guest. Its frame may be here before the registrar's: then the
event is held until the guest's admission says so, and with it all of that guest that come after it.

When an owner's log doesn't reach back to where it was read, its complete state is compared with what it had told: what
differs is told as it stands now, and an event says to every project concerned that steps in between were missed.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.store.writing import Change
from freehold.views.feed import KINDS_TOLD, Event, event_of, is_early, is_given
from freehold.vocabulary.codec import decode, decode_kind
from freehold.vocabulary.envelope import NO_DIGEST, Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.notification import MISSED
from freehold.vocabulary.request import Admission
from freehold.vocabulary.shards import Shards
from freehold.workers.notifier.lifecycle import is_full, wants
from freehold.workers.notifier.queues import Queues
from freehold.workers.notifier.records import Gone, Held, Records, lane_of

HELD_MAX: Final = 10_000
"""Guests of which events are held: a host that speaks of what isn't its own doesn't fill the disk."""
HELD_OF_GUEST_MAX: Final = 100
FOLLOWED: Final = ("registrar", "image", "network", "host")

_log = logger("notifier")


class Gathering:
    """See the module. `over` gives what is written when a receiver is given up, `ended` when a project is gone."""

    def __init__(
        self,
        records: Records,
        queues: Queues,
        clock: HybridClock,
        shards: Shards,
        over: Callable[[str, str], list[Change]],
        ended: Callable[[str], list[Change]],
    ) -> None:
        self._records, self._queues, self._clock, self._shards = records, queues, clock, shards
        self._over, self._ended = over, ended
        self._changes: list[Change] = []
        self._noted: list[Change] = []
        """What was seen: of the transaction that is being made, as `_changes`."""
        self._fresh: dict[tuple[str, str, str], bytes | None] = {}
        """What the transaction that is being made has changed, which the store doesn't show yet."""
        self._gone: dict[str, bytes] = {}
        self._held: dict[str, list[tuple[str, Held]]] = {}
        self._released: set[str] = set()

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return {store: one.position for store, one in self._records.stands.items()}

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        for entry in entries:
            self._take(owner, position.epoch, entry)
        if self._noted or self._changes:
            # What changes nothing changes nothing when it is read again either: its position needs no write.
            self._stage(owner, position, entries[-1].cause)

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink. The first time, what there is is told as it stands: it may have come to be a moment ago."""
        known = owner.store in self._records.stands
        told = {(row.kind, row.key): row for row in rows if row.kind in KINDS_TOLD}
        had = {
            (kind, key): value
            for kind in KINDS_TOLD
            for key, value in self._records.all_seen(kind, owner.store).items()
        }
        now = self._clock.now()
        for row in sorted(told.values(), key=lambda row: row.seq):
            if had.get((row.kind, row.key)) != row.value:
                self._take(owner, position.epoch, Entry(row.seq, now, row.kind, row.key, row.value, "", NO_DIGEST))
        for kind, key in sorted(had.keys() - told.keys()):
            entry = Entry(position.seq, now, kind, key, None, "", NO_DIGEST)
            self._take(owner, position.epoch, entry, told_apart=key)
        if known:
            _log.warning("an owner's log didn't reach back to where it was read", role=owner.role, store=owner.store)
            self._tell_missed(owner, position, {*had.items(), *(((r.kind, r.key), r.value) for r in told.values())})
        self._stage(owner, position, "complete")

    def _stage(self, owner: Owner, position: Position, cause: str) -> None:
        self._records.stage_later([*self._noted, self._records.keep_stands(owner, position)])
        if self._changes:
            self._records.stage(self._changes, cause)
            self._queues.pump()
        self._changes, self._noted = [], []
        self._fresh, self._gone, self._held, self._released = {}, {}, {}, set()

    # --- an entry --------------------------------------------------------------------------------------------------

    def _take(self, owner: Owner, epoch: str, entry: Entry, told_apart: str = "") -> None:
        """One entry; `told_apart`: makes the ids of several deletions found at once differ."""
        if entry.kind == "project" and entry.value is None:
            self._changes += self._ended(entry.key)
        if entry.kind not in KINDS_TOLD:
            return
        before = self._seen(entry.kind, owner.store, entry.key)
        if before == entry.value:
            return
        self._fresh[entry.kind, owner.store, entry.key] = entry.value
        self._noted.append(self._records.keep_seen(entry.kind, owner.store, entry.key, entry.value))
        event = event_of(owner, epoch, entry, before)
        if entry.kind == "admission":
            self._keep_gone(entry.key, before, entry.value)
        if event is not None and self._records.tells(event.project):
            if told_apart:
                event = replace(event, id=_id(event.id, told_apart))
            self._judge(owner, event)
        if entry.kind == "admission" and self._records.held.get(entry.key):
            self._release(entry.key)

    def _seen(self, kind: str, store: str, key: str) -> bytes | None:
        place = (kind, store, key)
        return self._fresh[place] if place in self._fresh else self._records.seen(kind, store, key)

    def _keep_gone(self, guest: str, before: bytes | None, value: bytes | None) -> None:
        if value is None and before is not None:
            self._gone[guest] = before
            self._changes.append(self._records.keep_gone(guest, Gone(admission=before, time=self._clock.now())))

    def _judge(self, owner: Owner, event: Event) -> None:
        """Routes an event, if it is its owner's to tell; else holds it, and what comes of that guest after it. What an
        old copy of a guest tells is told to nobody.
        """
        admission = self._admission(event) if event.deed else None
        given = is_given(owner, event, admission)
        if given and not (event.deed and self._records.held.get(event.guest)):
            self._route(event)
            return
        if not given and not is_early(owner, event, admission):
            return
        if len(self._records.held) > HELD_MAX or self._records.held.get(event.guest, 0) >= HELD_OF_GUEST_MAX:
            _log.error("an owner tells of guests that it wasn't given; that isn't told", store=owner.store)
            return
        held = Held(owner=owner, event=event, time=self._clock.now())
        changes = self._records.hold(event.guest, held)
        key = changes[0].key
        self._held.setdefault(event.guest, []).append((key, held))
        self._changes += changes

    def _release(self, guest: str) -> None:
        """Routes what is held of a guest and is now known to be its owner's to tell, in order; lets go of what can't be
        any more.
        """
        fresh = self._held.pop(guest, [])
        known = dict(self._records.held_of(guest)) | dict(fresh)
        kept: list[tuple[str, Held]] = []
        for key, held in sorted((key, held) for key, held in known.items() if key not in self._released):
            admission = self._admission(held.event)
            given = is_given(held.owner, held.event, admission)
            if given or not is_early(held.owner, held.event, admission):
                self._changes += self._records.release(key)
                self._released.add(key)
            elif key in dict(fresh):
                kept.append((key, held))
            if given:
                self._route(held.event)
        if kept:
            self._held[guest] = kept

    def _admission(self, event: Event) -> Admission | None:
        shard = self._shards.of(event.project)
        ledgers = [one.owner for one in self._records.stands.values() if one.owner.role == "registrar"]
        for owner in ledgers:
            if owner.shard == shard and (value := self._seen("admission", owner.store, event.guest)) is not None:
                return decode(value, Admission)
        gone = self._gone.get(event.guest) or self._records.gone(event.guest)
        return None if gone is None else decode(gone, Admission)

    # --- an event --------------------------------------------------------------------------------------------------

    def _route(self, event: Event) -> None:
        """To everybody who wants it."""
        names = (event.subject[1], event.guest, event.request)
        for target in tuple(self._records.targets(event.project)):
            if event.type == MISSED or wants(target, event.project, event.type, names):
                self._add(target.id, event)
        for feed in self._records.feeds_of(event.project):
            if event.type == MISSED or not feed.about or feed.about in names:
                self._changes += self._records.show(feed.id, event)

    def _add(self, target: str, event: Event) -> None:
        reason = is_full(self._queues.count(target))
        if reason:
            self._changes += self._over(target, reason)
            return
        number, changes = self._records.add(target, event)
        self._changes += changes
        self._queues.add(target, number, lane_of(event))

    def _tell_missed(self, owner: Owner, position: Position, rows: set[tuple[tuple[str, str], bytes]]) -> None:
        projects = {getattr(decode_kind(kind, value), "project", "") for (kind, _), value in rows}
        for project in sorted(project for project in projects if project and self._records.tells(project)):
            told = f"{owner.store}\0{position.epoch}\0{position.seq}"
            self._route(missed(_id(told, project), project, self._clock.now(), _FROM[owner.role]))


_FROM: Final = {
    "host": "one of the hosts",
    "registrar": "the registrar",
    "network": "the network worker",
    "image": "an image worker",
}


def missed(event: str, project: str, now: int, what: str) -> Event:
    """An event that says that others weren't told. `what`: whose."""
    message = f"Some of what {what} told wasn't read, or isn't known any more. Read what matters to you anew."
    return Event(
        id=event, type=MISSED, subject=("project", project), project=project, time=now, data={"message": message}
    )


def _id(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
