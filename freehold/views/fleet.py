"""The scheduler's view: the hosts as columns, and where guests are.

Room that was promised to a build is taken off at once and given back when the host tells of the guest, refuses it, or
stays silent for `PROMISE_S`: only the host decides whether there is room, so a promise is a courtesy between decisions,
not a claim.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from freehold.runtime.chance import Chance, SystemChance
from freehold.runtime.clock import HybridClock
from freehold.views import aggregates, host_rows, placements
from freehold.views.aggregates import Aggregates
from freehold.views.columns import SPREAD, Columns, Weights, Wish
from freehold.views.complete import RecordKey, within
from freehold.views.fences import KeptFences
from freehold.views.host_rows import HostRows
from freehold.views.mapped import Kept
from freehold.views.placements import Placements
from freehold.views.promises import Promises
from freehold.vocabulary.choice import Choice, Filter, LeftOut, Need
from freehold.vocabulary.codec import decode, decode_kind, decode_told, encode
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.guest import Guest, Refusal
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.request import Admission
from freehold.vocabulary.trait import qualities
from freehold.vocabulary.word import Word

PROMISE_S: Final = 60.0
SILENT_AFTER_PERIODS: Final = 3
BEST_TOLD: Final = 5

LAYOUT: Final = b"2"
_TABLES: Final = ("retired", "fences", "positions", "unread", "heard")
_FEW: Final = aggregates.KINDS | {"fence"}
"""Kinds of which a shard tells few."""
_ALL: Final = "all"


class Heard(Word, frozen=True, kw_only=True):
    """Until when hosts count as heard, by row: float64 of monotonic seconds since the start of the machine that `boot`
    names.
    """

    boot: str
    until: bytes


class Fleet:
    """Columns of hosts, and where guests are. Also the `Sink` that follows hosts and registrars.

    All but promises is in its file, with the positions it stands at, so that a scheduler goes on where it was:

        retired    store  -> nothing
        fences     key    -> store of the shard, and the record
        positions  store  -> Position
        unread     store  -> nothing: its complete state isn't all here
        heard      all    -> Heard

    and those of `host_rows`, `placements` and `aggregates`.
    """

    def __init__(
        self, clock: HybridClock, path: Path, boot: str, chance: Chance | None = None, weights: Weights = SPREAD
    ) -> None:
        self._clock = clock.clock
        self._chance = chance or SystemChance()
        self._columns = Columns(weights)
        tables = (*_TABLES, *host_rows.TABLES, *placements.TABLES, *aggregates.TABLES)
        self._boot, self._kept = boot, Kept(path, boot, LAYOUT, tables)
        self._host_rows = HostRows(self._kept)
        self._positions: dict[str, Position] = {}
        self._rows: dict[str, int] = {}
        self._stores: list[str] = []
        """By row."""
        self._read: dict[str, Host] = {}
        """Records that were looked at, by store."""
        self._heard: dict[str, float] = {}
        self._promises = Promises()
        self._placements = Placements(self._kept)
        self.aggregates = Aggregates(self._kept)
        self._retired: set[str] = set()
        self._fences = KeptFences(self._kept)
        self._unread: set[str] = set()
        """Whose complete state isn't all here yet."""
        self._told: dict[str, set[RecordKey]] = {}
        """Of those, what they have told so far of the kinds that there are few of: at the end the others are gone."""
        self._remember()

    # --- the file ---

    def _remember(self) -> None:
        """Goes on from the file."""
        kept = self._kept
        self._positions = {store: decode(value, Position) for store, value in kept.under("positions")}
        self._unread = {store for store, _ in kept.under("unread")}
        self._retired = {store for store, _ in kept.under("retired")}
        rows = self._host_rows.every()
        self._stores = [one.store for one in rows]
        self._rows = {store: row for row, store in enumerate(self._stores)}
        beaten = kept.get("heard", _ALL)
        heard = None if beaten is None else decode(beaten, Heard)
        until = np.frombuffer(heard.until if heard is not None and heard.boot == self._boot else b"")
        retired = self._retired
        room = [(one.vcpus, one.ram_mib, one.disk_gib, one.enabled and one.store not in retired) for one in rows]
        named = [_together(one.qualities, self.aggregates.qualities(one.store)) for one in rows]
        self._columns.add_many(room, [one.cluster for one in rows], until, named)
        self._open_up(self._fences.hosts())

    def keep(self) -> None:
        """Has the file hold what was learned, all of it together."""
        self._kept.put("heard", _ALL, encode(Heard(boot=self._boot, until=self._columns.heard_until().tobytes())))
        self._kept.keep()

    def close(self) -> None:
        """Keeps what was learned. Nothing is asked of it any more."""
        self.keep()
        self._kept.close()

    def abandon(self) -> None:
        """Lets go of the file without a word, as the end of a killed process does."""
        self._kept.abandon()

    # --- asking ---

    def choose(
        self,
        wanted: Capacity,
        cluster: str = "",
        refused: Sequence[str] = (),
        among: Sequence[str] | None = None,
        *,
        silent: bool = False,
        needs: Sequence[Need] = (),
    ) -> Host | None:
        """The best host that has room for `wanted`, meets `needs`, was heard lately and isn't `refused`; of `among`
        only, if given. `silent`: whether or not it was heard lately. None if there is none.
        """
        wish, now = self._wish(wanted, cluster, refused, silent, needs), self._clock.monotonic_s()
        if among is None:
            row = self._columns.best(wish, now, self._one_of)
        else:
            row = self._columns.best_among(self._rows_of(among), wish, now, self._one_of)
        return None if row is None else self._host_at(row)

    def choose_many(
        self,
        wanted: Capacity,
        count: int,
        cluster: str = "",
        refused: Sequence[str] = (),
        needs: Sequence[Need] = (),
    ) -> list[Host]:
        """The hosts for so many guests that want the same, as `choose` would find them one after the other if each was
        promised its room; fewer if not all find room.
        """
        wish = self._wish(wanted, cluster, refused, needs=needs)
        rows = self._columns.best_of(wish, count, self._clock.monotonic_s(), self._one_of).tolist()
        return [host for host in map(self._host_at, rows) if host is not None]

    def lacking(self, need: Need) -> int:
        """How many hosts don't meet a need."""
        return sum(self._stores[row] not in self._retired for row in self._columns.lacking(need).tolist())

    def explain(
        self,
        wanted: Capacity,
        cluster: str,
        also: Sequence[tuple[Filter, Iterable[str]]],
        needs: Sequence[Need] = (),
    ) -> Choice:
        """Which hosts `choose` leaves out, and for what; `also`: what else leaves hosts out, after what columns say."""
        wish, now = self._wish(wanted, cluster, (), needs=needs), self._clock.monotonic_s()
        left = {row: None for row, store in enumerate(self._stores) if store not in self._retired}
        count, found = len(left), list[LeftOut]()
        named = [(name, rows.tolist()) for name, rows in self._columns.narrowed(wish, now)]
        for name, rows in (*named, *((name, self._rows_of(stores)) for name, stores in also)):
            gone = [row for row in dict.fromkeys(rows) if row in left]
            for row in gone:
                del left[row]
            found.append(LeftOut(filter=name, hosts=len(gone)))
        first = map(self._host_at, self._columns.in_order(list(left))[:BEST_TOLD])
        best = tuple(host.name for host in first if host is not None)
        return Choice(hosts=count, left_out=tuple(found), fit=len(left), best=best)

    def _wish(
        self,
        wanted: Capacity,
        cluster: str,
        refused: Sequence[str],
        silent: bool = False,
        needs: Sequence[Need] = (),
    ) -> Wish:
        for guest in self._promises.past(self._clock.monotonic_s()):
            self.give_back(guest)
        return Wish(wanted, cluster, self._rows_of(refused), silent, needs)

    def _rows_of(self, stores: Iterable[str]) -> list[int]:
        return [self._rows[store] for store in stores if store in self._rows]

    def _one_of(self, many: int) -> int:
        return min(int(self._chance.uniform(0, many)), many - 1)

    def promise(self, guest: str, host: str, wanted: Capacity) -> None:
        """Takes room off a host until it is heard to have, or to refuse, the guest."""
        self.give_back(guest)
        self._promises.make(guest, host, wanted, self._clock.monotonic_s() + PROMISE_S)
        self._take(host, wanted, 1)

    def give_back(self, guest: str) -> None:
        """Ends a promise, if there is one."""
        promised = self._promises.end(guest)
        if promised is not None:
            self._take(*promised, -1)

    def host(self, store: str) -> Host | None:
        """A host's record."""
        row = self._rows.get(store)
        return None if row is None else self._host_at(row)

    def _host_at(self, row: int) -> Host | None:
        store = self._stores[row]
        if store in self._retired:
            return None
        host = self._read.get(store)
        if host is None:
            host = self._read[store] = self._host_rows.host(store)
        return host

    def is_retired(self, store: str) -> bool:
        """Whether a host has left for good."""
        return store in self._retired

    def placed(self, guest: str) -> tuple[str, str, str] | None:
        """(host, cluster, project) of the guest's highest deed."""
        deed = self._placements.deed(guest)
        return None if deed is None else (deed.host, deed.cluster, deed.project)

    def hosts_of(self, guests: Iterable[str]) -> tuple[str, ...]:
        """The hosts that have, or are to have, these guests."""
        deeds = map(self._placements.deed, guests)
        return tuple(dict.fromkeys(deed.host for deed in deeds if deed is not None))

    def group_hosts(self, group: str, but: str = "") -> tuple[str, ...]:
        """The hosts that have, or may yet have, members of a server group other than the guest `but`."""
        return self._placements.group_hosts(group, but)

    def hosts(self) -> list[Host]:
        """Every host."""
        return [host for host in map(self._host_at, range(len(self._stores))) if host is not None]

    def heeds(self, store: str) -> bool:
        """Whether what an owner says counts now."""
        return store not in self._fences.hosts()

    # --- the sink ---

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return dict(self._positions)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        self._stand(owner, position)
        self._learn(owner, ((entry.kind, entry.key, entry.value) for entry in entries))

    def unread(self) -> Collection[str]:
        """See PartSink."""
        return self._unread

    def begin(self, owner: Owner) -> None:
        """See PartSink."""
        self._unread.add(owner.store)
        self._kept.put("unread", owner.store)
        self._told[owner.store] = set()

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        """See PartSink."""
        guests = within("admission", above, upto)
        if owner.role == "registrar" and guests is not None:
            self._placements.keep_only(owner.store, {row.key for row in rows if row.kind == "admission"}, *guests)
        self._learn(owner, ((row.kind, row.key, row.value) for row in rows))

    def amend(self, owner: Owner, entries: Sequence[Entry]) -> None:
        """See PartSink."""
        self._learn(owner, ((entry.kind, entry.key, entry.value) for entry in entries))

    def replaced(self, owner: Owner, position: Position) -> None:
        """See PartSink."""
        told = self._told.pop(owner.store)
        if owner.role == "registrar":
            fenced = self._fences.hosts()
            self._fences.keep_only(owner.store, {key for kind, key in told if kind == "fence"})
            self._open_up(fenced)
            for kind in aggregates.KINDS:
                known = {key for of_kind, key in told if of_kind == kind}
                self._qualify(self.aggregates.keep_only(kind, owner.store, known))
        self._unread.discard(owner.store)
        self._kept.drop("unread", owner.store)
        self._stand(owner, position)

    def _stand(self, owner: Owner, position: Position) -> None:
        self._positions[owner.store] = position
        self._kept.put("positions", owner.store, encode(position))

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        if not self.heeds(heartbeat.owner.store):
            return
        until = self._clock.monotonic_s() + SILENT_AFTER_PERIODS * heartbeat.period_s
        self._heard[heartbeat.owner.store] = until
        row = self._rows.get(heartbeat.owner.store)
        if row is not None:
            self._columns.hear(row, until)

    def _learn(self, owner: Owner, news: Iterable[tuple[str, str, bytes | None]]) -> None:
        told = self._told.get(owner.store)
        for kind, key, value in news:
            if told is not None and kind in _FEW:
                told.add((kind, key))
            if kind == "host" and value is not None:
                self._put(owner.store, decode_told(value, Host), value)
            elif kind == "guest" and value is not None:
                self._heard_of(decode_told(value, Guest).id, owner.store)
            elif kind == "refusal" and value is not None:
                self._heard_of(decode_told(value, Refusal).guest, owner.store)
            elif kind == "retirement" and value is not None:
                self._retire(key)
            elif kind == "fence":
                self._fences.learn(owner.store, key, None if value is None else decode(value, Fence))
                self._open_up([key.partition("/")[0]])
            elif kind in aggregates.KINDS:
                record = None if value is None else decode_kind(kind, value)
                self._qualify(self.aggregates.learn(kind, key, record, owner.store))
            elif kind == "admission":
                self._placements.learn(key, None if value is None else decode_told(value, Admission), owner.store)

    def _retire(self, store: str) -> None:
        """It is no host of this cloud any more, whatever it says from now on."""
        self._retired.add(store)
        self._kept.put("retired", store)
        self._read.pop(store, None)
        self._open_up([store])

    def _open_up(self, stores: Iterable[str]) -> None:
        """Has the columns know which of these may be given guests."""
        fenced = self._fences.hosts()
        for store in stores:
            row = self._rows.get(store)
            if row is not None:
                host = self._host_at(row)
                self._columns.set_open(row, host is not None and host.enabled and store not in fenced)

    def _qualify(self, stores: Iterable[str]) -> None:
        """Has the columns know what these are by their aggregates."""
        for store in stores:
            row = self._rows.get(store)
            host = None if row is None else self._host_at(row)
            if row is not None and host is not None:
                self._columns.set_qualities(row, _together(qualities(host), self.aggregates.qualities(store)))

    def _put(self, store: str, host: Host, told: bytes) -> None:
        if store in self._retired:
            return
        row = self._rows.get(store)
        if row is None:
            row = self._rows[store] = self._columns.add()
            self._stores.append(store)
            self._columns.hear(row, self._heard.get(store, 0.0))
        self._read[store] = host
        free = host.free()
        is_open = host.enabled and store not in self._fences.hosts()
        self._columns.put(row, free, host.cluster, is_open=is_open)
        self._columns.set_qualities(row, _together(qualities(host), self.aggregates.qualities(store)))
        self._host_rows.put(store, row, free, host, told)
        for wanted in self._promises.at(store):
            self._take(store, wanted, 1)

    def _take(self, store: str, wanted: Capacity, sign: int) -> None:
        row = self._rows.get(store)
        if row is not None:
            self._columns.take(row, wanted, sign)

    def _heard_of(self, guest: str, store: str) -> None:
        if self._promises.host_of(guest) == store:
            self.give_back(guest)


@lru_cache(maxsize=4096)
def _together(told: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    """Hosts that are alike have one set."""
    return told | given
