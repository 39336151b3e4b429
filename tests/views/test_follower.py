"""A follower brings each owner's entries to its sink once and in order, whatever the bus does."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.ears import Waker
from freehold.bus.local import LocalBus
from freehold.store.database import Store, drop, put
from freehold.store.writing import Change
from freehold.views import follower as following
from freehold.views.believed import OTHER_ROLE
from freehold.views.follower import ASKED_MAX, Follower
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import (
    Complete,
    Entries,
    Entry,
    Frame,
    Heartbeat,
    Owner,
    OwnerQuestion,
    Page,
    Position,
    Since,
)
from freehold.vocabulary.errors import NoAnswer, Unavailable
from freehold.vocabulary.word import Word
from freehold.workers.base import AGAIN_PAUSE_S, Desk, Means
from tests.owners import Folded, HandClock, a_guest, kept, means_of, project, store_at, turns, until


class Around:
    """An owner that is told of by hand, and a follower. `asked` counts questions; `before_answer` runs in each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bus = folder, LocalBus()
        self.means = means_of(self.bus)
        self.sink = Folded()
        self.follower = Follower(self.bus, ["registrar"], self.sink)
        self.asked: list[Word] = []
        self.changes_before_answer: list[Change] = []
        self.changes_after_answer: list[Change] = []
        self.silent = False

    async def open(self) -> None:
        self.store = await store_at(self.folder / "s.db", self.means)
        await talk.serve(self.bus, subjects.owner(self.store.owner), OwnerQuestion, self._answer, "owner")
        await self.follower.open()

    async def _answer(self, question: Any) -> Word:
        self.asked.append(question)
        if self.silent:
            raise Unavailable("gone fishing")
        answer: Word = (
            self.store.since(question.position, 3)
            if isinstance(question, Since)
            else self.store.complete(question.after, 2)
        )
        await self._write(self.changes_before_answer)
        await self._write(self.changes_after_answer, tell=True)
        return answer

    async def _write(self, changes: list[Change], tell: bool = False) -> None:
        if changes:
            frame = await self.commit(changes.pop(0))
            if tell:
                await self.tell(frame)

    async def commit(self, *changes: Change) -> Frame:
        before = self.store.position()
        await self.store.commit(changes, "t")
        return Frame(owner=self.store.owner, epoch=self.store.epoch, entries=self.store.since(before).entries)

    async def put(self, *keys: str) -> Frame:
        return await self.commit(*(put(key, project(key)) for key in keys))

    async def tell(self, *frames: Frame) -> None:
        for frame in frames:
            await talk.say(self.bus, subjects.events(self.store.owner), frame)

    async def beat(self, position: Position | None = None) -> None:
        beat = Heartbeat(owner=self.store.owner, position=position or self.store.position(), time=1)
        await talk.say(self.bus, subjects.heartbeats(self.store.owner), beat)

    async def same(self) -> None:
        await until(lambda: self.sink.rows.get(self.store.id) == kept(self.store))
        await turns()
        assert self.sink.stands[self.store.id] == self.store.position()

    async def close(self) -> None:
        await self.follower.close()
        await self.store.close()
        await self.bus.close()


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[Around]:
    made = Around(tmp_path)
    await made.open()
    await made.put("first")
    await made.beat()
    await made.same()
    made.asked.clear()
    yield made
    await made.close()


async def test_what_is_next_is_applied_without_a_question(around: Around) -> None:
    await around.tell(await around.put("a", "b"), await around.commit(drop("project", "a")))
    await around.same()
    assert not around.asked


async def test_what_was_seen_is_dropped(around: Around) -> None:
    frames = [await around.put("a"), await around.put("b")]
    await around.tell(*frames, *frames, frames[0])
    await around.same()
    assert around.sink.applied == [2, 3] and not around.asked


async def test_a_frame_that_overlaps_is_taken_from_where_it_is_new(around: Around) -> None:
    a, b = await around.put("a"), await around.put("b")
    await around.tell(a, Frame(owner=a.owner, epoch=a.epoch, entries=a.entries + b.entries))
    await around.same()
    assert around.sink.applied == [2, 3]


async def test_who_speaks_in_anothers_name_isnt_heard(around: Around) -> None:
    """A host that has fallen may say what it likes on its own subjects, about itself."""
    stood, another = dict(around.sink.stands), replace(around.store.owner, store="another")
    frame = await around.put("a")
    beat = Heartbeat(owner=around.store.owner, position=around.store.position(), time=1)
    await talk.say(around.bus, subjects.events(another), frame)
    await talk.say(around.bus, subjects.heartbeats(another), beat)
    await turns()
    assert around.sink.stands == stood
    await around.tell(frame)
    await around.same()


async def test_a_gap_is_asked_for(around: Around) -> None:
    await around.put("lost")
    await around.tell(await around.put("b"))
    await around.same()
    assert [type(question) for question in around.asked] == [Since]
    assert around.sink.applied == [2, 3] and around.sink.replaced == 1


async def test_the_lost_last_event_is_found_by_a_heartbeat(around: Around) -> None:
    await around.put("lost")
    await around.beat()
    await around.same()


async def test_a_heartbeat_that_overtakes_what_was_told_before_it_leads_to_no_question(around: Around) -> None:
    frame = await around.put("a")
    await around.beat()
    await around.tell(frame)
    await around.same()
    assert not around.asked


async def test_what_has_come_is_waited_for_however_slowly_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = LocalBus.subscribe

    async def slowly(self: LocalBus, subject: str, listener: Any, group: str = "") -> Any:
        async def slow(heard: str, body: bytes) -> None:
            if ".event." in heard:
                await turns()
            await listener(heard, body)

        return await hear(self, subject, slow, group)

    monkeypatch.setattr(LocalBus, "subscribe", slowly)
    around = Around(tmp_path)
    await around.open()
    await around.put("first")
    await around.beat()
    await around.same()
    around.asked.clear()
    frame = await around.put("a")
    await around.beat()
    await around.tell(frame)
    await around.same()
    assert not around.asked
    await around.close()


async def test_of_an_owner_that_is_to_be_asked_later_news_is_taken_meanwhile(around: Around) -> None:
    """And then it needn't be asked."""
    around.follower._asking = ASKED_MAX  # as many as may be are asked
    told, lost = await around.put("a"), await around.put("b")
    await around.beat()
    await turns()
    await around.tell(told, lost)
    await around.same()
    around.follower._asking = 0
    await around.tell(await around.put("c"))
    await around.same()
    assert not around.asked


async def test_a_long_gap_is_asked_for_in_parts(around: Around) -> None:
    await around.put(*(f"{n}" for n in range(10)))
    await around.beat()
    await around.same()
    assert len(around.asked) == 4 and around.sink.replaced == 1


async def test_what_is_told_while_the_owner_is_asked_is_not_lost(around: Around) -> None:
    """The answer was read before the write, and the write was told before the answer came."""
    around.changes_after_answer = [put("late", project("late"))]
    await around.put("lost")
    await around.beat()
    await around.same()
    assert ("project", "late") in around.sink.rows[around.store.id]


async def test_a_heartbeat_that_comes_while_the_owner_is_asked_counts(around: Around) -> None:
    async def answer_then_lose_a_frame(question: Since | Complete) -> Word:
        answer = await answering(question)
        if len(around.asked) == 1:
            await around.put("lost too")
            await around.beat()
        return answer

    answering = around._answer
    around._answer = answer_then_lose_a_frame  # type: ignore[method-assign]
    (before,) = around.bus._mouths.of(subjects.owner(around.store.owner))
    await before.close()
    await talk.serve(around.bus, subjects.owner(around.store.owner), OwnerQuestion, around._answer, "owner")
    await around.put("lost")
    await around.beat()
    await around.same()


async def test_another_epoch_replaces_the_owners_part(around: Around) -> None:
    await around.put("a")
    around.store.epoch = "restored"
    around.store._durable = around.store._staged_head = Position(epoch="restored", seq=2, digest=b"d" * 16)
    around.store._reader.execute("UPDATE log SET digest = ? WHERE seq = 2", (b"d" * 16,))
    await around.beat()
    await around.same()
    assert around.sink.replaced == 2 and around.sink.stands[around.store.id].epoch == "restored"


async def test_another_history_under_the_same_number_replaces_it(around: Around) -> None:
    around.sink.stands[around.store.id] = around.follower._positions[around.store.id] = Position(
        epoch=around.store.epoch, seq=1, digest=b"x" * 16
    )
    around.sink.rows[around.store.id][("project", "ghost")] = b""
    await around.beat()
    await around.same()
    assert around.sink.replaced == 2


async def test_an_owner_that_is_put_back_between_two_answers_is_told_so(around: Around) -> None:
    """What it has forgotten isn't taken for what it says now: its next state comes under another epoch."""
    old, later = around.store.complete(("", ""), 9), await around.put("a")
    await around.tell(later)
    await around.same()
    (before,) = around.bus._mouths.of(subjects.owner(around.store.owner))
    await before.close()

    async def answer(question: Since | Complete) -> Word:
        around.asked.append(question)
        return old if isinstance(question, Complete) else Entries(position=old.position, complete_needed=True)

    await talk.serve(around.bus, subjects.owner(around.store.owner), OwnerQuestion, answer, "owner")
    for _ in range(2):  # when it is heard again, it is asked from where the reader stands
        around.asked.clear()
        await around.beat(old.position)
        await turns()
        assert [type(question) for question in around.asked] == [Since, Complete]
        assert around.asked[0] == Since(position=around.store.position())
    assert around.sink.stands[around.store.id] == around.store.position() and around.sink.replaced == 1


async def test_a_frame_with_damaged_entries_is_not_applied(around: Around) -> None:
    frame = await around.put("a")
    e = frame.entries[0]
    forged = Entry(e.seq, e.time, e.kind, e.key, put("a", project("evil")).value, e.cause, e.digest)
    await around.tell(Frame(owner=frame.owner, epoch=frame.epoch, entries=(forged,)))
    await around.same()


async def test_what_was_compacted_is_taken_complete(around: Around) -> None:
    for _ in range(6):
        await around.put("a")
    await around.commit(drop("project", "first"), put("b", project("b")))
    await around.store.compact(tail=1)
    await around.beat()
    await around.same()
    assert ("project", "first") not in around.sink.rows[around.store.id]


async def test_a_complete_state_has_what_was_written_while_it_was_read(tmp_path: Path) -> None:
    around = Around(tmp_path)
    await around.open()
    await around.put(*(f"{n}" for n in range(7)))
    around.changes_before_answer = [drop("project", "0"), put("1", project("new")), put("00", project("00"))]
    await around.beat()
    await around.same()
    assert len([q for q in around.asked if isinstance(q, Complete)]) > 2
    await around.close()


async def test_an_owner_that_cant_be_asked_is_asked_when_it_is_heard_again(around: Around) -> None:
    around.silent = True
    await around.put("a")
    await around.beat()
    await until(lambda: around.asked)
    await turns(200)
    assert len(around.asked) == 1, "it was asked in a loop"
    around.silent = False
    await around.beat()
    await around.same()


async def test_an_owner_whose_answer_leads_nowhere_isnt_asked_for_ever(around: Around) -> None:
    await around.put("a", "b")
    await around.store.compact(tail=0)
    around.store._reader.execute("DELETE FROM log")
    await around.beat()
    await until(lambda: around.asked)
    await turns(500)
    assert len(around.asked) < 10


async def test_a_restarted_reader_asks_only_for_what_came_since(around: Around) -> None:
    await around.follower.close()
    await around.put("a")
    again = Follower(around.bus, ["registrar"], around.sink)
    await again.open()
    await around.beat()
    await around.same()
    assert [type(question) for question in around.asked] == [Since] and around.sink.replaced == 1
    await again.close()


async def test_one_bad_record_doesnt_end_its_readers(around: Around) -> None:
    bad = Change("project", "bad", b"\xc1 not a project")
    await around.tell(await around.commit(bad), await around.put("good"))
    await until(lambda: ("project", "good") in around.sink.rows[around.store.id])
    assert ("project", "bad") not in around.sink.rows[around.store.id]
    assert around.sink.stands[around.store.id] == around.store.position()
    around.follower._positions.clear()
    await around.beat()
    await until(lambda: around.sink.replaced == 2)
    assert ("project", "bad") not in around.sink.rows[around.store.id]


async def test_what_isnt_an_owners_to_tell_is_left_out_and_counted(around: Around) -> None:
    alien = Change("guest", "g", encode(a_guest("g", "h1")))
    gone = Change("port", "p1", None)
    await around.tell(await around.commit(alien, put("mine", project("mine"))), await around.commit(gone))
    await until(lambda: around.sink.stands.get(around.store.id) == around.store.position())
    assert set(around.sink.rows[around.store.id]) == {("project", "first"), ("project", "mine")}
    assert around.follower.refused_of(around.store.id) == {OTHER_ROLE: 2}
    around.follower._positions.clear()
    await around.beat()
    await until(lambda: around.sink.replaced == 2)
    assert around.follower.refused_of(around.store.id) == {OTHER_ROLE: 3}, "the complete state has it too"
    assert set(around.sink.rows[around.store.id]) == {("project", "first"), ("project", "mine")}
    assert around.sink.stands[around.store.id] == around.store.position()


async def test_a_sink_that_breaks_ends_the_follower_loudly(around: Around) -> None:
    def breaks(owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        raise RuntimeError("a bug")

    around.sink.apply = breaks  # type: ignore[method-assign]
    await around.put("a")
    await around.beat()
    await asyncio.wait_for(around.follower.tasks.broken(), 5)
    assert isinstance(around.follower.tasks.failed, RuntimeError)


async def test_an_owner_that_had_no_connection_needs_not_be_asked(tmp_path: Path) -> None:
    bus = EndedBus()
    clock = HandClock()
    means, sink = means_of(bus, clock), Folded()
    store = await store_at(tmp_path / "s.db", means)
    desk, follower = Desk(means, store, "box"), Follower(bus, ["registrar"], sink)
    await desk.open()
    await follower.open()
    await until(lambda: store.id in sink.stands)
    with pytest.MonkeyPatch.context() as lost:
        lost.setattr(LocalBus, "publish", _lost)
        await store.commit([put("p", project("a"))], "t")
        await turns()
    with pytest.MonkeyPatch.context() as deaf:
        deaf.setattr(LocalBus, "ask", _unanswered)
        for waker in list(bus.wakers):
            waker.wake(7.5)
        await turns()
        clock.move(AGAIN_PAUSE_S[1])
        await until(lambda: sink.rows[store.id] == kept(store))
    assert follower.questions == 1  # the first time
    await follower.close()
    await desk.close()
    await store.close()


class EndedBus(LocalBus):
    """Connections over it end, and stand again."""

    def __init__(self) -> None:
        super().__init__()
        self.wakers: dict[Waker, None] = {}

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        return Waker(listener, self.wakers)


async def test_what_was_missed_while_there_was_no_connection_is_asked_for_when_there_is(tmp_path: Path) -> None:
    """By the owner, or by the reader, whoever had none. No heartbeat is due."""
    bus = EndedBus()
    clock = HandClock()
    means, sink = means_of(bus, clock), Folded()
    store = await store_at(tmp_path / "s.db", means)
    desk, follower = Desk(means, store, "box"), Follower(bus, ["registrar"], sink)
    await desk.open()
    await follower.open()
    await until(lambda: store.id in sink.stands)
    assert len(bus.wakers) == 2
    for number, connected_again in enumerate(list(bus.wakers)):
        with pytest.MonkeyPatch.context() as lost:
            lost.setattr(LocalBus, "publish", _lost)
            await store.commit([put(f"p{number}", project("a"))], "t")
            await turns()
        connected_again.wake(1.0)
        await turns()
        clock.move(AGAIN_PAUSE_S[1])
        await until(lambda: sink.rows[store.id] == kept(store))
    await follower.close()
    await desk.close()
    assert not bus.wakers
    await store.close()
    await bus.close()


async def _lost(_bus: LocalBus, _subject: str, _body: bytes) -> None:
    """What is said goes nowhere."""


async def _unanswered(_bus: LocalBus, subject: str, _body: bytes, _deadline_s: float) -> bytes:
    """Nobody can be asked."""
    raise NoAnswer(f"nobody answers on {subject}")


async def test_of_many_owners_only_so_many_are_asked_at_once_and_each_gets_its_turn() -> None:
    bus, sink = LocalBus(), Folded()
    follower = Follower(bus, ["host"], sink)
    await follower.open()
    let, asked, most = asyncio.Event(), 0, 0

    def owner(number: int) -> Owner:
        return Owner(store=f"h{number}", role="host", cluster="c")

    async def answer(question: Any) -> Word:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await let.wait()
        asked -= 1
        here = Position(epoch="e", seq=0)
        return Page(position=here) if isinstance(question, Complete) else Entries(position=here)

    count = 4 * following.ASKED_MAX
    for number in range(count):
        await talk.serve(bus, subjects.owner(owner(number)), OwnerQuestion, answer, "owner")
    for number in range(count):
        beat = Heartbeat(owner=owner(number), position=Position(epoch="e", seq=0), time=1)
        await talk.say(bus, subjects.heartbeats(owner(number)), beat)
    await until(lambda: asked == following.ASKED_MAX)
    await turns()
    let.set()
    await until(lambda: len(sink.stands) == count)
    assert most == following.ASKED_MAX
    await follower.close()
    await bus.close()


class FaultyBus(LocalBus):
    """Loses, doubles, reorders and delays publications, and loses answers, while `faults` are on."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance, self.faults = random.Random(seed), True
        self._kept_back: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, body: bytes) -> None:
        if not self.faults:
            return await super().publish(subject, body)
        fate = self.chance.random()
        if fate < 0.2:
            return None
        if fate < 0.4:
            self._kept_back.append((subject, body))
            return None
        await super().publish(subject, body)
        if fate < 0.6:
            await super().publish(subject, body)
        if self._kept_back and fate < 0.8:
            await super().publish(*self._kept_back.pop(self.chance.randrange(len(self._kept_back))))

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        if self.faults and self.chance.random() < 0.3:
            raise Unavailable("the question was lost")
        return await super().ask(subject, body, deadline_s)


async def churn(store: Store, chance: random.Random, means: Means, clock: HandClock) -> None:
    for _ in range(150):
        key = f"{chance.randrange(20)}"
        store.stage([drop("project", key) if chance.random() < 0.3 else put(key, project(key))], "t")
        await turns(chance.randrange(6))
        if chance.random() < 0.1:
            clock.move(7)
        if chance.random() < 0.03:
            await store.compact(tail=5)


@pytest.mark.parametrize("seed", range(12))
async def test_when_faults_stop_the_view_is_the_fold_of_the_owner(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HELD_MAX", 3)
    bus, clock, chance, sink = FaultyBus(seed), HandClock(), random.Random(seed), Folded()
    means = means_of(bus, clock, seed)
    stores = [await store_at(tmp_path / f"{n}.db", means) for n in range(2)]
    desks = [Desk(means, store, "d") for store in stores]
    for desk in desks:
        await desk.open()
    follower = Follower(bus, ["registrar"], sink)
    await follower.open()
    await asyncio.gather(*(churn(store, chance, means, clock) for store in stores))
    bus.faults = False
    for store in stores:
        await store.durable()
    clock.move(7)  # one heartbeat
    for store in stores:
        await until(lambda store=store: sink.stands.get(store.id) == store.position())  # type: ignore[misc]
        assert sink.rows.get(store.id, {}) == kept(store)
    assert follower.tasks.failed is None
    await follower.close()
    for desk in desks:
        await desk.close()
    for store in stores:
        await store.close()
    await bus.close()


async def test_an_owner_whose_question_was_broken_off_is_read_when_it_is_next_heard(around: Around) -> None:
    """By something that the question waited for, and not by the reader's end."""
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(LocalBus, "ask", _broken_off)
        await around.put("a")
        await around.beat()
        await turns()
    await around.beat()
    await until(lambda: around.sink.rows.get(around.store.id) == kept(around.store))


async def _broken_off(_bus: LocalBus, _subject: str, _body: bytes, _deadline_s: float) -> bytes:
    raise asyncio.CancelledError
