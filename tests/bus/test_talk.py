"""Words and errors arrive as what they were sent as."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import talk
from freehold.bus.local import LocalBus
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Done, Hello, Position, Since, Stands
from freehold.vocabulary.errors import BadRequest, Broken, Busy, Conflict, Forbidden, QuotaExceeded
from freehold.vocabulary.guest import GuestSpec, Labels
from freehold.vocabulary.request import Build, Lost
from freehold.vocabulary.tenant import Flavor
from tests.owners import project, turns, until

WHERE = Position(epoch="e", seq=3)


async def answering(bus: LocalBus, error: Exception | None = None) -> None:
    async def handler(question: Since | Stands) -> Position:
        if error is not None:
            raise error
        return question.position if isinstance(question, Since) else WHERE

    await talk.serve(bus, "q", Since | Stands, handler, "g")


async def test_a_question_and_its_answer() -> None:
    bus = LocalBus()
    await answering(bus)
    assert await talk.ask(bus, "q", Stands(), Position) == WHERE
    assert await talk.ask(bus, "q", Since(position=Position(epoch="x")), Position) == Position(epoch="x")
    await bus.close()


@pytest.mark.parametrize("error", [QuotaExceeded("used up"), Conflict("taken")])
async def test_an_error_is_raised_as_the_same_class(error: Conflict) -> None:
    bus = LocalBus()
    await answering(bus, error)
    with pytest.raises(type(error), match=error.message):
        await talk.ask(bus, "q", Stands(), Position)
    await bus.close()


async def test_a_bug_is_told_as_broken_without_its_insides() -> None:
    bus = LocalBus()
    await answering(bus, RuntimeError("password=hunter2"))
    with pytest.raises(Broken) as raised:
        await talk.ask(bus, "q", Stands(), Position)
    assert "hunter2" not in raised.value.message
    await bus.close()


async def test_a_question_that_is_none_is_refused() -> None:
    bus = LocalBus()
    await answering(bus)
    with pytest.raises(BadRequest):
        await talk.ask(bus, "q", Hello(), Position)
    await bus.close()


async def test_who_asks_in_anothers_name_is_refused() -> None:
    bus = LocalBus()

    async def handler(question: Lost) -> Position:
        return WHERE

    await talk.serve(bus, "ask.*", Lost, handler, "g", subject_of=lambda question, _asked: f"ask.{question.host}")
    assert await talk.ask(bus, "ask.me", Lost(host="me", guests=()), Position) == WHERE
    with pytest.raises(Forbidden):
        await talk.ask(bus, "ask.me", Lost(host="another", guests=()), Position)
    await bus.close()


async def test_an_answer_of_another_shape_is_broken() -> None:
    bus = LocalBus()
    await answering(bus)
    with pytest.raises(Broken):
        await talk.ask(bus, "q", Stands(), Done)
    await bus.close()


async def test_what_cant_be_read_or_taken_is_dropped_and_the_next_is_heard() -> None:
    bus, heard = LocalBus(), asyncio.Queue[str]()

    async def handler(word: Position) -> None:
        if word.epoch == "bad":
            raise Conflict("not now")
        if word.epoch == "bug":
            raise RuntimeError("a bug")
        heard.put_nowait(word.epoch)

    await talk.hear(bus, "a", Position, handler)
    await bus.publish("a", b"\xc1")
    await bus.publish("a", encode(project("p")))
    for epoch in ("bad", "bug", "good"):
        await talk.say(bus, "a", Position(epoch=epoch))
    await until(lambda: not heard.empty())
    assert heard.get_nowait() == "good"
    await bus.close()


async def test_past_its_bound_an_answerer_says_busy_at_once_and_answers_again_when_one_has_ended() -> None:
    bus, gate = LocalBus(), asyncio.Event()

    async def handler(_question: Stands) -> Position:
        await gate.wait()
        return WHERE

    await talk.serve(bus, "q", Stands, handler, "g", at_once_max=2)
    waiting = [asyncio.ensure_future(talk.ask(bus, "q", Stands(), Position)) for _ in range(2)]
    await turns()
    with pytest.raises(Busy):
        await asyncio.wait_for(talk.ask(bus, "q", Stands(), Position), 5)
    gate.set()
    assert await asyncio.gather(*waiting) == [WHERE, WHERE]
    assert await talk.ask(bus, "q", Stands(), Position) == WHERE
    await bus.close()


async def test_what_a_later_version_has_put_into_a_build_is_passed_on() -> None:
    bus, heard = LocalBus(), asyncio.Queue[bytes]()

    async def pass_on(build: Build) -> None:
        await talk.say(bus, "next", replace(build, attempt=2))

    async def last(_subject: str, body: bytes) -> None:
        heard.put_nowait(body)

    await talk.hear(bus, "stage", Build, pass_on)
    await bus.subscribe("next", last)
    await bus.publish("stage", encode(decode(encode(a_build()), dict[str, Any]) | {"colour": "green"}))
    sent = decode(await heard.get(), dict[str, Any])
    assert (sent["colour"], sent["attempt"]) == ("green", 2)
    await bus.close()


def a_build() -> Build:
    flavor = Flavor(id="1", name="small", vcpus=1, ram_mib=64, disk_gib=1)
    return Build(
        urn="u",
        guest="g",
        project="p",
        user="who",
        created=1,
        expires=2,
        hostname="h",
        labels=Labels(name="h"),
        spec=GuestSpec(flavor=flavor, image="i"),
    )
