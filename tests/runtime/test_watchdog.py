"""A loop whose turn never ends is found and named with its stack; one that only waits, or was stopped, is not."""

import asyncio

import pytest
from structlog.testing import capture_logs

from freehold.runtime.tasks import Tasks
from freehold.runtime.watchdog import LOOK_PERIOD_S, LOOKS_MAX, LagMeter, Watchdog
from freehold.vocabulary.errors import Broken
from tests.owners import HandClock, turns


async def deep() -> None:
    await asyncio.Event().wait()


async def outer() -> None:
    await deep()


async def looks(clock: HandClock, count: int) -> None:
    for _ in range(count):
        clock.move(LOOK_PERIOD_S)
        await turns()


async def test_a_turn_that_never_ends_breaks_the_room_and_says_where_it_waits() -> None:
    clock, tasks = HandClock(), Tasks("host")
    watchdog = Watchdog("host", clock)
    tasks.start("watchdog", watchdog.run())
    tasks.start("loop", watchdog.turn("reconcile", outer()))
    await turns()
    await looks(clock, LOOKS_MAX)
    assert tasks.failed is None
    with capture_logs() as logs:
        await looks(clock, 1)
    assert isinstance(tasks.failed, Broken)
    assert "'reconcile' of the host" in tasks.failed.message
    [told] = [log for log in logs if log["event"] == "a loop is stuck"]
    assert [line.split()[0] for line in told["stack"]][:3] == ["turn", "outer", "deep"]
    await tasks.close()


async def test_a_loop_that_turns_or_waits_is_left_alone_and_so_is_one_that_was_stopped_with_the_process() -> None:
    clock, tasks = HandClock(), Tasks("host")
    watchdog = Watchdog("host", clock)
    tasks.start("watchdog", watchdog.run())
    await turns()

    async def short() -> None:
        await asyncio.sleep(0)

    step = watchdog.watched("reconcile", short)
    for _ in range(2 * LOOKS_MAX):
        await step()
        await looks(clock, 1)
    stopped = tasks.start("loop", watchdog.turn("resend", deep()))
    clock.move(3600)
    await turns()
    assert tasks.failed is None
    stopped.cancel()
    await tasks.close()


async def test_an_error_of_a_turn_passes_and_the_turn_is_over() -> None:
    watchdog = Watchdog("host", HandClock())

    async def fails() -> None:
        raise Broken("no")

    with pytest.raises(Broken, match="no"):
        await watchdog.turn("reconcile", fails())
    assert not watchdog._turns


async def test_a_loop_that_is_held_up_is_counted() -> None:
    clock = HandClock()
    meter = LagMeter(clock)
    running = asyncio.ensure_future(meter.run())
    await turns()
    clock.move(0.6)
    await turns()
    assert meter.blocked == 0
    clock.move(4.0)
    await turns()
    running.cancel()
    assert (meter.blocked, round(meter.lag_s_max, 1)) == (1, 3.5)
