"""Verbs on one volume wait for each other."""

import asyncio

from freehold.drivers.volumestore.turns import Turns


async def test_one_at_a_time_and_others_beside() -> None:
    turns, there = Turns(), 0

    async def work(volume: str) -> None:
        nonlocal there
        async with turns.take(volume):
            there += 1
            assert there == 1
            await asyncio.sleep(0)
            there -= 1

    await asyncio.gather(*(work("one") for _ in range(5)))
    async with turns.take("one"), turns.take("two"):
        assert turns.is_taken("one")
    assert not turns.is_taken("one")


async def test_who_has_it_is_told_that_others_wait_until_none_do() -> None:
    turns = Turns()
    async with turns.take("one") as hurry:
        assert not hurry.is_set()
        waiting = asyncio.create_task(taken(turns))
        await asyncio.wait_for(hurry.wait(), 5)
    assert not await waiting
    async with turns.take("one") as hurry:
        waiting = asyncio.create_task(taken(turns))
        await hurry.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with turns.take("one") as hurry:
        assert not hurry.is_set()


async def taken(turns: Turns) -> bool:
    """Whether somebody else waited when the turn came."""
    async with turns.take("one") as hurry:
        return hurry.is_set()
