"""Nothing runs unseen: a task that fails is told to everyone who should know, and closing waits for the end."""

import asyncio
import threading
from functools import partial

import pytest
from structlog.testing import capture_logs

from freehold.runtime.tasks import Tasks, ThreadOffload, offload_inline, periodically
from tests.owners import turns

FAILURE = RuntimeError("the disk is on fire")
FOREVER = 3600


async def fails(error: BaseException = FAILURE) -> None:
    raise error


async def waits() -> None:
    await asyncio.Event().wait()


async def broken(tasks: Tasks) -> bool:
    """Whether who waits for `tasks` to break has been woken."""
    waiting = asyncio.ensure_future(tasks.broken())
    await turns()
    waiting.cancel()
    return waiting.done() and not waiting.cancelled()


# --- failures --------------------------------------------------------------------------------------------------------


async def test_a_task_that_fails_breaks_its_room() -> None:
    tasks = Tasks("room")
    waiting = asyncio.ensure_future(tasks.broken())
    tasks.start("well", waits())
    tasks.start("bad", fails())
    await asyncio.wait_for(waiting, 5)
    assert tasks.failed is FAILURE
    await tasks.close()


async def test_the_first_failure_is_the_one_that_is_kept() -> None:
    tasks = Tasks("room")
    tasks.start("first", fails())
    await turns()
    tasks.start("second", fails(ValueError("a consequence")))
    await turns()
    assert tasks.failed is FAILURE


async def test_a_task_that_ends_breaks_nothing() -> None:
    tasks = Tasks("room")
    task = tasks.start("done", asyncio.sleep(0, "well"))
    assert await task == "well"
    assert not await broken(tasks) and tasks.failed is None


async def test_a_failure_goes_up_to_every_room_that_watches() -> None:
    part, room, house, stranger = (Tasks(name) for name in ("part", "room", "house", "stranger"))
    room.watch(part)
    house.watch(room, Tasks("other"))
    part.start("bad", fails())
    await turns()
    assert part.failed is room.failed is house.failed is FAILURE
    assert await broken(house) and not await broken(stranger) and stranger.failed is None


async def test_a_failure_from_before_the_watch_is_heard_too() -> None:
    part, room = Tasks("part"), Tasks("room")
    part.start("bad", fails())
    await turns()
    room.watch(part)
    assert room.failed is FAILURE and await broken(room)


async def test_a_rooms_failure_isnt_its_parts() -> None:
    part, room = Tasks("part"), Tasks("room")
    room.watch(part)
    room.start("bad", fails())
    await turns()
    assert room.failed is FAILURE and part.failed is None


# --- closing ---------------------------------------------------------------------------------------------------------


async def test_closing_cancels_and_waits_for_the_end() -> None:
    tasks, ended = Tasks("room"), list[str]()

    async def tidies() -> None:
        try:
            await waits()
        finally:
            await turns(5)
            ended.append("tidied")

    tasks.start("tidies", tidies())
    await turns()
    await tasks.close()
    assert ended == ["tidied"] and tasks.failed is None and not await broken(tasks)


async def test_tasks_are_cancelled_in_the_order_they_were_started() -> None:
    tasks, ended = Tasks("room"), list[int]()

    async def numbered(number: int) -> None:
        try:
            await waits()
        finally:
            ended.append(number)

    for number in range(20):
        tasks.start(f"{number}", numbered(number))
    await turns()
    await tasks.close()
    assert ended == list(range(20))


async def test_a_failure_while_closing_is_seen() -> None:
    tasks = Tasks("room")

    async def breaks_at_the_end() -> None:
        try:
            await waits()
        finally:
            await fails()

    tasks.start("bad", breaks_at_the_end())
    await turns()
    await tasks.close()
    assert tasks.failed is FAILURE


async def test_a_task_may_close_its_own_room() -> None:
    tasks = Tasks("room")
    tasks.start("other", waits())
    await asyncio.wait_for(tasks.start("closer", tasks.close()), 5)


async def test_closing_twice_or_with_nothing_to_close() -> None:
    tasks = Tasks("room")
    await tasks.close()
    tasks.start("one", waits())
    await tasks.close()
    await tasks.close()


async def test_a_task_has_its_rooms_name() -> None:
    tasks = Tasks("room")
    assert tasks.start("window", waits()).get_name() == "room.window"
    await tasks.close()


# --- blocking work ---------------------------------------------------------------------------------------------------


async def test_work_is_done_off_the_loop_and_comes_back() -> None:
    offload = ThreadOffload()
    assert await offload(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await offload(lambda: 1 // 0)
    offload.close()


async def test_one_thread_works_in_the_order_it_was_given() -> None:
    offload, done = ThreadOffload(1), list[int]()
    await asyncio.gather(*(offload(partial(done.append, number)) for number in range(100)))
    assert done == list(range(100))
    offload.close()


async def test_closing_waits_for_what_is_running() -> None:
    offload, go, done = ThreadOffload(1), threading.Event(), list[bool]()
    running = asyncio.ensure_future(offload(lambda: done.append(go.wait(5))))
    await turns()
    threading.Timer(0.05, go.set).start()
    offload.close()
    assert done == [True]
    await running
    with pytest.raises(RuntimeError):
        await offload(lambda: None)


async def test_inline_work_is_done_at_once() -> None:
    assert await offload_inline(threading.current_thread) is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await offload_inline(lambda: 1 // 0)


async def test_periodic_work_is_done_first_and_then_waits() -> None:
    order: list[object] = []

    async def work() -> None:
        order.append("work")

    async def sleep(seconds: float) -> None:
        order.append(seconds)
        if len(order) >= 6:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await periodically(sleep, 7.0, work)
    assert order == ["work", 7.0] * 3


@pytest.mark.parametrize(("by_somebody_else", "said"), [(True, ["room.waits"]), (False, [])])
async def test_a_task_that_ends_as_what_it_waited_for_was_cancelled_is_named(
    by_somebody_else: bool, said: list[str]
) -> None:
    tasks, waited_for = Tasks("room"), asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await waited_for

    with capture_logs() as logs:
        task = tasks.start("waits", wait())
        await asyncio.sleep(0)
        (waited_for if by_somebody_else else task).cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert [entry["task"] for entry in logs] == said
