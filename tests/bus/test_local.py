"""A listener that is too slow loses its oldest messages: counted, said, and no harm to a reader that follows."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from freehold.bus import ears, subjects
from freehold.bus.local import LocalBus, Subjects, matches
from freehold.store.database import put
from freehold.views.follower import Follower
from freehold.workers.base import Desk
from tests.owners import Folded, means_of, project, store_at, turns, until


async def test_what_a_slow_listener_loses_is_the_oldest_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "BACKLOG_MAX", 3)
    bus, heard, gate = LocalBus(), list[bytes](), asyncio.Event()

    async def slow(_subject: str, body: bytes) -> None:
        await gate.wait()
        heard.append(body)

    await bus.subscribe("a", slow)
    with capture_logs() as logs:
        for number in range(8):
            await bus.publish("a", b"%d" % number)
    gate.set()
    await until(lambda: len(heard) == 3)
    assert heard == [b"5", b"6", b"7"]
    assert bus.losses.count == 5
    assert [log["lost"] for log in logs] == [1, 2, 4]  # not a line for each
    await bus.close()


async def test_a_reader_heals_what_its_backlog_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "BACKLOG_MAX", 2)
    bus = LocalBus()
    means, sink = means_of(bus), Folded()
    store = await store_at(tmp_path / "s.db", means)
    desk, follower = Desk(means, store, "s"), Follower(bus, ["registrar"], sink)
    await desk.open()
    await follower.open()
    await store.commit([put("p0", project("p0"))], "test")
    await until(lambda: follower.stands().get(store.id) == store.position())
    [ear] = [ear for ear in bus._ears.all() if ear.pattern == subjects.events_of("registrar")]
    gate = asyncio.Event()
    real = ear._listener

    async def slow(subject: str, body: bytes) -> None:
        await gate.wait()
        await real(subject, body)

    ear._listener = slow
    for number in range(1, 9):
        await store.commit([put(f"p{number}", project(f"p{number}"))], "test")
        await turns()
    await until(lambda: bus.losses.count > 0)
    gate.set()
    await until(lambda: follower.stands().get(store.id) == store.position())
    assert follower.resyncs <= 1  # the gap was asked for, not the whole state
    await follower.close()
    await desk.close()
    await store.close()
    await bus.close()


PATTERNS = ["a", "a.b", "a.*", "*.b", "a.>", ">", "a.b.c", "a.*.c", "b.>"]
SUBJECTS = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "a.x.c", "b.x.y.z"]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(PATTERNS), st.integers(0, 5)), max_size=30))
def test_those_for_a_subject_are_found_in_the_order_in_which_they_came(steps: list[tuple[bool, str, int]]) -> None:
    """As by looking at all of them."""
    found, there = Subjects[tuple[str, int]](), list[tuple[str, int]]()
    for comes, pattern, number in steps:
        one = (pattern, number)
        if not comes:
            found.drop(pattern, one)
            there = [other for other in there if other != one]
        elif one not in there:
            found.add(pattern, one)
            there.append(one)
        for subject in SUBJECTS:
            assert found.of(subject) == [other for other in there if matches(other[0], subject)]
    assert sorted(found.all()) == sorted(there)
