"""Who hears and who answers, the same on every bus: a backlog that is worked off, and answers that are in progress."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import Broken, TooLarge

BACKLOG_MAX: Final = 10_000
"""Publications that wait for one subscriber; past that its oldest are lost."""

T = TypeVar("T")

_log = logger("bus")


class Losses:
    """Publications that were lost to listeners that were too slow, of a whole bus."""

    def __init__(self) -> None:
        self.count = 0


class Ear:
    """One subscription to publications: a backlog and the task that works it off."""

    def __init__(self, tasks: Tasks, pattern: str, listener: Listener, group: str, losses: Losses) -> None:
        self.pattern, self.group = pattern, group
        self._listener = listener
        self._backlog: deque[tuple[str, bytes]] = deque()
        self._losses = losses
        self.lost = 0
        """Messages that it was too slow for."""
        self._come, self._gone = 0, 0
        """How many messages came, and how many of them were delivered or lost."""
        self._waiting: deque[tuple[int, asyncio.Event]] = deque()
        """Who waits until so many are gone."""
        self._wake = asyncio.Event()
        self._closed = False
        self._task = tasks.start(f"ear {pattern}", self._run())

    def hear(self, subject: str, body: bytes) -> None:
        """Puts a message at the end of the backlog."""
        if len(self._backlog) == BACKLOG_MAX:
            self._lose_oldest()
        self._backlog.append((subject, body))
        self._come += 1
        self._wake.set()

    def _lose_oldest(self) -> None:
        """Readers find the gap by the sequence of what comes next; who sent is never held up."""
        self._backlog.popleft()
        self._count_gone()
        self._losses.count += 1
        self.lost += 1
        if self.lost.bit_count() == 1:  # the first, then ever more rarely: a flood mustn't become one of log lines
            _log.warning("a listener is too slow; its oldest messages are lost", pattern=self.pattern, lost=self.lost)

    async def _run(self) -> None:
        try:
            while not self._closed:
                await self._wake.wait()
                self._wake.clear()
                while self._backlog and not self._closed:
                    await self._deliver(*self._backlog.popleft())
                    self._count_gone()
        finally:
            self._closed = True
            for _, waiting in self._waiting:
                waiting.set()

    def _count_gone(self) -> None:
        self._gone += 1
        while self._waiting and self._waiting[0][0] <= self._gone:
            self._waiting.popleft()[1].set()

    async def caught_up(self) -> None:
        """See Hearing."""
        if self._gone < self._come and not self._closed:
            reached = asyncio.Event()
            self._waiting.append((self._come, reached))
            await reached.wait()

    async def _deliver(self, subject: str, body: bytes) -> None:
        try:
            await self._listener(subject, body)
        except Exception as error:  # noqa: BLE001 - a listener that fails harms nobody else
            _log.error("a listener failed; the message is lost to it", subject=subject, exc_info=error)

    async def close(self) -> None:
        """Hears no more; waits for what is being delivered."""
        self._closed = True
        self._wake.set()
        if self._task is not asyncio.current_task():
            await asyncio.wait([self._task])


class Waker:
    """One who is told of each new connection. `among`: all of them, in order."""

    def __init__(self, wake: Callable[[float], None], among: "dict[Waker, None]") -> None:
        self.wake, self._among = wake, among
        among[self] = None

    async def close(self) -> None:
        """Is told no more."""
        self._among.pop(self, None)


class Mouth:
    """One answerer of questions."""

    def __init__(self, pattern: str, answerer: Answerer, group: str) -> None:
        self.pattern, self.group = pattern, group
        self._answerer = answerer
        self._running: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs what answers one question, beside others."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def answered(self, subject: str, body: bytes) -> bytes:
        """The answer. Raises Broken if the answerer fails."""
        try:
            return await self._answerer(subject, body)
        except Exception as error:
            _log.error("an answerer failed", subject=subject, exc_info=error)
            raise Broken(f"the answerer on {subject} failed; its log says why") from error

    def drop(self) -> None:
        """Breaks off what is in progress."""
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Waits for what is in progress."""
        if running := self._running - {asyncio.current_task()}:
            await asyncio.wait(running)


def bounded(subject: str, body: bytes, bytes_max: int = BODY_BYTES_MAX) -> None:
    """Raises TooLarge for what no bus carries."""
    if len(body) > bytes_max:
        raise TooLarge(f"a message on {subject} has {len(body)} bytes; at most {bytes_max} can be sent")
