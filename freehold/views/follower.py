"""Following owners: every entry once and in order, or the complete state, whatever the bus did.

For each owner a sink keeps the position (epoch, sequence, digest) it stands at.
    next in sequence                            apply
    already seen                                drop
    a gap, or a heartbeat that is ahead         ask the owner for everything since, unless what
                                                has come by now fills it
    other epoch, past the horizon, or a digest  take its complete state and replace its part
    that doesn't fit
A heartbeat may overtake what was told before it, for the two are heard side by side. An owner that doesn't answer is
asked again when it is next heard, never in a loop of its own. What comes while an owner is being asked is held and
taken after the answer. A record that can't be read here is left out, and said so: one bad record doesn't end its
readers. So is one that its owner may not tell of (`believed`); that is counted.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus, Hearing, Subscription
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.views import believed
from freehold.views.chain import chains, continues, reached
from freehold.views.complete import ASK_DEADLINE_S, PART_ROWS, PartSink, Reading, WholeSink
from freehold.vocabulary.codec import KINDS, decode_told
from freehold.vocabulary.envelope import (
    Beats,
    Entries,
    Entry,
    Frame,
    Heartbeat,
    Hello,
    Owner,
    Position,
    Row,
    Since,
)
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.word import Word

ASKED_MAX: Final = 32
"""Owners that are asked at once; the others are due."""
HELD_MAX: Final = 1000
"""Frames and heartbeats held while their owner is asked; if the oldest are lost, that is a gap like any other."""

KEY_LETTERS_LOGGED: Final = 100

_log = logger("views")


class Follower:
    """Follows all owners of some roles, of one cluster if it is named, for one sink.

    `heeds`: whether an owner, by its store, is read now. One that isn't is read on from where it was when it is again.
    """

    def __init__(
        self,
        bus: Bus,
        roles: Sequence[str],
        sink: WholeSink | PartSink,
        room: str = "view",
        cluster: str = subjects.EVERY,
        heeds: Callable[[str], bool] = lambda _store: True,
    ) -> None:
        self._bus, self._roles, self._sink, self._cluster = bus, tuple(roles), sink, cluster
        self._heeds = heeds
        self.tasks = Tasks(f"{room}.follower")
        self._positions: dict[str, Position] = {}
        self._unread: set[str] = set()
        """Whose complete state wasn't read to the end: of these it has more than it had at their position, and they are
        asked with that all the same, for one that was put back to before it learns so by it.
        """
        self._due: OrderedDict[str, Frame | Heartbeat | Owner] = OrderedDict()
        """Who is to be asked when it is his turn, by store, with the newest that shows it."""
        self._asking = 0
        self._turn = asyncio.Lock()
        """Held by who takes a part of an answer: of many owners that answer at once, one part a turn of the loop."""
        self._held: dict[str, deque[Frame | Heartbeat]] = {}
        """What came of owners that are being asked, in order."""
        self._subscriptions: list[Subscription] = []
        self._frames: list[Hearing] = []
        """Those of them that hear what is told."""
        self.questions = 0
        """How often an owner was asked for what was missed."""
        self.resyncs = 0
        """How often a complete state was taken."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """How much was refused of each owner, by (store, reason)."""

    def stands(self) -> dict[str, Position]:
        """Where it stands for each owner's store."""
        return {store: position for store, position in self._positions.items() if store not in self._unread}

    def stands_at(self, store: str) -> Position:
        """Where it stands for one of them; at nothing, if it has read nothing of it."""
        return self._positions.get(store, Position(epoch=""))

    def refused_of(self, store: str) -> dict[str, int]:
        """How much of an owner was refused, by reason."""
        return {reason: count for reason in believed.REASONS if (count := self.refused[store, reason])}

    async def open(self) -> None:
        """Starts to listen, and asks who is there."""
        self._positions = dict(self._sink.positions())
        if isinstance(self._sink, PartSink):
            self._unread = set(self._sink.unread())
        for role in self._roles:
            frames, beats = subjects.events_of(role, self._cluster), subjects.heartbeats_of(role, self._cluster)
            self._frames.append(await talk.hear(self._bus, frames, Frame, self._on_frame, subject_of=_told_at))
            self._subscriptions.append(
                await talk.hear(self._bus, beats, Heartbeat, self._on_heartbeat, subject_of=_beaten_at)
            )
        if "host" in self._roles:
            gathered = subjects.beats_of(self._cluster)
            self._subscriptions.append(
                await talk.hear(self._bus, gathered, Beats, self._on_beats, subject_of=_passed_on_at)
            )
        self._subscriptions.append(self._bus.on_connect(self._greet_again))
        await self._greet()

    async def close(self) -> None:
        """Hears no more."""
        for subscription in self._frames + self._subscriptions:
            await subscription.close()
        await self.tasks.close()

    async def _greet(self) -> None:
        """Asks who is there. Each answers by a heartbeat, which shows whether something was missed."""
        for role in self._roles:
            await talk.say(self._bus, subjects.hello(role, self._cluster), Hello())

    def _greet_again(self, _lost_s: float) -> None:
        self.tasks.start("greet", self._greet())

    async def _on_frame(self, frame: Frame) -> None:
        self._hear(frame)

    async def _on_heartbeat(self, heartbeat: Heartbeat) -> None:
        self._take_heartbeat(heartbeat)

    async def _on_beats(self, gathered: Beats) -> None:
        """A network worker speaks for the hosts of its own cluster, and for nobody else."""
        for beat in gathered.beats:
            if beat.owner.role == "host" and beat.owner.cluster == gathered.owner.cluster:
                self._take_heartbeat(beat)
            else:
                self._refuse(gathered.owner, "heartbeat", beat.owner.store, believed.OTHER_HOST)

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        self._sink.heard(heartbeat)
        self._hear(heartbeat)

    def _hear(self, news: Frame | Heartbeat) -> None:
        if not self._heeds(news.owner.store):
            return
        held = self._held.get(news.owner.store)
        if held is not None:
            held.append(news)
        elif not self._leads_on(news):
            self._ask_for(news)

    def _leads_on(self, news: Frame | Heartbeat) -> bool:
        """Takes what leads on from what was read. False if it doesn't: its owner is to be asked."""
        stands = self._positions.get(news.owner.store)
        if stands is None or news.owner.store in self._unread:
            return False
        return self._is_next(stands, news) if isinstance(news, Frame) else self._is_there(stands, news)

    def _is_next(self, stands: Position, frame: Frame) -> bool:
        if stands.epoch != frame.epoch or not frame.entries or frame.entries[0].seq > stands.seq + 1:
            return False
        return self._take(frame.owner, stands, frame.entries)

    def _is_there(self, stands: Position, heartbeat: Heartbeat) -> bool:
        told = heartbeat.position
        if stands.epoch != told.epoch or stands.seq != told.seq:
            # One that is behind is late, or its owner was put back to an old copy: the question tells it that.
            return False
        if stands.digest != told.digest:
            _log.error("an owner's history differs from what was read of it", store=heartbeat.owner.store, seq=told.seq)
        return stands.digest == told.digest

    def _take(self, owner: Owner, stands: Position, entries: Sequence[Entry]) -> bool:
        """Applies those of `entries` that are next. False if their digests don't continue what was read."""
        if any(entry.seq == stands.seq and entry.digest != stands.digest for entry in entries):
            _log.error("an owner has written another history than was read of it", store=owner.store, seq=stands.seq)
            return False
        fresh = [entry for entry in entries if entry.seq > stands.seq]
        if not chains(stands, fresh):
            _log.error("an owner's entries don't continue what was read of it", store=owner.store, seq=fresh[0].seq)
            return False
        if fresh:
            self._apply(owner, stands, fresh)
        return True

    def _apply(self, owner: Owner, stands: Position, entries: Sequence[Entry]) -> None:
        self._check_heeded(owner)
        position = reached(stands, entries)
        self._sink.apply(owner, position, [entry for entry in entries if self._takes(owner, entry)])
        self._positions[owner.store] = position

    def catch_up(self, owner: Owner) -> None:
        """Asks an owner for what it has written since, unless it is being asked: after those who are due before it, for
        of ten thousand that come back at once only so many are asked at once as can answer in time.
        """
        if owner.store not in self._held:
            self._due[owner.store] = owner
            self._ask_due()

    def _ask_for(self, news: Frame | Heartbeat) -> None:
        """Asks its owner, unless what has come by now shows that nothing is missing."""
        if not isinstance(self._due.get(news.owner.store), Owner):
            self._due[news.owner.store] = news
            self._ask_due()

    def _ask_due(self) -> None:
        if self._asking < ASKED_MAX:
            self._asking += 1
            self.tasks.start("catch up", self._catch_up_due())

    async def _catch_up_due(self) -> None:
        try:
            while self._due:
                for frames in self._frames:
                    await frames.caught_up()
                if self._due:
                    await self._catch_up_next()
        finally:
            self._asking -= 1

    async def _catch_up_next(self) -> None:
        store, news = self._due.popitem(last=False)
        if isinstance(news, Owner):
            await self._catch_up_now(news)
        elif self._heeds(store) and not self._leads_on(news):
            await self._catch_up_now(news.owner)

    async def _catch_up_now(self, owner: Owner) -> None:
        self._held[owner.store] = deque(maxlen=HELD_MAX)
        self.questions += 1
        try:
            while not await self._next_part(owner):
                pass
        except FreeholdError as error:
            _log.info("an owner can't be asked now", store=owner.store, role=owner.role, error=error.message)
            self._held[owner.store].clear()
        finally:
            held = self._held.pop(owner.store)  # however this ends: what is held would be held for ever
        for news in held:
            self._hear(news)

    async def _next_part(self, owner: Owner) -> bool:
        """Reads the next part of what was missed; True when there is no more."""
        stands = self._positions.get(owner.store)
        if stands is None:
            await self._take_complete(owner)
            return True
        answer = await self._since(owner, stands)
        if answer.complete_needed or owner.store in self._unread or not continues(stands, answer):
            await self._take_complete(owner)
            return True
        for first in range(0, len(answer.entries), PART_ROWS):
            async with self._turn:
                self._apply(owner, self._positions[owner.store], answer.entries[first : first + PART_ROWS])
                await asyncio.sleep(0)
        return self._positions[owner.store].seq >= answer.position.seq

    def _check_heeded(self, owner: Owner) -> None:
        """It may not be any more, since it was asked."""
        if not self._heeds(owner.store):
            raise FreeholdError(f"{owner.role} {owner.store} isn't heeded now")

    async def _take_complete(self, owner: Owner) -> None:
        """Reads all that the owner has, and hands it over."""
        reading = Reading(self._bus, owner, self.stands_at(owner.store), self._takes, self._check_heeded, self._turn)
        if isinstance(self._sink, PartSink):
            position = await reading.in_parts(self._sink, lambda: self._unread.add(owner.store))
            self._unread.discard(owner.store)
        else:
            position = await reading.as_one(self._sink)
        self._positions[owner.store] = position
        self.resyncs += 1

    def _takes(self, owner: Owner, told: Entry | Row) -> bool:
        """False for what can't be read, and for what the owner may not say. Kinds not known here are the sink's."""
        if told.kind not in KINDS:
            return True
        reason = believed.refused_kind(owner, told.kind)
        if not reason and told.value is not None:
            record = _read(owner, told)
            if record is None:
                return False
            reason = believed.refused(owner, told.key, record)
        if reason:
            self._refuse(owner, told.kind, told.key, reason)
        return not reason

    def _refuse(self, owner: Owner, kind: str, key: str, reason: str) -> None:
        self.refused[owner.store, reason] += 1
        count = self.refused[owner.store, reason]
        if count.bit_count() == 1:
            _log.error(
                "an owner has told of what isn't its own; it is refused",
                reason=reason,
                store=owner.store,
                kind=kind,
                key=key[:KEY_LETTERS_LOGGED],
                refused=count,
            )

    async def _since(self, owner: Owner, position: Position) -> Entries:
        return await talk.ask(self._bus, subjects.owner(owner), Since(position=position), Entries, ASK_DEADLINE_S)


def _read(owner: Owner, told: Entry | Row) -> Word | None:
    """The record; None if this version can't read it."""
    assert told.value is not None
    try:
        return decode_told(told.value, KINDS[told.kind])
    except ValueError as error:
        _log.error("a record can't be read", store=owner.store, kind=told.kind, key=told.key, error=str(error))
        return None


def _told_at(frame: Frame) -> str:
    return subjects.events(frame.owner)


def _beaten_at(heartbeat: Heartbeat) -> str:
    return subjects.heartbeats(heartbeat.owner)


def _passed_on_at(gathered: Beats) -> str:
    return subjects.beats(gathered.owner)
