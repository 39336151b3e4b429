"""The bus of the simulation: who is dead is asked no more once everything is well."""

import asyncio
from collections import Counter
from random import Random

import pytest

from freehold.sim.loop import SimLoop
from freehold.sim.network import Endpoint, Network
from freehold.sim.process import Process
from freehold.vocabulary.errors import NoAnswer


async def answered(subject: str, body: bytes) -> bytes:
    """An answer to anything."""
    return body


async def ask_after_a_death(network: Network) -> None:
    """A process answers and is killed; another is asked."""
    dead, asker = Process("dead"), Process("asker")
    await Endpoint(network, dead, "there").answer("thing", answered, "")
    dead.kill()
    with pytest.raises(NoAnswer, match="no answer on thing"):
        await Endpoint(network, asker, "here").ask("thing", b"", 0.01)
    network.forget_dead()
    with pytest.raises(NoAnswer, match="nobody answers on thing"):
        await Endpoint(network, asker, "here").ask("thing", b"", 0.01)


def test_the_dead_are_asked_until_the_broker_notices() -> None:
    asyncio.run(ask_after_a_death(Network(Random(1), Counter(), lambda _where, _error: None)))


async def be_cut_off_and_connected_again(network: Network) -> list[tuple[str, float]]:
    """Three places, of which two are cut off from one another for a second."""
    told: list[tuple[str, float]] = []
    for place in ("here", "there", "elsewhere"):
        endpoint = Endpoint(network, Process(place), place)
        endpoint.on_connect(lambda lost_s, place=place: told.append((place, lost_s)))  # type: ignore[misc]
    network.cut("here", "there")
    await asyncio.sleep(1.0)
    assert told == []
    network.mend("here", "there")
    await asyncio.sleep(1.0)
    return sorted(told)


def test_who_was_cut_off_is_told_so_when_it_is_connected_again() -> None:
    loop = SimLoop(1)
    told = loop.run_until_complete(
        be_cut_off_and_connected_again(Network(Random(1), Counter(), lambda _where, _error: None))
    )
    loop.close()
    assert told == [("here", 1.0), ("there", 1.0)]
