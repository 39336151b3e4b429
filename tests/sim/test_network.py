"""The bus of the simulation: who is dead is asked no more once everything is well."""

import asyncio
from collections import Counter
from random import Random

import pytest

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
