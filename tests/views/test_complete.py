"""A complete state that is taken in parts, while its owner goes on writing."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from freehold.bus import subjects, talk
from freehold.bus.local import LocalBus
from freehold.store.database import Store, drop, put
from freehold.views import complete
from freehold.views.complete import END, PART_ROWS, START, Reading, RecordKey
from freehold.views.follower import Follower
from freehold.vocabulary.envelope import Complete, Entry, Frame, Heartbeat, Owner, OwnerQuestion, Position, Row, Since
from freehold.vocabulary.errors import Conflict, FreeholdError, Unavailable
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk
from tests.owners import kept, means_of, project, store_at, turns, until


class Parts:
    """Keeps what it is handed, and up to where in the owner's log each key is known. Nothing may go back."""

    def __init__(self) -> None:
        self.rows: dict[RecordKey, bytes] = {}
        self.known: dict[RecordKey, int] = {}
        self.stands: dict[str, Position] = {}
        self.read_at = 0
        """Where the owner stood when it answered last."""
        self.upto: RecordKey = START
        self.begun = 0
        self.halves: set[str] = set()

    def positions(self) -> dict[str, Position]:
        return dict(self.stands)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        self.amend(owner, entries)
        self.stands[owner.store] = position

    def heard(self, heartbeat: Heartbeat) -> None:
        pass

    def unread(self) -> set[str]:
        return self.halves

    def begin(self, owner: Owner) -> None:
        self.begun += 1
        self.upto = START
        self.halves.add(owner.store)

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        assert above == self.upto < upto, "part follows part"
        self.upto = upto
        told = {(row.kind, row.key): row for row in rows}
        for key in [key for key in {**self.rows, **self.known} if above < key <= upto and key not in told]:
            self.rows.pop(key, None)
            self.known[key] = self.read_at
        for key, row in told.items():
            assert above < key <= upto
            assert row.seq >= self.known.get(key, 0) or self.rows.get(key) == row.value
            self.rows[key], self.known[key] = row.value, self.read_at

    def amend(self, owner: Owner, entries: Sequence[Entry]) -> None:
        for entry in entries:
            key = entry.kind, entry.key
            assert entry.seq > self.known.get(key, 0), f"{key} goes back to {entry.seq}"
            self.known[key] = entry.seq
            if entry.value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = entry.value

    def replaced(self, owner: Owner, position: Position) -> None:
        assert self.upto == END
        self.halves.discard(owner.store)
        self.stands[owner.store] = position


class Around:
    """An owner that writes before each of its answers, and who reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bus, self.sink = folder, LocalBus(), Parts()
        self.means = means_of(self.bus)
        self.asked: list[Word] = []
        self.answers: list[Callable[[], None]] = []
        """What happens in the next answers."""

    async def open(self) -> None:
        self.store: Store = await store_at(self.folder / "s.db", self.means)
        await talk.serve(self.bus, subjects.owner(self.store.owner), OwnerQuestion, self._answer, "owner")

    async def _answer(self, question: Any) -> Word:
        self.asked.append(question)
        if self.answers:
            self.answers.pop(0)()
        await self.store.durable()
        self.sink.read_at = self.store.position().seq
        if isinstance(question, Since):
            return self.store.since(question.position, 3)
        assert isinstance(question, Complete)
        return self.store.complete(question.after, 3)

    def write(self, *keys: str) -> None:
        self.store.stage([put(key, project(key)) for key in keys], "t")

    def reading(self, check: Callable[[Owner], None] = lambda _: None) -> Reading:
        return Reading(self.bus, self.store.owner, Position(epoch=""), lambda *_: True, check, asyncio.Lock())

    async def close(self) -> None:
        await self.store.close()
        await self.bus.close()


@pytest.fixture
async def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Around]:
    monkeypatch.setattr(complete, "PART_ROWS", 2)
    made = Around(tmp_path)
    await made.open()
    yield made
    await made.close()


class Turned(Parts):
    """Notes in which turn of the loop it was handed what."""

    def __init__(self) -> None:
        super().__init__()
        self.turn, self.handed = 0, list[int]()

    async def count(self) -> None:
        while True:
            self.turn += 1
            await asyncio.sleep(0)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        self.handed.append(self.turn)
        self.stands[owner.store] = position

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        self.handed.append(self.turn)
        self.upto = upto


async def test_of_many_owners_that_answer_at_once_one_part_is_taken_in_each_turn(tmp_path: Path) -> None:
    bus, sink = LocalBus(), Turned()
    means = means_of(bus)
    stores = [await store_at(tmp_path / f"{number}.db", means) for number in range(5)]
    desks = [Desk(means, store, "registrar") for store in stores]
    follower, counting = Follower(bus, ["registrar"], sink), asyncio.create_task(sink.count())

    async def read(parts: int) -> None:
        for store in stores:
            await store.commit([put(f"{number:03}", project(f"{number}")) for number in range(2 * PART_ROWS)], "t")
        for desk in desks:
            await desk.open()
        await follower.open()
        await until(lambda: all(sink.stands.get(store.id) == store.position() for store in stores))
        assert len(sink.handed) == len(set(sink.handed)) == parts
        await follower.close()
        for desk in desks:
            await desk.close()

    await read(2 * len(stores))
    sink.handed.clear()
    follower = Follower(bus, ["registrar"], sink)
    await read(2 * len(stores))
    counting.cancel()
    for store in stores:
        await store.close()
    await bus.close()


def churned(store: Store, chance: random.Random) -> Callable[[], None]:
    def churn() -> None:
        for _ in range(chance.randrange(3)):
            key = f"{chance.randrange(20):02}"
            store.stage([drop("project", key) if chance.random() < 0.5 else put(key, project(key))], "t")

    return churn


@pytest.mark.parametrize("seed", range(20))
async def test_no_record_goes_back_while_its_owner_writes_and_all_is_there_at_the_end(
    around: Around, seed: int
) -> None:
    chance = random.Random(seed)
    around.write(*(f"{number:02}" for number in range(0, 20, 2)))
    around.sink.rows = {("project", f"{number:02}"): b"of before" for number in range(1, 20, 4)}
    around.answers = [churned(around.store, chance) for _ in range(12)]
    position = await around.reading().in_parts(around.sink, lambda: None)
    assert position == around.store.position() == around.sink.stands[around.store.id]
    assert around.sink.rows == kept(around.store)


async def test_of_an_owner_that_has_nothing_nothing_stays(around: Around) -> None:
    around.sink.rows = {("project", "gone"): b"", ("user", "gone"): b""}
    await around.reading().in_parts(around.sink, lambda: None)
    assert around.sink.rows == {}


async def test_one_that_isnt_heeded_any_more_is_read_no_further(around: Around) -> None:
    around.write(*"abcdefgh")

    def refuse(_owner: Owner) -> None:
        if len(around.sink.rows) >= 4:
            raise Conflict("it is fenced")

    left_open: list[object] = []
    sys.set_asyncgen_hooks(finalizer=left_open.append)
    with pytest.raises(Conflict):
        await around.reading(refuse).in_parts(around.sink, lambda: None)
    assert left_open == [], "what was broken off is closed at once, and not when it is collected"
    assert 4 <= len(around.sink.rows) < 8 and around.sink.stands == {}


async def test_one_that_is_another_when_it_is_read_on_is_not_mixed(around: Around) -> None:
    around.write(*"abcdefgh")
    await around.store.durable()

    def begin_anew() -> None:
        around.store.complete = lambda after, limit: page  # type: ignore[method-assign]

    page = around.store.complete(("project", "c"), 3)
    page = type(page)(position=Position(epoch="another", seq=9), rows=page.rows, more=page.more)
    around.answers = [lambda: None, begin_anew]
    with pytest.raises(FreeholdError, match="another history"):
        await around.reading().in_parts(around.sink, lambda: None)
    assert sorted(key for _, key in around.sink.rows) == ["a", "b", "c"] and around.sink.stands == {}


async def test_a_reading_that_fails_is_begun_anew_when_its_owner_is_next_heard(around: Around) -> None:
    around.write(*"abcdefgh")
    await around.store.durable()
    follower = Follower(around.bus, ["registrar"], around.sink)
    await follower.open()

    def fail() -> None:
        raise Unavailable("gone fishing")

    async def beat() -> None:
        around.sink.read_at = around.store.position().seq
        heartbeat = Heartbeat(owner=around.store.owner, position=around.store.position(), time=1)
        await talk.say(around.bus, subjects.heartbeats(around.store.owner), heartbeat)
        await turns()

    around.answers = [lambda: None, fail]
    await beat()
    await until(lambda: len(around.sink.rows) == 3)
    await turns()
    assert follower.stands() == {} and around.sink.halves
    await beat()
    await until(lambda: around.sink.stands.get(around.store.id) == around.store.position())
    assert around.sink.rows == kept(around.store) and around.sink.begun == 2
    around.write("i")
    await around.store.durable()
    await beat()
    await until(lambda: around.sink.rows == kept(around.store))
    assert around.sink.begun == 2, "then only what came since is asked for"
    await follower.close()


async def test_one_that_was_put_back_while_it_was_read_learns_so_from_its_reader(around: Around) -> None:
    """The reader has some of what came after its position, and stood at that before."""
    around.write(*"abcdefgh")
    await around.store.durable()
    stood = Position(epoch=around.store.epoch, seq=20, digest=b"of what is lost")
    around.sink.stands[around.store.id] = stood
    around.sink.halves.add(around.store.id)
    follower = Follower(around.bus, ["registrar"], around.sink)
    await follower.open()
    heartbeat = Heartbeat(owner=around.store.owner, position=around.store.position(), time=1)
    await talk.say(around.bus, subjects.heartbeats(around.store.owner), heartbeat)
    await until(lambda: len(around.asked) > 1)
    await turns()
    assert around.asked[0] == Since(position=stood)
    assert around.sink.rows == {}, "what it answers then isn't what it had been"
    await follower.close()


async def test_what_is_next_after_where_it_stood_is_not_taken_before_all_is_read(around: Around) -> None:
    around.write("a")
    await around.store.durable()
    stood = around.sink.stands[around.store.id] = around.store.position()
    around.sink.halves.add(around.store.id)
    follower = Follower(around.bus, ["registrar"], around.sink)
    await follower.open()
    around.write("b")
    await around.store.durable()
    entries = around.store.since(stood).entries
    frame = Frame(owner=around.store.owner, epoch=around.store.epoch, entries=entries)
    await talk.say(around.bus, subjects.events(around.store.owner), frame)
    await until(lambda: around.sink.stands[around.store.id] == around.store.position())
    assert around.sink.begun == 1 and around.sink.rows == kept(around.store)
    await follower.close()
