"""What every bus promises (freehold/bus/interface.py), shown on each member."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from freehold.bus import allowed
from freehold.bus.ears import BACKLOG_MAX
from freehold.bus.interface import BODY_BYTES_MAX, CARRIED_BYTES_MAX, Bus
from freehold.bus.local import LocalBus
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity, sealed_passport
from freehold.bus.signed import SignedBus
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.errors import Broken, NoAnswer, TooLarge
from freehold.vocabulary.machine import Passport
from tests.nats_server import nats_server
from tests.owners import turns, until

Listener = Callable[[str, bytes], Awaitable[None]]


@asynccontextmanager
async def local() -> AsyncIterator[Bus]:
    bus = LocalBus()
    yield bus
    await bus.close()


@asynccontextmanager
async def nats() -> AsyncIterator[Bus]:
    async with nats_server() as server:
        bus = NatsBus(NatsPlace((server.url,)), SystemClock(), SystemChance())
        bus.open()
        await bus.connected()
        yield bus
        await bus.close()


@asynccontextmanager
async def signed() -> AsyncIterator[Bus]:
    authority, key = SigningKey.made(SystemChance()), SigningKey.made(SystemChance())
    passport = Passport(
        machine="m", name="m", roles=("anything",), cluster="c", key=key.public, issued_ms=0, expires_ms=1 << 50
    )
    identity = Identity(sealed_passport(passport, authority), key)
    bus = SignedBus(LocalBus(CARRIED_BYTES_MAX), identity, authority.public, SystemClock(), SystemChance())
    yield bus
    await bus.close()


MEMBERS: list[Callable[[], AbstractAsyncContextManager[Bus]]] = [local, nats, signed]


@pytest.fixture(params=MEMBERS, ids=lambda member: member.__name__)
async def bus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    for table in (allowed.SPEAKS, allowed.HEARS):  # what the suite talks about is nobody's but its own
        monkeypatch.setitem(table, "anything", (">",))
    async with request.param() as made:
        yield made


def into(heard: list[tuple[str, bytes]]) -> Listener:
    async def listener(subject: str, body: bytes) -> None:
        heard.append((subject, body))

    return listener


async def echo(subject: str, body: bytes) -> bytes:
    return subject.encode() + b":" + body


async def test_every_subscriber_hears_in_the_order_of_one_speaker(bus: Bus) -> None:
    first: list[tuple[str, bytes]] = []
    second: list[tuple[str, bytes]] = []
    await bus.subscribe("a.b", into(first))
    await bus.subscribe("a.b", into(second))
    for number in range(20):
        await bus.publish("a.b", b"%d" % number)
    await until(lambda: len(first) == len(second) == 20)
    assert first == second == [("a.b", b"%d" % number) for number in range(20)]


@pytest.mark.parametrize(
    ("pattern", "heard", "not_heard"),
    [
        ("a.b", ["a.b"], ["a", "a.b.c", "a.c", "ab"]),
        ("a.*", ["a.b", "a.c"], ["a", "a.b.c", "b.a"]),
        ("a.*.c", ["a.b.c"], ["a.c", "a.b.d", "a.b.c.d"]),
        ("a.>", ["a.b", "a.b.c"], ["a", "b.a"]),
        ("*.b.>", ["a.b.c", "x.b.c.d"], ["a.b", "a.c.b"]),
        (">", ["a", "a.b.c"], []),
    ],
)
async def test_wildcards(bus: Bus, pattern: str, heard: list[str], not_heard: list[str]) -> None:
    got: list[tuple[str, bytes]] = []
    await bus.subscribe(pattern, into(got))
    for subject in [*not_heard, *heard]:
        await bus.publish(subject, b"")
    await until(lambda: len(got) >= len(heard))
    await turns()
    assert [subject for subject, _ in got] == heard


async def test_one_of_a_group_hears_and_all_of_it_take_part(bus: Bus) -> None:
    members: list[list[tuple[str, bytes]]] = [[], [], []]
    alone: list[tuple[str, bytes]] = []
    for member in members:
        await bus.subscribe("work", into(member), group="g")
    await bus.subscribe("work", into(alone), group="other")
    for number in range(60):
        await bus.publish("work", b"%d" % number)
    await until(lambda: sum(map(len, members)) >= 60 and len(alone) >= 60)
    await turns()
    assert sum(map(len, members)) == 60 and all(members)
    assert len(alone) == 60


async def test_members_of_a_group_may_hear_by_different_patterns(bus: Bus) -> None:
    heard: list[tuple[str, bytes]] = []
    await bus.subscribe("work.a", into(heard), group="g")
    await bus.subscribe("work.*", into(heard), group="g")
    await bus.publish("work.a", b"")
    await until(lambda: heard)
    await turns()
    assert len(heard) == 1


async def test_calls_to_one_listener_follow_one_another(bus: Bus) -> None:
    running, most, done = 0, 0, 0

    async def listener(_subject: str, _body: bytes) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await turns(3)
        running -= 1
        done += 1

    await bus.subscribe("a", listener)
    for _ in range(5):
        await bus.publish("a", b"")
    await until(lambda: done == 5)
    assert most == 1


async def test_it_can_be_waited_for_until_what_has_come_was_delivered(bus: Bus) -> None:
    came: list[bytes] = []
    beside: list[tuple[str, bytes]] = []
    free = asyncio.Event()

    async def listener(_subject: str, body: bytes) -> None:
        came.append(body)
        await free.wait()

    hearing = await bus.subscribe("a.b", listener)
    await bus.subscribe("a.b", into(beside))
    await hearing.caught_up()  # with nothing
    for body in (b"1", b"2", b"3"):
        await bus.publish("a.b", body)
    await until(lambda: len(beside) == 3)  # all have come
    assert came == [b"1"]
    waiting = asyncio.create_task(hearing.caught_up())
    await turns()
    assert not waiting.done()
    free.set()
    await waiting
    assert came == [b"1", b"2", b"3"]


async def test_who_waits_for_a_subscription_that_is_closed_waits_no_longer(bus: Bus) -> None:
    began, free = asyncio.Event(), asyncio.Event()

    async def listener(_subject: str, _body: bytes) -> None:
        began.set()
        await free.wait()

    hearing = await bus.subscribe("a.b", listener)
    for body in (b"1", b"2"):
        await bus.publish("a.b", body)
    await began.wait()
    waiting = asyncio.create_task(hearing.caught_up())
    closing = asyncio.create_task(hearing.close())
    await turns()
    free.set()
    await closing
    await waiting
    await hearing.caught_up()


async def test_a_listener_that_fails_or_hangs_harms_nobody_else(bus: Bus) -> None:
    heard: list[tuple[str, bytes]] = []
    failed = 0
    never = asyncio.Event()

    async def fails(_subject: str, _body: bytes) -> None:
        nonlocal failed
        failed += 1
        raise RuntimeError("a bug")

    async def hangs(_subject: str, _body: bytes) -> None:
        await never.wait()

    await bus.subscribe("a", fails)
    hanging = await bus.subscribe("a", hangs)
    await bus.subscribe("a", into(heard))
    async with asyncio.timeout(5):  # nobody waits for the one that hangs
        for number in range(3):
            await bus.publish("a", b"%d" % number)
    await until(lambda: len(heard) == 3 and failed == 3)
    never.set()
    await hanging.close()


async def test_a_subscriber_that_falls_behind_loses_its_oldest(bus: Bus) -> None:
    heard: list[bytes] = []
    go = asyncio.Event()

    async def slow(_subject: str, body: bytes) -> None:
        await go.wait()
        heard.append(body)

    await bus.subscribe("a", slow)
    came: list[tuple[str, bytes]] = []
    await bus.subscribe("a", into(came))
    await bus.publish("a", b"first")
    await until(lambda: came)
    for number in range(BACKLOG_MAX + 100):
        await bus.publish("a", b"%d" % number)
        await turns(1)
    await until(lambda: came[-1][1] == b"%d" % (BACKLOG_MAX + 99))
    go.set()
    await until(lambda: heard and heard[-1] == b"%d" % (BACKLOG_MAX + 99))
    assert len(heard) <= BACKLOG_MAX + 1
    assert b"0" not in heard
    assert heard[1:] == sorted(heard[1:], key=int), "what is left is in order"


async def test_a_closed_subscription_hears_no_more_and_finishes_what_it_began(bus: Bus) -> None:
    heard: list[bytes] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def listener(_subject: str, body: bytes) -> None:
        begun.set()
        await go.wait()
        heard.append(body)

    subscription = await bus.subscribe("a", listener)
    await bus.publish("a", b"1")
    await bus.publish("a", b"2")
    await begun.wait()
    closing = asyncio.create_task(subscription.close())
    await turns()
    assert not closing.done()
    go.set()
    await closing
    await bus.publish("a", b"3")
    await turns()
    assert heard == [b"1"]


async def test_a_listener_may_close_itself(bus: Bus) -> None:
    heard: list[bytes] = []

    async def once(_subject: str, body: bytes) -> None:
        heard.append(body)
        await subscription.close()

    subscription = await bus.subscribe("a", once)
    await bus.publish("a", b"1")
    await until(lambda: heard)
    await bus.publish("a", b"2")
    await turns()
    assert heard == [b"1"]


async def test_a_question_is_answered_once(bus: Bus) -> None:
    asked: list[str] = []

    def answerer(name: str) -> Callable[[str, bytes], Awaitable[bytes]]:
        async def answer(_subject: str, body: bytes) -> bytes:
            asked.append(name)
            return body

        return answer

    for name in ("one", "two"):
        await bus.answer("q", answerer(name), group="g")
    for number in range(20):
        assert await bus.ask("q", b"%d" % number, 5) == b"%d" % number
    assert len(asked) == 20 and set(asked) == {"one", "two"}


async def test_a_question_by_wildcard_knows_its_subject(bus: Bus) -> None:
    await bus.answer("q.*", echo, group="g")
    assert await bus.ask("q.x", b"1", 5) == b"q.x:1"


async def test_nobody_answers(bus: Bus) -> None:
    async with asyncio.timeout(5):  # at once, not at the deadline
        with pytest.raises(NoAnswer):
            await bus.ask("q", b"", 60)


async def test_the_deadline_ends_the_question_not_the_answer(bus: Bus) -> None:
    go, finished = asyncio.Event(), asyncio.Event()

    async def slow(_subject: str, _body: bytes) -> bytes:
        await go.wait()
        finished.set()
        return b""

    await bus.answer("q", slow, group="g")
    with pytest.raises(NoAnswer):
        await bus.ask("q", b"", 0.05)
    go.set()
    await asyncio.wait_for(finished.wait(), 5)


async def test_answers_overlap_and_one_that_hangs_delays_no_other(bus: Bus) -> None:
    go = asyncio.Event()

    async def answer(_subject: str, body: bytes) -> bytes:
        if body == b"slow":
            await go.wait()
        return body

    await bus.answer("q", answer, group="g")
    slow = asyncio.create_task(bus.ask("q", b"slow", 10))
    await turns()
    assert await bus.ask("q", b"quick", 5) == b"quick"
    go.set()
    assert await slow == b"slow"


async def test_an_answerer_that_fails_is_told_as_broken(bus: Bus) -> None:
    async def fails(_subject: str, _body: bytes) -> bytes:
        raise RuntimeError("a bug")

    await bus.answer("q", fails, group="g")
    with pytest.raises(Broken):
        await bus.ask("q", b"", 5)


async def test_a_closed_answerer_is_asked_no_more(bus: Bus) -> None:
    subscription = await bus.answer("q", echo, group="g")
    await bus.ask("q", b"", 5)
    await subscription.close()
    with pytest.raises(NoAnswer):
        await bus.ask("q", b"", 1)


async def test_what_is_too_large_is_refused_before_it_is_sent(bus: Bus) -> None:
    heard: list[tuple[str, bytes]] = []
    await bus.subscribe("a", into(heard))
    await bus.answer("a", echo, group="g")
    with pytest.raises(TooLarge):
        await bus.publish("a", bytes(BODY_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        await bus.ask("a", bytes(BODY_BYTES_MAX + 1), 1)
    await bus.publish("a", bytes(BODY_BYTES_MAX))
    await until(lambda: heard)
    assert [len(body) for _, body in heard] == [BODY_BYTES_MAX]


async def test_closing_the_bus_ends_questions_as_unanswered(bus: Bus) -> None:
    async def hangs(_subject: str, _body: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    await bus.answer("q", hangs, group="g")
    asking = asyncio.create_task(bus.ask("q", b"", 60))
    await turns()
    await bus.close()
    with pytest.raises(NoAnswer):
        await asyncio.wait_for(asking, 5)
