"""Tasks that are watched: nothing runs in the background unseen."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from freehold.runtime.log import logger

T = TypeVar("T")

_log = logger("tasks")


class Offload(Protocol):
    """Runs blocking work away from the event loop."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """The result of `work()`, or what it raised."""


class ThreadOffload:
    """Blocking work in threads; with one thread, in the order it was given."""

    def __init__(self, threads: int = 1, name: str = "offload") -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, work: Callable[[], T]) -> T:
        """See Offload."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Waits for what is running."""
        self._pool.shutdown(wait=True)


async def offload_inline(work: Callable[[], T]) -> T:
    """Runs the work at once: for tests, and for the simulation, which has no threads."""
    return work()


class Tasks:
    """The tasks of one room: started by name, ended together. A task that fails unexpectedly ends the room, loudly.

    `failed` is set to the first such error; whoever runs the room waits for `broken()`.
    """

    def __init__(self, room: str) -> None:
        self._room = room
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order: what is cancelled first is the same in every run
        self._watchers: list[Tasks] = []
        self._broken: asyncio.Event = asyncio.Event()
        self.failed: BaseException | None = None

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs `work` in the background until it ends or `close` is called."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._room}.{name}")
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            if not task.cancelling():
                _log.error("a task ended as what it waited for was cancelled", task=task.get_name())
            return
        error = task.exception()
        if error is not None:
            _log.error("task failed", task=task.get_name(), exc_info=error)
            self._fail(error)

    def watch(self, *parts: "Tasks") -> None:
        """A failure in one of `parts` is one of this room as well."""
        for part in parts:
            part._watchers.append(self)
            if part.failed is not None:
                self._fail(part.failed)

    def _fail(self, error: BaseException) -> None:
        if self.failed is None:
            self.failed = error
        self._broken.set()
        for watcher in self._watchers:
            watcher._fail(error)

    async def broken(self) -> None:
        """Waits until a task has failed."""
        await self._broken.wait()

    async def close(self) -> None:
        """Cancels what runs and waits until it has ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def periodically(
    clock_sleep: Callable[[float], Awaitable[None]], period_s: float, work: Callable[[], Awaitable[None]]
) -> None:
    """Does `work`, waits `period_s`, and so on until cancelled."""
    while True:
        await work()
        await clock_sleep(period_s)
