"""An owner's voice: told only when durable, in frames that fit, and never silent unseen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from freehold.bus import subjects, talk
from freehold.bus.ears import Waker
from freehold.bus.interface import BODY_BYTES_MAX
from freehold.bus.local import LocalBus
from freehold.runtime.tasks import Tasks
from freehold.store.database import RECORD_BYTES_MAX, Store, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import (
    FRAME_ENTRIES_MAX,
    Complete,
    Entries,
    Frame,
    Heartbeat,
    Hello,
    Page,
    Position,
    Since,
    Stands,
    Told,
)
from freehold.vocabulary.errors import NotFound, StoreFailed
from freehold.vocabulary.tenant import Project
from freehold.vocabulary.word import Word
from freehold.workers import base
from freehold.workers.base import Desk
from tests.owners import HandClock, kept, means_of, project, store_at, turns, until

T = TypeVar("T")


class ConnectedBus(LocalBus):
    """A bus over connections."""

    def __init__(self, wakers: dict[Waker, None]) -> None:
        super().__init__()
        self._wakers = wakers

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        return Waker(listener, self._wakers)


class Spoken:
    """A desk, and all it says. The disk waits while `disk` is not set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.disk = folder, HandClock(), asyncio.Event()
        self.disk.set()
        self.wakers: dict[Waker, None] = {}
        self.means = means_of(ConnectedBus(self.wakers), clock=self.clock, offload=self._offload)
        self.frames: list[Frame] = []
        self.beats: list[Heartbeat] = []

    async def _offload(self, work: Callable[[], T]) -> T:
        await self.disk.wait()
        return work()

    async def open(self) -> None:
        self.store = await store_at(self.folder / "s.db", self.means, "host")

        async def frame(frame: Frame) -> None:
            self.frames.append(frame)

        async def beat(beat: Heartbeat) -> None:
            self.beats.append(beat)

        await talk.hear(self.means.bus, subjects.events_of("host"), Frame, frame)
        await talk.hear(self.means.bus, subjects.heartbeats_of("host"), Heartbeat, beat)
        self.desk = Desk(self.means, self.store, "box")
        await self.desk.open()

    @property
    def told(self) -> list[int]:
        return [entry.seq for frame in self.frames for entry in frame.entries]

    async def ask(self, question: Since | Complete | Stands | Told, answer: type[T]) -> T:
        return await talk.ask(self.means.bus, subjects.owner(self.store.owner), question, answer)

    async def close(self) -> None:
        self.disk.set()
        await self.desk.close()
        await self.store.close()
        await self.means.bus.close()


@pytest.fixture
async def spoken(tmp_path: Path) -> AsyncIterator[Spoken]:
    made = Spoken(tmp_path)
    await made.open()
    yield made
    await made.close()


def large(key: str, size: int) -> Change:
    return put(key, Project(id=key, name="x", description="d" * size))


async def test_nothing_is_told_before_it_is_durable(spoken: Spoken) -> None:
    spoken.disk.clear()
    spoken.store.stage([put("a", project("a"))], "t")
    await talk.say(spoken.means.bus, subjects.hello(spoken.store.owner.role), Hello())
    await until(lambda: len(spoken.beats) == 2)
    assert (await spoken.ask(Stands(), Position)).seq == 0
    assert not (await spoken.ask(Since(position=spoken.store.position()), Entries)).entries
    assert not (await spoken.ask(Complete(), Page)).rows
    assert not spoken.told and all(beat.position.seq == 0 for beat in spoken.beats)
    spoken.disk.set()
    await until(lambda: spoken.told == [1])


async def test_a_refusal_waits_for_what_it_rests_on(spoken: Spoken) -> None:
    async def refuse(question: Hello) -> Word:
        raise NotFound(f"there is none, as {question} may see")

    await spoken.desk.serve("refused", Hello, refuse, "g")
    spoken.disk.clear()
    spoken.store.stage([put("a", project("a"))], "t")
    asked = asyncio.create_task(talk.ask(spoken.means.bus, "refused", Hello(), Position))
    await turns()
    assert not asked.done()
    spoken.disk.set()
    with pytest.raises(NotFound):
        await asked


async def test_a_refusal_that_rests_on_what_the_disk_refused_is_none(spoken: Spoken) -> None:
    async def refuse(question: Hello) -> Word:
        raise NotFound(f"there is none, as {question} may see")

    await spoken.desk.serve("refused", Hello, refuse, "g")
    spoken.store._writer.execute("PRAGMA query_only=1")
    spoken.store.stage([put("a", project("a"))], "t")
    with pytest.raises(StoreFailed):
        await talk.ask(spoken.means.bus, "refused", Hello(), Position)


async def test_readers_who_show_at_once_that_the_disk_was_put_back_get_one_new_epoch(spoken: Spoken) -> None:
    before, beyond = spoken.store.epoch, Position(epoch=spoken.store.epoch, seq=9, digest=b"read before the loss")
    heard = len(spoken.beats)
    spoken.disk.clear()
    asked = [asyncio.create_task(spoken.ask(Since(position=beyond), Entries)) for _ in range(6)]
    await turns()
    spoken.disk.set()
    answers = await asyncio.gather(*asked)
    assert {answer.position.epoch for answer in answers} == {spoken.store.epoch} != {before}
    assert all(answer.complete_needed for answer in answers)
    await until(lambda: len(spoken.beats) > heard)
    await turns()
    assert [beat.position.epoch for beat in spoken.beats[heard:]] == [spoken.store.epoch]


async def test_frames_have_at_most_a_hundred_entries(spoken: Spoken) -> None:
    await spoken.store.commit([put(f"{n}", project(f"{n}")) for n in range(250)], "t")
    await until(lambda: len(spoken.told) == 250)
    assert [len(frame.entries) for frame in spoken.frames] == [100, 100, 50]
    assert spoken.told == list(range(1, 251)) and FRAME_ENTRIES_MAX == 100


async def test_frames_and_answers_fit_into_a_message(spoken: Spoken) -> None:
    await spoken.store.commit([large(f"{n}", RECORD_BYTES_MAX - 100) for n in range(5)], "t")
    await until(lambda: len(spoken.told) == 5)
    assert all(len(encode(frame)) <= BODY_BYTES_MAX for frame in spoken.frames)
    zero = Position(epoch=spoken.store.epoch)
    assert 0 < len((await spoken.ask(Since(position=zero), Entries)).entries) < 5
    found: list[str] = []
    more = True
    while more:
        page = await spoken.ask(Complete(after=("project", found[-1]) if found else ("", "")), Page)
        found, more = found + [row.key for row in page.rows], page.more
    assert found == [key for _, key in kept(spoken.store)]


async def test_it_beats_at_once_then_by_the_clock_with_jitter(spoken: Spoken) -> None:
    await until(lambda: len(spoken.beats) == 1)
    await spoken.store.commit([put("a", project("a"))], "t")
    for count in range(2, 6):
        spoken.clock.move(base.HEARTBEAT_PERIOD_S * 1.2)
        await until(lambda count=count: len(spoken.beats) == count)  # type: ignore[misc]
    beat = spoken.beats[-1]
    assert (beat.position, beat.name, beat.owner) == (spoken.store.position(), "box", spoken.store.owner)
    spoken.clock.move(base.HEARTBEAT_PERIOD_S * 0.7)
    await turns()
    assert len(spoken.beats) == 5


async def test_a_reader_that_says_hello_is_greeted(spoken: Spoken) -> None:
    await until(lambda: len(spoken.beats) == 1)
    await talk.say(spoken.means.bus, subjects.hello(spoken.store.owner.role), Hello())
    await until(lambda: len(spoken.beats) == 2)


async def test_many_readers_that_come_at_once_are_greeted_together(spoken: Spoken) -> None:
    await until(lambda: len(spoken.beats) == 1)
    hello = subjects.hello(spoken.store.owner.role)
    for _ in range(base.GREETINGS_MAX):
        await talk.say(spoken.means.bus, hello, Hello())
        count = len(spoken.beats)
        await until(lambda count=count: len(spoken.beats) > count)  # type: ignore[misc]
    for _ in range(100):
        await talk.say(spoken.means.bus, hello, Hello())
    await turns()
    assert len(spoken.beats) == 1 + base.GREETINGS_MAX
    spoken.clock.move(base.GREETINGS_PERIOD_S)
    await turns()
    assert len(spoken.beats) >= 2 + base.GREETINGS_MAX


async def connected_again(spoken: Spoken, lost_s: float, late_s: float = 0.0) -> None:
    """The desk is told so, and has said what it says then; `late_s` after it would have."""
    beats = len(spoken.beats)
    for waker in list(spoken.wakers):
        waker.wake(lost_s)
    await turns()
    spoken.clock.move(base.AGAIN_PAUSE_S[1] + late_s)
    await until(lambda: len(spoken.beats) > beats)


async def test_what_was_told_without_a_connection_is_told_again_when_there_is_one(spoken: Spoken) -> None:
    await spoken.store.commit([put("long", project("long"))], "t")
    spoken.clock.move(10.0)
    for key in "abc":
        await spoken.store.commit([put(key, project(key))], "t")
    await until(lambda: spoken.told == [1, 2, 3, 4])
    spoken.frames.clear()
    await connected_again(spoken, 5.0)
    assert spoken.told == [2, 3, 4]
    await connected_again(spoken, 0.0)
    assert spoken.told == [2, 3, 4]


async def test_who_is_late_to_tell_again_leaves_nothing_out(spoken: Spoken) -> None:
    """A processor that all need when the bus is back has other things to do first."""
    await spoken.store.commit([put("a", project("a"))], "t")
    await until(lambda: spoken.told == [1])
    await connected_again(spoken, 5.0, late_s=60.0)
    assert spoken.told == [1, 1]


async def test_until_its_readers_are_back_an_owner_shows_them_no_gap(spoken: Spoken) -> None:
    await spoken.store.commit([put("a", project("a"))], "t")
    await until(lambda: spoken.told == [1])
    beats = len(spoken.beats)
    for waker in list(spoken.wakers):
        waker.wake(5.0)
    await spoken.store.commit([put("b", project("b"))], "t")
    await talk.say(spoken.means.bus, subjects.hello(spoken.store.owner.role), Hello())
    await turns()
    assert (spoken.told, len(spoken.beats)) == ([1], beats)
    spoken.clock.move(base.AGAIN_PAUSE_S[1])
    await until(lambda: len(spoken.beats) > beats)
    assert spoken.told == [1, 1, 2]
    await spoken.store.commit([put("c", project("c"))], "t")
    await until(lambda: spoken.told == [1, 1, 2, 3])


async def test_what_is_more_than_a_frame_is_asked_for(spoken: Spoken) -> None:
    for number in range(base.AGAIN_ENTRIES_MAX + 1):
        await spoken.store.commit([put(f"p{number}", project("a"))], "t")
    await until(lambda: len(spoken.told) == base.AGAIN_ENTRIES_MAX + 1)
    spoken.frames.clear()
    await connected_again(spoken, 60.0)
    assert spoken.frames == []


async def test_what_is_too_large_is_asked_for(spoken: Spoken) -> None:
    await spoken.store.commit([large("a", base.AGAIN_BYTES_MAX)], "t")
    await until(lambda: spoken.told == [1])
    await connected_again(spoken, 60.0)
    assert spoken.told == [1]


async def test_readers_of_other_roles_and_clusters_are_not_its_business(spoken: Spoken) -> None:
    await until(lambda: len(spoken.beats) == 1)
    for subject in (subjects.hello("network"), subjects.hello(spoken.store.owner.role, "elsewhere")):
        await talk.say(spoken.means.bus, subject, Hello())
    await turns()
    assert len(spoken.beats) == 1
    await talk.say(spoken.means.bus, subjects.hello(spoken.store.owner.role, spoken.store.owner.cluster), Hello())
    await until(lambda: len(spoken.beats) == 2)


async def test_it_tells_what_it_knows_of_an_id(spoken: Spoken) -> None:
    await spoken.store.commit([put("a", project("a"))], "urn:1")
    assert [e.key for e in (await spoken.ask(Told(about="urn:1"), Entries)).entries] == ["a"]


async def test_a_store_that_breaks_ends_the_worker(spoken: Spoken) -> None:
    worker = Tasks("worker")
    worker.watch(spoken.desk.tasks)
    spoken.store._writer.execute("PRAGMA query_only=1")
    with pytest.raises(StoreFailed):
        await spoken.store.commit([put("a", project("a"))], "t")
    await asyncio.wait_for(worker.broken(), 5)
    assert isinstance(worker.failed, StoreFailed) and not spoken.told


async def test_the_log_is_kept_short(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    compacted: list[int] = []

    async def compact(store: Store) -> None:
        compacted.append(store.position().seq)

    monkeypatch.setattr(Store, "compact", compact)
    monkeypatch.setattr(base, "COMPACT_GROWTH_MIN", 10)
    for count in range(4):
        await spoken.store.commit([put("a", project("a"))] * 5, "t")
        spoken.clock.move(base.COMPACT_PERIOD_S)
        await turns()
        assert len(compacted) == (count + 1) // 2
    assert compacted == [10, 20]


async def test_a_closed_desk_is_silent(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path)
    await spoken.open()
    await until(lambda: spoken.beats)
    await spoken.desk.close()
    await spoken.store.commit([put("a", project("a"))], "t")
    spoken.clock.move(60)
    await turns()
    assert not spoken.frames and len(spoken.beats) == 1
    await spoken.close()
