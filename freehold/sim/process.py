"""A process that can be killed at any step, or paused: a context that its tasks and callbacks carry."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar

T = TypeVar("T")

TASKS_MIN: Final = 100
"""Tasks among which it isn't worth looking for those that are done."""

PROCESS: "ContextVar[Process]" = ContextVar("process")


class Process:
    """Something that runs code. `name` is for people, `incarnation` counts its starts."""

    def __init__(self, name: str, incarnation: int = 1) -> None:
        self.name, self.incarnation = name, incarnation
        self.alive, self.paused = True, False
        self.runs = True
        self.still_since_s = self.went_on_s = 0.0
        """When it stood still last, and when it went on."""
        self.held: list[Any] = []
        """Callbacks that wait while it is paused; they are the loop's."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        """Kept until they are done or the world ends: one that is collected while it waits would run its clean-up."""
        self._tasks_max = TASKS_MIN
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs `work` as this process."""
        task = asyncio.get_running_loop().create_task(work, context=self.context)
        self.tasks[task] = None
        if len(self.tasks) > self._tasks_max:
            self.tasks = {task: None for task in self.tasks if not task.done()}
            self._tasks_max = 2 * len(self.tasks) + TASKS_MIN
        return task

    def call_later(self, delay_s: float, work: Callable[..., object], *args: Any) -> None:
        """Calls `work` as this process in `delay_s`."""
        asyncio.get_running_loop().call_later(delay_s, work, *args, context=self.context)

    def kill(self) -> None:
        """Not a line of it runs any more: no `finally`, no `except`."""
        self.alive = self.runs = False

    def pause(self) -> None:
        """It stands still, as when its machine sleeps: what comes meanwhile is there when it goes on."""
        self.paused, self.runs = True, False
        self.still_since_s = asyncio.get_running_loop().time()

    def go_on(self, take_up: Callable[[list[Any]], None]) -> None:
        """Goes on after a pause, if there was one."""
        self.paused = False
        self.runs = self.alive
        self.went_on_s = asyncio.get_running_loop().time()
        held, self.held = self.held, []
        take_up(held)
