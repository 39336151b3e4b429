"""What a decision leads to: the right message to the right peer."""

from typing import Any

import pytest

from freehold.bus import subjects, talk
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, Fault, NoAnswer
from freehold.vocabulary.request import Build, GiveUp, RecordDeed
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.scheduler import effects
from tests.owners import a_build, a_deed, means_of, until

FULL = Fault(code="NoRoom", message="full")


async def registrar(means: Means, answer: Any) -> list[Word]:
    """A registrar that gives one answer, or raises it; and what it was asked."""
    asked: list[Word] = []

    async def answered(question: Word) -> Word:
        asked.append(question)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Word)
        return answer

    await talk.serve(means.bus, subjects.ask_ledger(0, "scheduler"), RecordDeed | GiveUp, answered, "registrar")
    return asked


async def test_the_deed_that_holds_is_the_registrars() -> None:
    means, mine, first = means_of(), a_deed("g", host="h2"), a_deed("g", host="h1")
    asked = await registrar(means, first)
    assert await effects.record_deed(means, mine) == first
    assert asked == [RecordDeed(deed=mine)]


async def test_a_guest_that_gets_no_deed_is_a_conflict() -> None:
    means = means_of()
    await registrar(means, Conflict("gone"))
    with pytest.raises(Conflict, match="gone"):
        await effects.record_deed(means, a_deed("g"))


async def test_a_registrar_that_isnt_there_gives_no_deed() -> None:
    with pytest.raises(NoAnswer):
        await effects.record_deed(means_of(), a_deed("g"))


async def test_a_build_goes_to_the_network_worker_of_its_deeds_cluster() -> None:
    means, heard = means_of(), dict[str, list[Build]]()
    for cluster in ("c", "d"):
        took = heard.setdefault(cluster, [])

        async def take(build: Build, took: list[Build] = took) -> None:
            took.append(build)

        await talk.hear(means.bus, subjects.build_network(cluster), Build, take)
    build = a_build(guest="g", deed=Deed(guest="g", project="p", number=1, host="h", cluster="d", urn="urn:1"))
    await effects.pass_on(means, build)
    await until(lambda: heard["d"])
    assert heard == {"c": [], "d": [build]}


@pytest.mark.parametrize(
    ("fields", "deed"),
    [
        ({}, 0),
        ({"refused": ("h1",)}, 1),
        ({"refused": ("h1", "h2"), "deed": a_deed("g", 1)}, 2),
        ({"deed": a_deed("g", 3)}, 3),
    ],
    ids=["before a deed", "after a refusal", "after two", "under a deed"],
)
async def test_giving_up_names_the_newest_deed_it_knows(fields: dict[str, Any], deed: int) -> None:
    means = means_of()
    asked = await registrar(means, Done(store="r", position=Position(epoch="e")))
    await effects.give_up(means, a_build(guest="g", urn="urn:7", **fields), FULL)
    assert asked == [GiveUp(urn="urn:7", guest="g", deed=deed, fault=FULL)]
