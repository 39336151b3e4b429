"""The API's view: own writes are read, questions are shared and never older than who asks, age is known."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from freehold.bus import subjects, talk
from freehold.store.database import Store, put
from freehold.views import questions
from freehold.views.audit import NO_DEED, PERIOD_S
from freehold.views.cloud import KEEP_PERIOD_S, CloudView
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import (
    Done,
    Entry,
    Frame,
    Heartbeat,
    Owner,
    OwnerQuestion,
    Position,
    Row,
    Since,
    Stands,
)
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.host import Host, Retirement, needed_by
from freehold.vocabulary.tenant import Project
from freehold.vocabulary.word import Word
from tests.owners import FLAVOR, HandClock, a_guest, a_host, means_of, project, replace_all, store_at, turns, until


class Around:
    """A view and a registrar told of by hand. While `go` is not set, a question waits after it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, HandClock()
        self.means = means_of(clock=self.clock)
        self.go = asyncio.Event()
        self.go.set()
        self.stands_asked = 0

    async def open(self) -> None:
        self.store: Store = await store_at(self.folder / "s.db", self.means)
        self.view = CloudView(self.means.bus, self.means.clock, self.folder / "view", "boot")
        await talk.serve(self.means.bus, subjects.owner(self.store.owner), OwnerQuestion, self._answer, "owner")
        await self.view.open()
        await self.beat()

    async def _answer(self, question: OwnerQuestion) -> Word:
        if isinstance(question, Since):
            return self.store.since(question.position)
        if isinstance(question, Stands):
            self.stands_asked += 1
            position = self.store.position()
            await self.go.wait()
            return position
        return self.store.complete(("", ""))

    async def put(self, key: str, tell: bool = True) -> Done:
        before = self.store.position()
        position = await self.store.commit([put(key, project(key))], "t")
        if tell:
            entries = self.store.since(before).entries
            frame = Frame(owner=self.store.owner, epoch=self.store.epoch, entries=entries)
            await talk.say(self.means.bus, subjects.events(self.store.owner), frame)
        return Done(store=self.store.id, position=position, key=key)

    async def beat(self) -> None:
        beat = Heartbeat(owner=self.store.owner, position=self.store.position(), time=1, name="r")
        await talk.say(self.means.bus, subjects.heartbeats(self.store.owner), beat)
        await turns()

    async def close(self) -> None:
        self.go.set()
        await self.view.close()
        await self.store.close()
        await self.means.bus.close()


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[Around]:
    made = Around(tmp_path)
    await made.open()
    yield made
    await made.close()


def has(view: CloudView, key: str) -> Callable[[], bool]:
    return lambda: view.get(Project, key) is not None


async def test_seen_waits_for_the_write(around: Around) -> None:
    done = await around.put("a", tell=False)
    waiting = asyncio.create_task(around.view.seen(done))
    await turns()
    assert not waiting.done() and not has(around.view, "a")()
    await around.beat()
    await asyncio.wait_for(waiting, 5)
    assert has(around.view, "a")()
    await asyncio.wait_for(around.view.seen(done), 1)


async def test_a_write_whose_frame_was_lost_is_asked_for(around: Around) -> None:
    await around.put("first")
    await until(has(around.view, "first"))
    await asyncio.wait_for(around.view.seen(await around.put("lost", tell=False), deadline_s=10), 5)
    assert has(around.view, "lost")()


async def test_seen_goes_on_without_at_the_deadline(around: Around) -> None:
    never = Done(store="s" * 36, position=Position(epoch="e", seq=9))
    await asyncio.wait_for(around.view.seen(never, deadline_s=0.01), 5)


async def test_fresh_has_all_that_was_written_before(around: Around) -> None:
    await around.put("a", tell=False)
    await asyncio.wait_for(around.view.fresh(["registrar"]), 5)
    assert has(around.view, "a")()


async def test_those_who_wait_share_questions_but_none_older_than_they(around: Around) -> None:
    around.go.clear()
    early = asyncio.create_task(around.view.fresh(["registrar"]))
    await until(lambda: around.stands_asked == 1)  # read by the owner, not yet answered
    await around.put("a", tell=False)
    late = [asyncio.create_task(around.view.fresh(["registrar"])) for _ in range(20)]
    await turns()
    assert around.stands_asked == 1
    around.go.set()
    await asyncio.wait_for(early, 5)
    await asyncio.wait_for(asyncio.gather(*late), 5)
    assert has(around.view, "a")(), "answered by a question from before it came"
    assert around.stands_asked == 2


async def test_nothing_is_called_new_that_the_registrar_wasnt_asked_about(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "STANDS_DEADLINE_S", 0.01)
    around.go.clear()
    with pytest.raises(Unavailable):
        await around.view.fresh(["registrar"])
    around.clock.move(60)
    with pytest.raises(Unavailable):
        await around.view.fresh(["registrar"])


async def test_nothing_is_called_new_of_a_role_that_was_never_heard(around: Around) -> None:
    with pytest.raises(Unavailable):
        await around.view.fresh(["network"])


async def test_a_lost_question_is_asked_again(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "STANDS_DEADLINE_S", 0.05)
    around.go.clear()
    asking = asyncio.create_task(around.view.fresh(["registrar"]))
    await until(lambda: around.stands_asked == 2)
    around.go.set()
    await asking


async def test_only_the_shards_that_are_named_are_asked(around: Around) -> None:
    other = Owner(store="11111111-2222-4333-8444-555555555555", role="registrar", cluster="c", shard=1)
    beat = Heartbeat(owner=other, position=Position(epoch="e"), time=1)
    await talk.say(around.means.bus, subjects.heartbeats(other), beat)
    await turns()
    await around.view.fresh(["registrar"])
    assert around.stands_asked == 1
    with pytest.raises(Unavailable):
        await around.view.fresh(["registrar"], [0, 1])
    with pytest.raises(Unavailable, match="shard 2 hasn't been heard"):
        await around.view.fresh(["registrar"], [2])


async def test_it_knows_whose_a_record_is(around: Around) -> None:
    await around.put("a")
    await until(has(around.view, "a"))
    assert around.view.owner(Project, "a") == around.store.id
    assert around.view.owner(Project, "b") == ""


@pytest.mark.parametrize("role", ["host", "network", "image"])
async def test_another_owner_that_is_silent_isnt_waited_for(around: Around, role: str) -> None:
    owner = Owner(store="11111111-2222-4333-8444-555555555555", role=role, cluster="c")
    beat = Heartbeat(owner=owner, position=Position(epoch="e"), time=1)
    await talk.say(around.means.bus, subjects.heartbeats(owner), beat)
    await turns()
    around.clock.move(60)
    await asyncio.wait_for(around.view.fresh([role]), 1)


async def test_it_knows_how_old_its_knowledge_is(around: Around) -> None:
    around.clock.move(7)
    (seen,) = around.view.owners()
    assert (seen.owner, seen.name, seen.age_s) == (around.store.owner, "r", 7)


async def test_a_new_process_goes_on_from_the_file(around: Around) -> None:
    await around.put("a")
    await until(has(around.view, "a"))
    await around.view.close()
    around.view = CloudView(around.means.bus, around.means.clock, around.folder / "view", "boot")
    assert has(around.view, "a")() and around.view.owners()[0].age_s is None
    await around.view.open()
    await around.put("b", tell=False)
    await around.beat()
    await until(has(around.view, "b"))
    assert around.view.follower.resyncs == 0
    assert [p.id for p in around.view.list(Project)] == ["b", "a"]
    assert [p.id for p in around.view.keyed(Project, "a")] == ["a"]


async def test_a_killed_process_has_what_it_knew_a_second_ago(around: Around) -> None:
    await around.put("a")
    await until(has(around.view, "a"))
    around.clock.move(KEEP_PERIOD_S)
    await turns()
    await around.put("b")
    await until(has(around.view, "b"))
    await around.view.follower.close()
    around.view.abandon()
    around.view = CloudView(around.means.bus, around.means.clock, around.folder / "view", "boot")
    assert has(around.view, "a")() and not has(around.view, "b")()
    await around.view.open()
    await around.beat()
    await until(has(around.view, "b"))
    assert around.view.follower.resyncs == 0


async def test_its_times_go_on_after_a_restart_with_the_clock_set_back(around: Around) -> None:
    await around.put("a")
    await until(has(around.view, "a"))
    before = around.view.learned(Project, "a")
    await around.view.close()
    around.clock.move(-3600)
    around.means = means_of(bus=around.means.bus, clock=around.clock)
    around.view = CloudView(around.means.bus, around.means.clock, around.folder / "view", "boot")
    await around.view.open()
    await around.put("b")
    await until(has(around.view, "b"))
    assert around.view.learned(Project, "b") > before == around.view.learned(Project, "a")


async def test_it_knows_until_when_it_has_everything(around: Around) -> None:
    await around.put("a")
    await until(has(around.view, "a"))
    around.clock.move(10)
    start = around.means.clock.now()
    await around.view.fresh(["registrar"])
    whole = around.view.known_until(["registrar"])
    assert whole > start
    await around.put("b", tell=False)
    await around.beat()  # told of something that isn't here yet
    assert around.view.known_until(["registrar"]) == whole or has(around.view, "b")()
    around.clock.move(100)
    assert around.view.known_until(["registrar"]) < around.means.clock.now()
    assert around.view.known_until(["host"]) > whole, "there is nobody to miss anything of"


# --- hosts that were retired

NEEDED = needed_by(FLAVOR)
A_LIE = ("guest", "g", encode(a_guest("g", "00000000-0000-4000-8000-0000000000aa")))
HOST = Owner(store="00000000-0000-4000-8000-0000000000aa", role="host", cluster="c")


async def host_speaks(around: Around, seq: int = 1, *, complete: bool = False) -> None:
    """The host tells of itself and of a guest, and beats. Who isn't heeded is read by nobody."""
    told = {"host": a_host(HOST.store), "guest": a_guest("g", HOST.store)}
    position = Position(epoch="e", seq=seq)
    if not around.view.heeds(HOST.store):
        pass
    elif complete:
        rows = [Row(kind, record.id, 1, encode(record)) for kind, record in told.items()]
        replace_all(around.view, HOST, position, rows)
    else:
        entries = [Entry(seq, 1, kind, record.id, encode(record), "t", b"") for kind, record in told.items()]
        around.view.apply(HOST, position, entries)
    around.view.heard(Heartbeat(owner=HOST, position=position, time=1, name="h"))


async def retire(around: Around) -> None:
    gone = Retirement(host=HOST.store, name="h", user="u", time=1)
    await around.store.commit([put(HOST.store, gone)], "t")
    await around.beat()
    await until(lambda: around.view.get(Retirement, HOST.store) is not None)


def knows_host(view: CloudView) -> tuple[bool, bool, bool, bool]:
    return (
        any(seen.owner.store == HOST.store for seen in view.owners()),
        view.get(Host, HOST.store) is not None,
        view.get(Guest, "g") is not None,
        HOST.store in view.positions(),
    )


@pytest.mark.parametrize("complete", [True, False])
async def test_a_retired_host_is_forgotten_and_not_heeded_again(around: Around, complete: bool) -> None:
    await host_speaks(around)
    assert all(knows_host(around.view))
    await retire(around)
    assert not any(knows_host(around.view))
    await host_speaks(around, 2, complete=complete)
    assert not any(knows_host(around.view))
    assert around.view.owner_seen(HOST.store) is None
    await around.view.fresh(["host"])


async def test_nor_by_the_next_process(around: Around) -> None:
    await host_speaks(around)
    await retire(around)
    await around.view.close()
    around.view = CloudView(around.means.bus, around.means.clock, around.folder / "view", "boot")
    await around.view.open()
    await host_speaks(around)
    assert not any(knows_host(around.view))


async def test_a_view_that_is_built_anew_hears_the_host_first(around: Around) -> None:
    await retire(around)
    await around.view.close()
    around.view = CloudView(around.means.bus, around.means.clock, around.folder / "another", "boot")
    await around.view.open()
    await host_speaks(around)
    await around.beat()
    await until(lambda: around.view.get(Retirement, HOST.store) is not None)
    assert not any(knows_host(around.view))


async def test_it_is_looked_through_again_and_again_where_that_is_asked_for(around: Around) -> None:
    host = a_host(HOST.store, used=NEEDED)
    told = [Entry(n, 1, *row, "t", b"") for n, row in enumerate([("host", host.id, encode(host)), A_LIE], 1)]
    around.view.apply(HOST, Position(epoch="e", seq=2), told)
    around.view.heard(Heartbeat(owner=HOST, position=Position(epoch="e", seq=2), time=1, name="h"))
    await around.view.open(audited=True)
    for looks in range(2):
        seen = around.view.owner_seen(HOST.store)
        assert seen is not None and seen.contradictions == {}, f"after {looks} looks"
        await turns()
        around.clock.move(PERIOD_S + 1)
        await turns()
    seen = around.view.owner_seen(HOST.store)
    assert seen is not None and seen.contradictions == {NO_DEED: 1}
