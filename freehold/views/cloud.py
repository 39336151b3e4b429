"""The API's view of the whole cloud.

It answers from its own file, knows how old its knowledge of each owner is, and can make sure that it has seen what
was written before a question came (read your own write) with one question to each owner, shared by all who wait.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from freehold.bus.interface import Bus
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.runtime.tasks import periodically
from freehold.views.audit import Audit
from freehold.views.complete import RecordKey
from freehold.views.cursor import Place
from freehold.views.feed import KINDS_TOLD
from freehold.views.fences import Fences
from freehold.views.follower import Follower
from freehold.views.fragments import Fragments
from freehold.views.interface import OwnerSeen
from freehold.views.news import Newsroom, Told
from freehold.views.questions import StandsQuestion
from freehold.views.rows import RowFile
from freehold.vocabulary.codec import KIND_OF, decode
from freehold.vocabulary.envelope import Done, Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import FreeholdError, Unavailable
from freehold.vocabulary.fence import Fence, fence_key
from freehold.vocabulary.host import Retirement
from freehold.vocabulary.request import Admitted
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

ROLES: Final = ("directory", "registrar", "image", "network", "volume", "host", "notifier")
SEEN_DEADLINE_S: Final = 5.0
NUDGE_S: Final = 0.5
"""How long a write is waited for before its owner is asked: its frame may have been lost."""
KEEP_PERIOD_S: Final = 1.0
"""What it learned in that time it asks for again after it was killed; or less (`rows.KEPT_CHANGES`)."""
SILENT_AFTER_PERIODS: Final = 3
"""An owner that missed this many heartbeats isn't asked by `fresh`: its part is shown as old as it is."""

_MANY: Final = ("host", "volume")
"""Roles of whose owners there are many, each with a part that is shown as old as it is when it can't be reached: what
there is of guests and of volumes the registrar knows.
"""

_JOINED: Final = frozenset({"port", "security_group"})
"""Kinds of which it takes what stood before to know what was made of them."""

_log = logger("views")


class CloudView:
    """See the module. Also the `Sink` that a Follower feeds."""

    def __init__(self, bus: Bus, clock: HybridClock, path: Path, boot: str) -> None:
        self._bus, self._clock = bus, clock
        self._file = RowFile(path, boot, clock.now)
        seen = self._file.positions()
        self._owners = {store: one.owner for store, one in seen.items()}
        self._stands = {store: one.position for store, one in seen.items()}
        self._unread = {store for store, one in seen.items() if not one.is_whole}
        """Whose complete state isn't all here yet."""
        self._in_step = {store: one.until for store, one in seen.items()}
        """The clock time until which the view has all of an owner's writes."""
        clock.go_on_from(max((one.learned for one in seen.values()), default=0))
        self._retired = {one.host for one in self.list(Retirement)}
        self._fences = Fences()
        for fence in self.list(Fence):
            key = fence_key(fence.host, fence.shard)
            self._fences.learn(self.owner(Fence, key), key, fence)
        self._began_s = clock.clock.monotonic_s()
        self._beats: dict[str, tuple[float, Heartbeat]] = {}
        self._waiting: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}
        self._questions: dict[str, StandsQuestion] = {}
        self.follower = Follower(bus, ROLES, self, "cloud", heeds=self.heeds)
        self.audit = Audit(self, clock.clock)
        self.news = Newsroom(self)
        self.fragments = Fragments()
        """What was made of servers for those who read them."""

    async def open(self, *, audited: bool = False) -> None:
        """Starts to follow: asks only for what came since the file was written. `audited`: and to look through it."""
        await self.follower.open()
        self.follower.tasks.start("keep", periodically(self._clock.clock.sleep, KEEP_PERIOD_S, self._keep))
        if audited:
            self.follower.tasks.start("audit", self.audit.run())

    async def _keep(self) -> None:
        self._file.keep()

    async def close(self) -> None:
        """Stops, leaving the file whole."""
        await self.follower.close()
        self._file.close()

    def abandon(self) -> None:
        """Lets go of the file as the end of a killed process does: nothing more is written, nothing is marked."""
        self._file.abandon()

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, shape: type[R], key: str) -> R | None:
        """One record; None if there is none."""
        value = self._file.get(KIND_OF[shape], key)
        return None if value is None else decode(value, shape)

    def owner(self, shape: type[Word], key: str) -> str:
        """The store of the owner that a record is shown from; empty if there is no such record."""
        return self._file.holder(KIND_OF[shape], key)

    def list(
        self, shape: type[R], project: str | None = None, *, after: str = "", newest_first: bool = True
    ) -> Iterator[R]:
        """Records in order of creation within the project; of all projects (by project, then creation) for None.

        `after` is the key of a marker, which isn't included. Raises NotFound if the marker isn't there.
        """
        for value in self._file.list(KIND_OF[shape], project, after, newest_first):
            yield decode(value, shape)

    def keys(self, shape: type[Word], project: str, *, after: str, limit: int, newest_first: bool) -> Sequence[str]:
        """The keys of so many of a project's records, in the same order. Raises NotFound as well."""
        return self._file.keys(KIND_OF[shape], project, after, limit, newest_first)

    def keyed(self, shape: type[R], prefix: str) -> Iterator[R]:
        """Records whose key begins with `prefix`, in key order."""
        for value in self._file.keyed(KIND_OF[shape], prefix):
            yield decode(value, shape)

    def everything(self) -> dict[tuple[str, str], bytes]:
        """Every record that is shown, by kind and key: for audits and checks; it costs the whole view."""
        return self._file.everything()

    def learned(self, shape: type[R], key: str) -> int:
        """The clock time at which it learned of what a record shows; 0 if there is no such record."""
        return self._file.learned(KIND_OF[shape], key)

    def known_until(self, roles: Sequence[str]) -> int:
        """A clock time: it has everything that the known owners of `roles` had written until then."""
        times = [self._in_step.get(store, 0) for store, owner in self._owners.items() if owner.role in roles]
        return min(times, default=self._clock.now())

    def owners(self) -> Sequence[OwnerSeen]:
        """Every owner it knows, by role and name."""
        found = [self._owner_seen(owner) for owner in self._owners.values()]
        return sorted(found, key=lambda seen: (seen.owner.role, seen.name, seen.owner.store))

    def owner_seen(self, store: str) -> OwnerSeen | None:
        """One of them; None for one that it doesn't know."""
        owner = self._owners.get(store)
        return None if owner is None else self._owner_seen(owner)

    def place(self, store: str) -> Place | None:
        """Where it stands in an owner's log; None for one that it doesn't know."""
        stands = self._stands.get(store)
        return None if stands is None or not stands.epoch else Place(store, stands.epoch, stands.seq)

    def owners_of(self, role: str, cluster: str = "") -> Sequence[str]:
        """The stores of the owners of a role, of one cluster if it is named."""
        every = self._owners.values()
        return [owner.store for owner in every if owner.role == role and cluster in ("", owner.cluster)]

    def action_of(self, urn: str) -> str:
        """The key of the action that a host did by a request; empty if none is known."""
        return self._file.action_of(urn)

    def heeds(self, store: str) -> bool:
        """Whether what an owner says counts now: a fenced host's doesn't, nor that of one that has left for good."""
        return store not in self._fences.hosts() and store not in self._retired

    def _owner_seen(self, owner: Owner) -> OwnerSeen:
        beat, now = self._beats.get(owner.store), self._clock.clock.monotonic_s()
        return OwnerSeen(
            owner=owner,
            name=beat[1].name if beat else "",
            position=self._stands.get(owner.store, Position(epoch="")),
            age_s=None if beat is None else now - beat[0],
            silent_s=now - (self._began_s if beat is None else beat[0]),
            horizon=0 if beat is None else beat[1].horizon,
            backup=None if beat is None else beat[1].backup,
            refused=self.follower.refused_of(owner.store),
            contradictions=dict(self.audit.findings.get(owner.store, {})),
        )

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def seen(self, done: Done | Admitted, deadline_s: float = SEEN_DEADLINE_S) -> None:
        """Waits until the view has a write. Goes on without it at the deadline: the write is durable all the same."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._reached(done.store, done.position)
        except TimeoutError:
            _log.warning("the view is late", store=done.store, wanted=done.position.seq)

    async def fresh(
        self, roles: Sequence[str], shards: Iterable[int] = (IDENTITY_SHARD,), hosts: Iterable[str] | None = None
    ) -> None:
        """Makes sure that the view has what the owners of `roles`, of the registrar those of `shards` and of hosts and
        volume workers those of `hosts` (all, if it is None), had written when this was called.

        A host or a volume worker that can't be reached is left as old as it is, and so is another owner that has fallen
        silent. Raises Unavailable if it can't be made sure: nobody may take for gone what this view just hasn't seen
        yet.
        """
        stores = [store for role in roles if role != "registrar" for store in self._to_ask(role)]
        if hosts is not None:
            among = frozenset(hosts)
            stores = [store for store in stores if store in among or self._owners[store].role not in _MANY]
        if "registrar" in roles:
            stores += [store for shard in shards for store in self._of_shard(shard)]
        await asyncio.gather(*(self._caught_up(store) for store in stores))

    def _to_ask(self, role: str) -> Sequence[str]:
        known = [store for store, owner in self._owners.items() if owner.role == role]
        if role in _MANY:
            heard = [store for store in known if store in self._beats and not self._is_silent(store)]
            return [store for store in heard if self.heeds(store)]
        if not known:
            raise Unavailable(f"No {role} worker has been heard since this API process started. Try again.")
        return [store for store in known if not self._is_silent(store)]

    def _of_shard(self, shard: int) -> Sequence[str]:
        owners = self._owners.values()
        known = [owner.store for owner in owners if owner.role == "registrar" and owner.shard == shard]
        if not known:
            raise Unavailable(f"Registrar shard {shard} hasn't been heard since this API process started. Try again.")
        return known

    def _is_silent(self, store: str) -> bool:
        """Whether an owner that was heard once hasn't been for a while."""
        beat = self._beats.get(store)
        if beat is None:
            return False
        return self._clock.clock.monotonic_s() - beat[0] >= SILENT_AFTER_PERIODS * beat[1].period_s

    async def _caught_up(self, store: str) -> None:
        owner, shared = self._owners[store], self._questions.get(store)
        if shared is None:
            shared = self._questions[store] = StandsQuestion(self._bus, owner)
        try:
            asked = self._clock.now()
            position = await shared.stands()
            async with asyncio.timeout(SEEN_DEADLINE_S):
                await self._reached(store, position)
            self._in_step[store] = max(self._in_step.get(store, 0), asked)
        except (FreeholdError, TimeoutError) as error:
            _log.warning("an owner didn't say where it stands in time", store=store)
            if owner.role not in _MANY:
                raise Unavailable(f"The {owner.role} worker can't be reached now. Try again.") from error

    async def _reached(self, store: str, position: Position) -> None:
        if self._has(store, position):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(store, [])
        waiting[:] = [waiter for waiter in waiting if not waiter[1].done()]
        waiting.append((position.seq, future))
        done, _ = await asyncio.wait([future], timeout=NUDGE_S)
        if not done and store in self._owners:
            self.follower.catch_up(self._owners[store])
        await future

    def _has(self, store: str, position: Position) -> bool:
        stands = self._stands.get(store)
        is_there = stands is not None and stands.epoch == position.epoch and stands.seq >= position.seq
        return is_there and store not in self._unread

    # --- the sink --------------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Position]:
        """See Sink."""
        return dict(self._stands)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See Sink."""
        told = self._with_before(owner, entries)
        if self.fragments:
            for entry in entries:
                self.fragments.changed(entry, self._file.get(entry.kind, entry.key) if entry.kind in _JOINED else None)
        self._file.apply(owner, position, entries)
        self._stand(owner, position)
        self.news.took(owner, position.epoch, told)
        self._forget(entry.key for entry in entries if entry.kind == "retirement" and entry.value is not None)
        for entry in entries:
            if entry.kind == "fence":
                self._learn_fence(owner, entry.key, entry.value)

    def _with_before(self, owner: Owner, entries: Sequence[Entry]) -> Sequence[Told]:
        """Entries with what stood under their keys before in the same log, where anybody wants to know."""
        told = []
        stood: dict[tuple[str, str], bytes | None] = {}
        for entry in entries:
            place, before = (entry.kind, entry.key), None
            wanted = self.news.needs_before or (entry.kind == "admission" and entry.value is None)
            if wanted and entry.kind in KINDS_TOLD:
                before = stood[place] if place in stood else self._file.own(owner.store, *place)
                stood[place] = entry.value
            told.append((entry, before))
        return told

    def unread(self) -> Collection[str]:
        """See PartSink."""
        return self._unread

    def begin(self, owner: Owner) -> None:
        """See PartSink."""
        self._file.begin(owner)
        self._unread.add(owner.store)
        self._fences.begin(owner.store)

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        """See PartSink."""
        self._file.take_part(owner, above, upto, rows)
        self._take_in(owner, rows)

    def amend(self, owner: Owner, entries: Sequence[Entry]) -> None:
        """See PartSink."""
        self._file.amend(owner, entries)
        self._take_in(owner, entries)

    def replaced(self, owner: Owner, position: Position) -> None:
        """See PartSink."""
        self._file.replaced(owner, position)
        self._unread.discard(owner.store)
        self._fences.end(owner.store)
        self._stand(owner, position)
        self.news.replaced(owner)

    def _take_in(self, owner: Owner, told: Sequence[Row] | Sequence[Entry]) -> None:
        """What else than the file has a part of a complete state."""
        self.fragments.clear()
        self._forget(one.key for one in told if one.kind == "retirement" and one.value is not None)
        for one in told:
            if one.kind == "fence":
                self._learn_fence(owner, one.key, one.value)

    def heard(self, heartbeat: Heartbeat) -> None:
        """See Sink."""
        if not self.heeds(heartbeat.owner.store):
            return
        store = heartbeat.owner.store
        self._owners[store] = heartbeat.owner
        self._beats[store] = (self._clock.clock.monotonic_s(), heartbeat)
        self._clock.heard(heartbeat.time)
        if self._stands.get(store) == heartbeat.position and store not in self._unread:
            self._in_step[store] = self._clock.now()

    def _forget(self, retired: Iterable[str]) -> None:
        """Lets go of hosts that were retired: of their records, and of them as owners. Nothing they say is heeded."""
        for store in retired:
            self._retired.add(store)
            self._file.forget(store)
            self.fragments.clear()
            for known in (self._owners, self._stands, self._in_step, self._beats, self._questions):
                known.pop(store, None)

    def _learn_fence(self, owner: Owner, key: str, value: bytes | None) -> None:
        self._fences.learn(owner.store, key, None if value is None else decode(value, Fence))

    def _stand(self, owner: Owner, position: Position) -> None:
        self._owners[owner.store] = owner
        self._stands[owner.store] = position
        waiting = self._waiting.pop(owner.store, [])
        later = [(seq, future) for seq, future in waiting if seq > position.seq and not future.done()]
        if later:
            self._waiting[owner.store] = later
        for seq, future in waiting:
            if seq <= position.seq and not future.done():
                future.set_result(None)
