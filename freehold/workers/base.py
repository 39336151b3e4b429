"""What every worker is handed, and how an owner tells what became durable."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from freehold.bus import subjects, talk
from freehold.bus.interface import BODY_BYTES_MAX, Bus, Subscription
from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Offload, Tasks, periodically
from freehold.runtime.watchdog import Watchdog
from freehold.store.coverage import Standing
from freehold.store.database import Store
from freehold.vocabulary.envelope import (
    FRAME_ENTRIES_MAX,
    PAGE_ENTRIES_MAX,
    AsOf,
    Complete,
    DeletedSince,
    Done,
    Entries,
    Entry,
    Frame,
    Happened,
    Happenings,
    Heartbeat,
    Hello,
    OwnerQuestion,
    Page,
    Passed,
    PassOn,
    Past,
    Position,
    Since,
    Stands,
    Told,
    Tombstone,
    Tombstones,
)
from freehold.vocabulary.errors import BadRequest, FreeholdError, StoreFailed, Unavailable
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.word import Word

HEARTBEAT_PERIOD_S: Final = 5.0
PASS_ON_S: Final = 1.0
"""How long a host waits for a network worker to take its heartbeat, before it tells everybody itself."""
GREETINGS_MAX: Final = 4
GREETINGS_PERIOD_S: Final = 4.0
"""So many heartbeats in this time, however many readers say hello: each reaches all of them."""
AGAIN_PAUSE_S: Final = (1.0, 2.0)
"""How long an owner that is connected again waits for its readers, who come back at the same time."""
AGAIN_ENTRIES_MAX: Final = FRAME_ENTRIES_MAX
AGAIN_BYTES_MAX: Final = 128 * 1024
"""What is told again after a time without a connection, at most: ten thousand owners may do it at once."""
FRAME_BYTES_MAX: Final = BODY_BYTES_MAX // 2
COMPACT_PERIOD_S: Final = 60.0
COMPACT_GROWTH_MIN: Final = 10_000
"""Entries that must have come since the last compaction to make the next worth its reading."""


_log = logger("desk")


@dataclass(frozen=True, slots=True)
class Means:
    """What a role is handed: how to talk, what time it is, chance, and where blocking work goes."""

    bus: Bus
    clock: HybridClock
    chance: Chance
    offload: Offload
    shards: Shards = ONE_SHARD
    """The registrar's."""
    centre: str = ""
    """The directory's cluster; empty: not known."""
    gathers: bool = False
    """Whether network workers pass on the heartbeats of hosts: over a bus on which each message is signed."""

    def beyond(self, cluster: str) -> str:
        """The cluster, if it isn't the centre; empty if it is, or if this isn't known."""
        return cluster if self.centre and cluster != self.centre else ""


class Desk:
    """An owner's voice: frames after commits, heartbeats, and answers about its log, which it keeps short.

    Its tasks fail when the store does: a worker has its own `tasks` watch them.
    """

    def __init__(self, means: Means, store: Store, name: str) -> None:
        self._means, self._store, self._name = means, store, name
        self.tasks = Tasks(f"{store.owner.role}.desk")
        self.watchdog = Watchdog(store.owner.role, means.clock.clock)
        """For the loops of the owner, and of its desk."""
        self._told = store.position()
        self._beginning = asyncio.Lock()
        self._compacted_at = 0
        self._greeted_s: deque[float] = deque(maxlen=GREETINGS_MAX)
        self._greeting = False
        self._unheard_since: int | None = None
        """Since when, by the clock of its log, nobody may have heard what was told."""
        self._pauses = False
        """It is connected again, and waits for its readers before it says anything."""
        self._telling = asyncio.Lock()
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Starts to speak: the first heartbeat goes out at once, so that readers come."""
        bus, store = self._means.bus, self._store
        self._told = store.position()
        self._subscriptions = [
            await talk.serve(bus, subjects.owner(store.owner), OwnerQuestion, self._answer, group="owner"),
            await talk.hear(bus, subjects.hello(store.owner.role), Hello, self._greet),
            await talk.hear(bus, subjects.hello(store.owner.role, store.owner.cluster), Hello, self._greet),
            bus.on_connect(self._connected_again),
        ]
        self.tasks.start("watchdog", self.watchdog.run())
        self.tasks.start("tell", self._tell())
        self.tasks.start("heartbeat", self._beat())
        self.tasks.start("compact", periodically(self._means.clock.clock.sleep, COMPACT_PERIOD_S, self._compact))

    async def close(self) -> None:
        """Falls silent."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.tasks.close()

    async def serve(
        self,
        subject: str,
        questions: Any,
        handler: Callable[[Any], Awaitable[Word]],
        group: str,
        at_once_max: int = talk.AT_ONCE_MAX,
        subject_of: Callable[[Any, str], str] | None = None,
    ) -> Subscription:
        """Answers questions with `handler`, as `talk.serve` does. A refusal waits until what it may rest on is on disk:
        a guest whose end was staged, and is lost again when the disk fails, isn't "not found".
        """

        async def answer(question: Any) -> Word:
            try:
                return await handler(question)
            except FreeholdError:
                await self._store.durable()
                raise

        return await talk.serve(self._means.bus, subject, questions, answer, group, at_once_max, subject_of)

    def done(self, position: Position, key: str = "") -> Done:
        """The answer to a change that is durable at `position`."""
        return Done(store=self._store.id, position=position, key=key)

    async def _answer(self, question: OwnerQuestion) -> Word:
        store = self._store
        match question:
            case Since(position=position):
                if store.is_behind(position):
                    await self._begin_epoch(position)
                return _bounded_entries(store.since(position, PAGE_ENTRIES_MAX))
            case Complete(after=after):
                return _bounded_page(store.complete(after, PAGE_ENTRIES_MAX))
            case Told(about=about):
                return _bounded_entries(store.told_about(about))
            case Stands():
                return store.position()
            case AsOf():
                return await self._as_of(question)
            case DeletedSince():
                return await self._deleted_since(question)
            case Happened():
                return self._happened(question)

    async def _as_of(self, asked: AsOf) -> Past:
        """A page of the state at a moment that is over: nothing will be written at or before it any more."""
        store, history = self._store, self._store.history
        if asked.at is None:
            await self._pass(asked.time)
            moment = history.at_time(asked.time, store.position().seq)
        else:
            if asked.at.epoch not in ("", store.epoch) or asked.at.seq > store.position().seq:
                raise BadRequest(f"the {store.owner.role} {self._name} knows no such position; ask /freehold/v1/owners")
            moment = history.at_seq(asked.at.seq)
        part = history.state(moment.seq, asked.kinds, asked.prefix, asked.project, asked.after, FRAME_BYTES_MAX)
        horizon = history.horizon()  # read last: it moves before anything is dropped
        position = Position(epoch=store.epoch, seq=moment.seq)
        wanted_time, wanted_seq = (asked.time, moment.seq) if asked.at is None else (moment.time, asked.at.seq)
        if wanted_time < horizon.time or wanted_seq < horizon.seq:
            return Past(position=position, horizon=horizon.time, too_old=True)
        return Past(
            position=position,
            time=moment.time,
            rows=part.rows,
            after=part.after,
            more=part.more,
            horizon=horizon.time,
        )

    async def _pass(self, time: int) -> None:
        """Moves the clock past `time`, and waits until all that was staged before is durable. Raises Unavailable if
        the clock is too far behind to be moved.
        """
        clock = self._means.clock
        clock.heard(time)
        if clock.now() <= time:
            raise Unavailable(f"the clock of the {self._store.owner.role} {self._name} is behind the time asked for")
        await self._store.durable()

    async def _deleted_since(self, asked: DeletedSince) -> Tombstones:
        store, limit = self._store, PAGE_ENTRIES_MAX
        await store.durable()
        newest = store.position().seq
        first = max(asked.after, store.history.at_time(asked.time - 1, newest).seq)
        found = store.history.deleted(asked.kind, asked.project, first, newest, limit)
        return _bounded_tombstones(found, len(found) == limit)

    def _happened(self, asked: Happened) -> Happenings:
        """What is durable alone. One that comes again from before the horizon, or of another epoch, has missed some."""
        store, history = self._store, self._store.history
        if not asked.kinds or asked.epoch != store.epoch or asked.until > store.position().seq:
            return Happenings(lost=True)
        found = history.happened(asked, FRAME_BYTES_MAX)
        lost = not asked.about and asked.after < history.horizon().seq  # read last: it moves before anything is dropped
        return Happenings(lost=True) if lost else found

    async def _begin_epoch(self, position: Position) -> None:
        """Of many readers who stand beyond this disk and ask at once, one is enough: each epoch costs every reader a
        complete state.
        """
        async with self._beginning:
            if not self._store.is_behind(position):
                return
            _log.error("readers know more than this disk: it was put back to an old copy", store=self._store.id)
            await self._store.begin_epoch(new_id(self._means.chance))
            self._told = self._store.position()
        await self._say_heartbeat()

    async def _tell(self) -> None:
        seen = 0
        while True:
            seen = await self._store.news(seen)
            async with self._telling:
                while self._told.seq < self._store.position().seq and not self._pauses:
                    await self.watchdog.turn("tell", self._tell_next())

    async def _tell_next(self) -> None:
        entries = _bounded_entries(self._store.since(self._told, FRAME_ENTRIES_MAX)).entries
        if not entries:
            self._told = self._store.position()
            return
        await self._say_frame(entries)

    async def _say_frame(self, entries: tuple[Entry, ...]) -> None:
        owner, epoch = self._store.owner, self._store.epoch
        await talk.say(self._means.bus, subjects.events(owner), Frame(owner=owner, epoch=epoch, entries=entries))
        self._told = Position(epoch=epoch, seq=entries[-1].seq, digest=entries[-1].digest)

    async def _beat(self) -> None:
        soon = True  # it has just come
        while True:
            await self.watchdog.turn("heartbeat", self._beat_out(soon=soon))
            soon = False
            await self._means.clock.clock.sleep(HEARTBEAT_PERIOD_S * self._means.chance.uniform(0.8, 1.2))

    async def _compact(self) -> None:
        stands = self._store.position().seq
        if stands - self._compacted_at >= COMPACT_GROWTH_MIN:
            try:
                await self._store.compact()
            except StoreFailed as error:
                _log.warning("trying again later", error=error.message)
                return
            self._compacted_at = stands

    async def _greet(self, _hello: Hello) -> None:
        self._beat_again()

    def _connected_again(self, lost_s: float) -> None:
        """For `lost_s` seconds nobody may have heard what was told; 0: there was no connection before."""
        if not lost_s:
            self._beat_again()
            return
        since = self._means.clock.now() - clock_time(round(lost_s * 1000))
        self._unheard_since = since if self._unheard_since is None else min(self._unheard_since, since)
        if not self._pauses:
            self._pauses = True
            self.tasks.start("tell again", self._tell_again())

    def _beat_again(self) -> None:
        """Beats beside the usual times: soon, and once for all who have come."""
        if not self._greeting:
            self._greeting = True
            self.tasks.start("greet", self._say_greeting())

    async def _say_greeting(self) -> None:
        clock = self._means.clock.clock
        if len(self._greeted_s) == GREETINGS_MAX:
            rest_s = self._greeted_s[0] + GREETINGS_PERIOD_S - clock.monotonic_s()
            if rest_s > 0:
                await clock.sleep(rest_s)
        self._greeted_s.append(clock.monotonic_s())
        self._greeting = False
        await self._beat_out(soon=True)

    async def _tell_again(self) -> None:
        """Tells once more what was told without a connection, if one frame holds it: each reader would have to ask.
        Before that nothing is told, which would show readers the gap.
        """
        clock, store = self._means.clock, self._store
        await clock.clock.sleep(self._means.chance.uniform(*AGAIN_PAUSE_S))
        async with self._telling:
            since = self._unheard_since
            self._unheard_since, self._pauses = None, False
            assert since is not None
            entries = store.history.newest(since, store.position().seq, AGAIN_ENTRIES_MAX)
            if entries and sum(_size(entry) for entry in entries) <= AGAIN_BYTES_MAX:
                await self._say_frame(entries)
        await self._beat_out(soon=True)

    async def _beat_out(self, *, soon: bool = False) -> None:
        """A heartbeat, which somebody who gathers those of many passes on, where there is somebody."""
        if self._pauses or await self._is_passed_on(soon=soon):
            return
        await self._say_heartbeat()

    async def _is_passed_on(self, *, soon: bool) -> bool:
        owner = self._store.owner
        if owner.role != "host" or not self._means.gathers:
            return False
        question = PassOn(beat=self._heartbeat(), soon=soon)
        try:
            await talk.ask(self._means.bus, subjects.ask_beats(owner), question, Passed, PASS_ON_S)
        except FreeholdError:
            return False
        return True

    async def _say_heartbeat(self) -> None:
        if not self._pauses:
            await talk.say(self._means.bus, subjects.heartbeats(self._store.owner), self._heartbeat())

    def _heartbeat(self) -> Heartbeat:
        store, now_s = self._store, self._means.clock.clock.monotonic_s()
        coverage, standing = store.coverage, Standing(store.position(), store.commits)
        return Heartbeat(
            owner=self._store.owner,
            position=self._store.position(),
            time=self._means.clock.now(),
            name=self._name,
            period_s=HEARTBEAT_PERIOD_S,
            horizon=self._store.history.horizon().time,
            backup=None if coverage is None else coverage.behind(standing, now_s),
        )


def _bounded_entries(answer: Entries) -> Entries:
    """As many of the entries as fit into one message; always at least one."""
    count, size = 0, 0
    for entry in answer.entries:
        size += _size(entry)
        if count and size > FRAME_BYTES_MAX:
            break
        count += 1
    return Entries(position=answer.position, entries=answer.entries[:count], complete_needed=answer.complete_needed)


def _bounded_page(page: Page) -> Page:
    size = 0
    for count, row in enumerate(page.rows):
        size += len(row.value) + len(row.key) + 64
        if count and size > FRAME_BYTES_MAX:
            return Page(position=page.position, rows=page.rows[:count], more=True)
    return page


def _bounded_tombstones(found: tuple[Tombstone, ...], more: bool) -> Tombstones:
    size = 0
    for count, one in enumerate(found):
        size += len(one.value) + len(one.key) + 64
        if count and size > FRAME_BYTES_MAX:
            return Tombstones(deleted=found[:count], more=True)
    return Tombstones(deleted=found, more=more)


def _size(entry: Entry) -> int:
    return len(entry.value or b"") + len(entry.key) + len(entry.cause) + 96
