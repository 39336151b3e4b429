"""The mapped file under the API's view: records laid out by project and order of creation, with the positions they
stand for.

    rows       kind 0 project 0 created(8) key   -> owner's store id (36 bytes) + learned(8) + the owner's bytes
    places     kind 0 key                        -> the key in `rows`
    owned      store 0 kind 0 key                -> nothing: what an owner's complete state replaces
    shadowed   kind 0 key 0 store                -> the owner's bytes, where another owner holds the higher deed
    urns       URN                               -> the key of the action that a host did by that request
    positions  store                             -> Seen

`learned` is the clock time at which this view learned of what the row shows; it never goes back, and after a rebuild
everything counts as learned then. What a guest's host says counts as a change of the guest's admission too: clients see
both as one.

Records and positions change in one transaction, so the file is its own snapshot. The transaction stays open, and all
reads are of it: what was written can be read at once. It is in the file from the next `keep` on, all of it together: a
process that ends before has read that much less, and asks for it again.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from freehold.views.complete import END, START, RecordKey
from freehold.views.layout import (
    AFTER,
    CREATED_BYTES,
    Pairs,
    backward,
    between,
    bounded,
    forward,
    keys_backward,
    keys_forward,
    owned_at,
    owned_from,
    place_of,
    row_key,
    shadow_of,
)
from freehold.views.mapped import MappedFile, Table
from freehold.views.ranking import Rank, ranking
from freehold.vocabulary.codec import KINDS, UNDER_DEED, decode, decode_told, encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entry, Owner, Position, Row
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.request import Admission
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

LAYOUT: Final = b"3"
_TABLES: Final = ("rows", "places", "owned", "shadowed", "urns", "positions")
STORE_BYTES: Final = 36
HEAD_BYTES: Final = STORE_BYTES + 8
BATCH_ROWS: Final = 256
"""Rows read at once: what is written between two batches doesn't disturb the reader."""
KEPT_CHANGES: Final = 100
"""Changes that wait in the transaction, at most: then they are kept. It bounds what one turn of the loop writes."""

_SHOWN_WITH: Final = {"guest": "admission"}
"""Kinds whose change counts as one of the record of another kind under the same key."""

Walk = Callable[[lmdb.Cursor, bytes, bytes | None], Pairs]


class Seen(Word, frozen=True, kw_only=True):
    """What the view stands at for one owner."""

    owner: Owner
    position: Position
    learned: int = 0
    """The clock time at which it learned of that position."""
    until: int = 0
    """A clock time until which it has all that the owner wrote."""
    is_whole: bool = True
    """False: its complete state was being taken, and the file has some of what came after the position."""


class RowFile:
    """The file. One process has it open; every call that writes has one clock time, from `now`."""

    def __init__(self, path: Path, boot: str, now: Callable[[], int]) -> None:
        self._file = MappedFile(path, boot, _layout(), _TABLES)
        self._now = now
        self._txn = self._file.env.begin(write=True)
        self._unkept = 0
        self._rows, self._places, self._owned, self._shadowed, self._urns, self._positions = map(
            self._file.tables.__getitem__, _TABLES
        )
        self._has_shadows = self._is_any_shadowed()
        """Whether any record isn't shown: there is seldom one, and then nobody looks for it."""

    # --- reading ---------------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Seen]:
        """What it stands at, by store."""
        return {
            bytes(store).decode(): decode(bytes(seen), Seen) for store, seen in self._txn.cursor(db=self._positions)
        }

    def get(self, kind: str, key: str) -> bytes | None:
        """The bytes of one record; None if there is none."""
        place = self._txn.get(place_of(kind, key), db=self._places)
        row = None if place is None else self._txn.get(place, db=self._rows)
        return None if row is None else bytes(row[HEAD_BYTES:])

    def own(self, store: str, kind: str, key: str) -> bytes | None:
        """The bytes of the record that one owner has under a key, be it shown or not; None if it has none."""
        place = place_of(kind, key)
        where = self._txn.get(place, db=self._places)
        row = None if where is None else self._txn.get(where, db=self._rows)
        if row is not None and bytes(row[:STORE_BYTES]).decode() == store:
            return bytes(row[HEAD_BYTES:])
        hidden = None if row is None else self._txn.get(shadow_of(place, store), db=self._shadowed)
        return None if hidden is None else bytes(hidden)

    def action_of(self, urn: str) -> str:
        """The key of the action that a host did by a request; empty if none is known."""
        return bytes(self._txn.get(bounded(urn), b"", db=self._urns)).decode()

    def learned(self, kind: str, key: str) -> int:
        """The clock time at which it learned of what a record shows; 0 if there is no such record."""
        place = self._txn.get(place_of(kind, key), db=self._places)
        row = None if place is None else self._txn.get(place, db=self._rows)
        return 0 if row is None else int.from_bytes(row[STORE_BYTES:HEAD_BYTES], "big")

    def holder(self, kind: str, key: str) -> str:
        """The store of the owner that a record is shown from; empty if there is none."""
        place = self._txn.get(place_of(kind, key), db=self._places)
        row = None if place is None else self._txn.get(place, db=self._rows)
        return "" if row is None else bytes(row[:STORE_BYTES]).decode()

    def list(self, kind: str, project: str | None, after: str, newest_first: bool) -> Iterator[bytes]:
        """The bytes of a project's (or everybody's) records in order of creation. NotFound for an unknown marker."""
        prefix = kind.encode() + b"\0" + (b"" if project is None else project.encode() + b"\0")
        start = None
        if after:
            start = self._marked(kind, after)
            if start is None or not start.startswith(prefix):
                raise NotFound(f"no {kind} {after} to go on after")
        walk = backward if newest_first else forward
        for value in self._walked(self._rows, walk, prefix, start):
            yield value[HEAD_BYTES:]

    def keys(self, kind: str, project: str, after: str, limit: int, newest_first: bool) -> Sequence[str]:
        """The keys of so many of a project's records, in the same order. NotFound as well."""
        prefix = kind.encode() + b"\0" + project.encode() + b"\0"
        start = self._marked(kind, after) if after else None
        if after and (start is None or not start.startswith(prefix)):
            raise NotFound(f"no {kind} {after} to go on after")
        walk = keys_backward if newest_first else keys_forward
        places = list(islice(walk(self._txn.cursor(db=self._rows), prefix, start), limit))
        return [place[len(prefix) + CREATED_BYTES :].decode() for place in places]

    def keyed(self, kind: str, prefix: str) -> Iterator[bytes]:
        """The bytes of the records whose key begins with `prefix`, in key order."""
        for place in self._walked(self._places, forward, kind.encode() + b"\0" + prefix.encode(), None):
            row = self._txn.get(place, db=self._rows)
            if row is not None:
                yield bytes(row[HEAD_BYTES:])

    def everything(self) -> dict[tuple[str, str], bytes]:
        """Every record's bytes, by kind and key. A key of over `KEY_BYTES_MAX` bytes is given as it was cut."""
        found = {}
        for place, where in self._txn.cursor(db=self._places):
            kind, _, key = bytes(place).partition(b"\0")
            found[kind.decode(), key.decode()] = bytes(self._txn.get(where, b"", db=self._rows))[HEAD_BYTES:]
        return found

    def _marked(self, kind: str, key: str) -> bytes | None:
        place = self._txn.get(place_of(kind, key), db=self._places)
        return None if place is None else bytes(place)

    def _walked(self, table: Table, walk: Walk, prefix: bytes, start: bytes | None) -> Iterator[bytes]:
        """Values of a range, in batches: no transaction stays open between two, however slow the reader."""
        while True:
            batch = list(islice(walk(self._txn.cursor(db=table), prefix, start), BATCH_ROWS))
            yield from (value for _, value in batch)
            if len(batch) < BATCH_ROWS:
                return
            start = batch[-1][0]

    # --- writing ---------------------------------------------------------------------------------------------------

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """An owner's next entries."""
        now = self._now()
        self._take(owner, entries, now)
        until = min(now, entries[-1].time) if entries else 0
        self._stand(Seen(owner=owner, position=position, learned=now, until=until))
        self._wrote(len(entries))

    def begin(self, owner: Owner) -> None:
        """An owner's complete state follows, in parts: until `replaced` it isn't whole, for the next process too."""
        known = self._txn.get(owner.store.encode(), db=self._positions)
        position = Position(epoch="") if known is None else decode(bytes(known), Seen).position
        self._stand(Seen(owner=owner, position=position, learned=self._now(), is_whole=False))
        self._wrote(0)

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        """What an owner has above one place and up to another. What it shows as before isn't learned anew."""
        now = self._now()
        gone = self._owned_between(owner.store, above, upto)
        for row in rows:
            if row.kind in KINDS:
                gone.pop((row.kind, row.key), None)
                self._put(owner.store, row.kind, row.key, row.value, now)
        for kind, key in gone:
            self._delete(owner.store, kind, key, now)
        self._wrote(len(rows) + len(gone))

    def amend(self, owner: Owner, entries: Sequence[Entry]) -> None:
        """What an owner has written after the parts were read."""
        self._take(owner, entries, self._now())
        self._wrote(len(entries))

    def replaced(self, owner: Owner, position: Position) -> None:
        """All parts are here."""
        now = self._now()
        self._stand(Seen(owner=owner, position=position, learned=now, until=now))
        self._wrote(0)

    def forget(self, store: str) -> None:
        """Lets go of an owner, and of all that is known of it alone."""
        now = self._now()
        owned = self._owned_between(store, START, END)
        for kind, key in owned:
            self._delete(store, kind, key, now)
        self._txn.delete(store.encode(), db=self._positions)
        self._wrote(len(owned))

    def keep(self) -> None:
        """Has the file hold what was written."""
        if self._unkept:
            self._txn.commit()
            self._txn = self._file.env.begin(write=True)
            self._unkept = 0
            self._has_shadows = self._is_any_shadowed()

    def close(self) -> None:
        """Writes everything to disk and marks the file as whole."""
        self._txn.commit()
        self._file.close()

    def abandon(self) -> None:
        """Lets go of the file without a word, as the end of a killed process does; what wasn't kept is lost."""
        self._txn.abort()
        self._file.abandon()

    def _wrote(self, changes: int) -> None:
        """So many more changes wait. Called last: what is kept is whole."""
        self._unkept += 1 + changes
        if self._unkept >= KEPT_CHANGES:
            self.keep()

    def _is_any_shadowed(self) -> bool:
        return bool(self._txn.stat(self._shadowed)["entries"])

    def _stand(self, seen: Seen) -> None:
        self._txn.put(seen.owner.store.encode(), encode(seen), db=self._positions)

    def _take(self, owner: Owner, entries: Sequence[Entry], now: int) -> None:
        for entry in entries:
            if entry.kind not in KINDS:
                continue
            if entry.value is None:
                self._delete(owner.store, entry.kind, entry.key, now)
            else:
                self._put(owner.store, entry.kind, entry.key, entry.value, now)

    def _owned_between(self, store: str, above: RecordKey, upto: RecordKey) -> dict[RecordKey, None]:
        """The places above one and up to another under which an owner has a record."""
        first, last = owned_from(store, *above), owned_from(store, *upto) + AFTER
        found: dict[RecordKey, None] = {}
        for value in between(self._txn.cursor(db=self._owned), first, last):
            kind, key = decode(value, tuple[str, str])
            if above < (kind, key) <= upto:
                found[kind, key] = None
        return found

    def _put(self, store: str, kind: str, key: str, value: bytes, now: int) -> None:
        place, where = place_of(kind, key), row_key(kind, key, decode_told(value, KINDS[kind]))
        standing_at = self._txn.get(place, db=self._places)
        if standing_at is not None:
            standing = bytes(self._txn.get(standing_at, b"", db=self._rows))
            if standing[:STORE_BYTES].decode() == store:
                if standing[HEAD_BYTES:] == value:
                    return
            elif not self._displaces(kind, key, standing, store, value):
                return
            if standing_at != where:
                self._txn.delete(standing_at, db=self._rows)
        else:
            self._txn.put(owned_at(store, place), encode((kind, key)), db=self._owned)
            if self._has_shadows:
                self._txn.delete(shadow_of(place, store), db=self._shadowed)
        self._txn.put(where, store.encode() + now.to_bytes(8, "big") + value, db=self._rows)
        if standing_at != where:
            self._txn.put(place, where, db=self._places)
        if kind == "action":  # the first stays: nobody takes another's request for its own
            self._txn.put(bounded(key.partition("/")[2]), key.encode(), overwrite=False, db=self._urns)
        self._touch(kind, key, now)
        if kind == "admission":
            self._weigh_again(key, now)
        elif standing_at is not None and kind in UNDER_DEED:  # what its holder says of it now may count for less
            self._weigh(kind, key, now)

    def _displaces(self, kind: str, key: str, standing: bytes, store: str, value: bytes) -> bool:
        """Whether what an owner has under a key is shown instead of another owner's. The other of the two isn't."""
        place, holder = place_of(kind, key), standing[:STORE_BYTES].decode()
        self._txn.put(owned_at(store, place), encode((kind, key)), db=self._owned)
        rank = self._ranking(kind, key)
        self._has_shadows = True
        if rank(standing[HEAD_BYTES:], holder) > rank(value, store):
            self._txn.put(shadow_of(place, store), value, db=self._shadowed)
            return False
        self._txn.put(shadow_of(place, holder), standing[HEAD_BYTES:], db=self._shadowed)
        self._txn.delete(shadow_of(place, store), db=self._shadowed)
        return True

    def _touch(self, kind: str, key: str, now: int) -> None:
        """What a record is shown with has changed as well."""
        where = self._txn.get(place_of(_SHOWN_WITH[kind], key), db=self._places) if kind in _SHOWN_WITH else None
        if where is not None:
            row = bytes(self._txn.get(where, b"", db=self._rows))
            self._txn.put(where, row[:STORE_BYTES] + now.to_bytes(8, "big") + row[HEAD_BYTES:], db=self._rows)

    def _delete(self, store: str, kind: str, key: str, now: int) -> None:
        place = place_of(kind, key)
        self._txn.delete(owned_at(store, place), db=self._owned)
        self._txn.delete(shadow_of(place, store), db=self._shadowed)
        where = self._txn.get(place, db=self._places)
        if where is None or bytes(self._txn.get(where, b"", db=self._rows))[:STORE_BYTES].decode() != store:
            return
        self._txn.delete(where, db=self._rows)
        self._txn.delete(place, db=self._places)
        if kind == "action" and self._txn.get(bounded(key.partition("/")[2]), db=self._urns) == key.encode():
            self._txn.delete(bounded(key.partition("/")[2]), db=self._urns)
        self._touch(kind, key, now)
        self._unshadow(kind, key, now)
        if kind == "admission":
            self._weigh_again(key, now)

    def _unshadow(self, kind: str, key: str, now: int) -> None:
        """The holder of the highest deed is gone: show the next, if any."""
        waiting = self._shadows(kind, key)
        if waiting:
            rank = self._ranking(kind, key)
            store, value = max(waiting.items(), key=lambda held: rank(held[1], held[0]))
            self._put(store, kind, key, value, now)

    def _shadows(self, kind: str, key: str) -> dict[str, bytes]:
        """What other owners than the one that is shown have under a key, by store."""
        if not self._has_shadows:
            return {}
        prefix = place_of(kind, key) + b"\0"
        return {
            place[len(prefix) :].decode(): value
            for place, value in forward(self._txn.cursor(db=self._shadowed), prefix, None)
        }

    def _weigh_again(self, guest: str, now: int) -> None:
        """The ledger has spoken of a guest: of several hosts that tell of it, another may be the one to show."""
        places = [("guest", guest), ("refusal", guest), *self._contested_actions(guest)]
        for kind, key in places:
            self._weigh(kind, key, now)

    def _weigh(self, kind: str, key: str, now: int) -> None:
        """Shows the first of what several owners have under a key."""
        for store, value in self._shadows(kind, key).items():
            self._put(store, kind, key, value, now)

    def _contested_actions(self, guest: str) -> Sequence[tuple[str, str]]:
        if not self._has_shadows:
            return ()
        prefix = place_of("action", f"{guest}/")
        found = {
            place.split(b"\0")[1].decode() for place, _ in forward(self._txn.cursor(db=self._shadowed), prefix, None)
        }
        return [("action", key) for key in sorted(found)]

    def _ranking(self, kind: str, key: str) -> Rank:
        return ranking(kind, self._deed_of(key.partition("/")[0]) if kind in UNDER_DEED else None)

    def _deed_of(self, guest: str) -> Deed | None:
        """The highest deed of a guest, as the ledger has told."""
        where = self._txn.get(place_of("admission", guest), db=self._places)
        row = None if where is None else self._txn.get(where, db=self._rows)
        return None if row is None else decode(bytes(row[HEAD_BYTES:]), Admission).deed


def _layout() -> bytes:
    """With the kinds that are known: who knew fewer has passed the others over, and stands behind them in the logs."""
    return LAYOUT + " ".join(["", *sorted(KINDS)]).encode()
