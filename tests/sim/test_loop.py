"""Virtual time, an order that the seed picks, and processes that stop between two steps."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from freehold.sim.loop import SimLoop, Stuck
from freehold.sim.process import Process

T = TypeVar("T")


def played(work: Coroutine[Any, Any, T], seed: int = 1) -> T:
    loop = SimLoop(seed)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_nothing_waits() -> None:
    async def work() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    assert played(work()) == 86_400.0


def test_timers_come_in_order_and_cancelled_ones_never() -> None:
    async def work() -> list[str]:
        loop, told = asyncio.get_running_loop(), list[str]()
        loop.call_later(2.0, told.append, "second")
        loop.call_later(1.0, told.append, "first")
        cancelled = [loop.call_later(1.5, told.append, "never") for _ in range(2000)]
        for timer in cancelled:
            timer.cancel()
        await asyncio.sleep(3.0)
        return told

    assert played(work()) == ["first", "second"]


def test_the_order_of_what_is_ready_is_the_seeds() -> None:
    async def work() -> list[int]:
        loop, told = asyncio.get_running_loop(), list[int]()
        for turn in range(5):
            for number in range(5):
                loop.call_later(turn, told.append, number)
        await asyncio.sleep(10.0)
        return told

    assert played(work(), 7) == played(work(), 7)
    assert len({tuple(played(work(), seed)) for seed in range(20)}) > 1


def test_waiting_for_what_never_comes_is_said() -> None:
    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        played(work())


def test_an_async_generator_that_nobody_closed_is_named() -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number

    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        async with aclosing(numbers()) as closed:
            async for _ in closed:
                break
        assert loop.unclosed == []
        async for _ in numbers():
            break
        await asyncio.sleep(1.0)
        return loop.unclosed

    assert [name.rpartition(".")[2] for name in played(work())] == ["numbers"]


def test_a_killed_process_runs_not_one_line_more() -> None:
    async def work() -> list[str]:
        told: list[str] = []
        process = Process("p")

        async def victim() -> None:
            try:
                told.append("begun")
                await asyncio.sleep(5.0)
                told.append("gone on")
            finally:
                told.append("cleaned up")

        process.start(victim())
        await asyncio.sleep(1.0)
        process.kill()
        await asyncio.sleep(10.0)
        return list(told)

    assert played(work()) == ["begun"]


def test_a_paused_process_goes_on_where_it_stood() -> None:
    async def work() -> list[float]:
        loop, told = asyncio.get_running_loop(), list[float]()
        assert isinstance(loop, SimLoop)
        process = Process("p")

        async def sleeper() -> None:
            await asyncio.sleep(1.0)
            told.append(loop.time())

        process.start(sleeper())
        await asyncio.sleep(0.5)
        process.pause()
        await asyncio.sleep(9.5)
        assert told == []
        process.go_on(loop.take_up)
        await asyncio.sleep(1.0)
        return told

    assert played(work()) == [10.0]
