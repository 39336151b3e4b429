"""The scheduler's view: a column for each figure of a host, because a decision looks at all of them and at little of
each.

Room that was promised to a build is taken off at once and given back when the host tells of the guest, refuses it,
or stays silent
for `PROMISE_S`: only the host decides whether there is room, so a promise is a courtesy between decisions, not a claim.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from freehold.runtime.clock import HybridClock
from freehold.views.fences import Fences
from freehold.views.placements import Placements
from freehold.vocabulary.codec import decode, decode_told
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.guest import Guest, Refusal
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.request import Admission

PROMISE_S: Final = 60.0
SILENT_AFTER_PERIODS: Final = 3
FIRST_ROWS: Final = 64


class Fleet:
    """Columns of hosts, and where guests are. Also the `Sink` that follows hosts and registrars."""

    def __init__(self, clock: HybridClock) -> None:
        self._clock = clock.clock
        self._positions: dict[str, Position] = {}
        self._rows: dict[str, int] = {}
        self._hosts: list[Host | None] = []
        self._heard: dict[str, tuple[float, float]] = {}
        self._free = [np.zeros(FIRST_ROWS, np.int64) for _ in range(3)]
        self._enabled = np.zeros(FIRST_ROWS, bool)
        self._heard_until = np.zeros(FIRST_ROWS)
        self._promised: dict[str, tuple[str, Capacity, float]] = {}
        self._placements = Placements()
        self._retired: set[str] = set()
        self._fences = Fences()

    # --- asking ---

    def choose(
        self,
        wanted: Capacity,
        cluster: str = "",
        refused: Sequence[str] = (),
        among: Sequence[str] | None = None,
        *,
        silent: bool = False,
    ) -> Host | None:
        """The host with the most free memory that has room for `wanted`, was heard lately and isn't `refused`; of
        `among` only, if given. `silent`: whether or not it was heard lately. None if there is none.
        """
        self._let_go()
        count = len(self._hosts)
        fits = self._enabled[:count].copy()
        for column, amount in zip(self._free, (wanted.vcpus, wanted.ram_mib, wanted.disk_gib), strict=True):
            fits &= column[:count] >= amount
        if not silent:
            fits &= self._heard_until[:count] > self._clock.monotonic_s()
        away = (*refused, *self._fences.hosts())
        fits[[self._rows[store] for store in away if store in self._rows]] = False
        if among is not None:
            outside = np.ones(count, bool)
            outside[[self._rows[store] for store in among if store in self._rows]] = False
            fits[outside] = False
        if cluster:
            fits &= np.fromiter((h is not None and h.cluster == cluster for h in self._hosts), bool, count)
        if not fits.any():
            return None
        ram = np.where(fits, self._free[1][:count], -1)
        return self._hosts[int(ram.argmax())]

    def promise(self, guest: str, host: str, wanted: Capacity) -> None:
        """Takes room off a host until it is heard to have, or to refuse, the guest."""
        self.give_back(guest)
        self._promised[guest] = (host, wanted, self._clock.monotonic_s() + PROMISE_S)
        self._take(host, wanted, 1)

    def give_back(self, guest: str) -> None:
        """Ends a promise, if there is one."""
        promised = self._promised.pop(guest, None)
        if promised is not None:
            self._take(promised[0], promised[1], -1)

    def host(self, store: str) -> Host | None:
        """A host's record."""
        row = self._rows.get(store)
        return None if row is None else self._hosts[row]

    def is_retired(self, store: str) -> bool:
        """Whether a host has left for good."""
        return store in self._retired

    def placed(self, guest: str) -> tuple[str, str, str] | None:
        """(host, cluster, project) of the guest's highest deed."""
        deed = self._placements.deed(guest)
        return None if deed is None else (deed.host, deed.cluster, deed.project)

    def group_hosts(self, group: str, but: str = "") -> tuple[str, ...]:
        """The hosts that have, or may yet have, members of a server group other than the guest `but`."""
        return self._placements.group_hosts(group, but)

    def hosts(self) -> list[Host]:
        """Every host."""
        return [host for host in self._hosts if host is not None]

    def heeds(self, store: str) -> bool:
        """Whether what an owner says counts now."""
        return store not in self._fences.hosts()

    # --- the sink ---

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return dict(self._positions)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        self._positions[owner.store] = position
        self._learn(owner, ((entry.kind, entry.key, entry.value) for entry in entries))

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See Sink."""
        self._positions[owner.store] = position
        if owner.role == "registrar":
            self._placements.keep_only(owner.store, (row.key for row in rows if row.kind == "admission"))
            self._fences.keep_only(owner.store, {row.key for row in rows if row.kind == "fence"})
        self._learn(owner, ((row.kind, row.key, row.value) for row in rows))

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        if not self.heeds(heartbeat.owner.store):
            return
        until = self._clock.monotonic_s() + SILENT_AFTER_PERIODS * heartbeat.period_s
        self._heard[heartbeat.owner.store] = (until, heartbeat.period_s)
        row = self._rows.get(heartbeat.owner.store)
        if row is not None:
            self._heard_until[row] = until

    def _learn(self, owner: Owner, news: Iterable[tuple[str, str, bytes | None]]) -> None:
        for kind, key, value in news:
            if kind == "host" and value is not None:
                self._put(owner.store, decode_told(value, Host))
            elif kind == "guest" and value is not None:
                self._heard_of(decode_told(value, Guest).id, owner.store)
            elif kind == "refusal" and value is not None:
                self._heard_of(decode_told(value, Refusal).guest, owner.store)
            elif kind == "retirement" and value is not None:
                self._retire(key)
            elif kind == "fence":
                self._fences.learn(owner.store, key, None if value is None else decode(value, Fence))
            elif kind == "admission":
                self._placements.learn(key, None if value is None else decode_told(value, Admission), owner.store)

    def _retire(self, store: str) -> None:
        """It is no host of this cloud any more, whatever it says from now on."""
        self._retired.add(store)
        row = self._rows.get(store)
        if row is not None:
            self._hosts[row], self._enabled[row] = None, False

    def _put(self, store: str, host: Host) -> None:
        if store in self._retired:
            return
        row = self._rows.get(store)
        if row is None:
            row = self._rows[store] = len(self._hosts)
            self._hosts.append(None)
            if row >= len(self._enabled):
                self._grow()
        self._hosts[row] = host
        free = host.free()
        for column, amount in zip(self._free, (free.vcpus, free.ram_mib, free.disk_gib), strict=True):
            column[row] = amount
        self._enabled[row] = host.enabled
        self._heard_until[row] = self._heard.get(store, (0.0, 0.0))[0]
        for promised_to, wanted, _ in self._promised.values():
            if promised_to == store:
                self._take(store, wanted, 1)

    def _take(self, store: str, wanted: Capacity, sign: int) -> None:
        row = self._rows.get(store)
        if row is not None:
            for column, amount in zip(self._free, (wanted.vcpus, wanted.ram_mib, wanted.disk_gib), strict=True):
                column[row] -= sign * amount

    def _heard_of(self, guest: str, store: str) -> None:
        if guest in self._promised and self._promised[guest][0] == store:
            self.give_back(guest)

    def _let_go(self) -> None:
        now = self._clock.monotonic_s()
        while self._promised:
            guest = next(iter(self._promised))
            if self._promised[guest][2] > now:
                return
            self.give_back(guest)

    def _grow(self) -> None:
        """Twice the room for hosts."""
        self._free = [np.concatenate([column, np.zeros_like(column)]) for column in self._free]
        self._enabled = np.concatenate([self._enabled, np.zeros_like(self._enabled)])
        self._heard_until = np.concatenate([self._heard_until, np.zeros_like(self._heard_until)])
