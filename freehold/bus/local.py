"""The bus within one process: direct calls, nothing to install."""

import asyncio
from collections import deque
from typing import Final

from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import Broken, NoAnswer, TooLarge

BACKLOG_MAX: Final = 10_000
"""Publications that wait for one subscriber; past that its oldest are lost."""

_log = logger("bus")


def matches(pattern: str, subject: str) -> bool:
    """Whether `subject` is covered by `pattern` (``*`` is one token, a last ``>`` one or more)."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


class _Ear:
    """One subscription to publications: a backlog and the task that works it off."""

    def __init__(self, bus: "LocalBus", pattern: str, listener: Listener, group: str) -> None:
        self._bus, self.pattern, self.group = bus, pattern, group
        self._listener = listener
        self._backlog: deque[tuple[str, bytes]] = deque()
        self.lost = 0
        """Messages that it was too slow for."""
        self._wake = asyncio.Event()
        self._closed = False
        self._task = bus.tasks.start(f"ear {pattern}", self._run())

    def hear(self, subject: str, body: bytes) -> None:
        if len(self._backlog) == BACKLOG_MAX:
            self._lose_oldest()
        self._backlog.append((subject, body))
        self._wake.set()

    def _lose_oldest(self) -> None:
        """Readers find the gap by the sequence of what comes next; who sent is never held up."""
        self._backlog.popleft()
        self._bus.lost += 1
        self.lost += 1
        if self.lost.bit_count() == 1:  # the first, then ever more rarely: a flood mustn't become one of log lines
            _log.warning("a listener is too slow; its oldest messages are lost", pattern=self.pattern, lost=self.lost)

    async def _run(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog and not self._closed:
                await self._deliver(*self._backlog.popleft())

    async def _deliver(self, subject: str, body: bytes) -> None:
        try:
            await self._listener(subject, body)
        except Exception as error:  # noqa: BLE001 - a listener that fails harms nobody else
            _log.error("a listener failed; the message is lost to it", subject=subject, exc_info=error)

    async def close(self) -> None:
        """See Subscription."""
        self._closed = True
        self._wake.set()
        self._bus.forget(self)
        if self._task is not asyncio.current_task():
            await asyncio.wait([self._task])


class _Mouth:
    """One answerer of questions."""

    def __init__(self, bus: "LocalBus", pattern: str, answerer: Answerer) -> None:
        self._bus, self.pattern, self.answerer = bus, pattern, answerer
        self.running: set[asyncio.Task[bytes]] = set()

    async def close(self) -> None:
        """See Subscription."""
        self._bus.forget(self)
        if running := self.running - {asyncio.current_task()}:
            await asyncio.wait(running)


class LocalBus:
    """See freehold.bus.interface.Bus."""

    def __init__(self) -> None:
        self.tasks = Tasks("bus")
        self._ears: list[_Ear] = []
        self._mouths: list[_Mouth] = []
        self._heard_by: dict[str, list[_Ear]] = {}
        self._answered_by: dict[str, list[_Mouth]] = {}
        self._turn = 0
        self.lost = 0
        """Publications that were lost to listeners that were too slow."""

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        _bounded(subject, body)
        ears = self._heard_by.get(subject)
        if ears is None:
            ears = self._heard_by[subject] = [ear for ear in self._ears if matches(ear.pattern, subject)]
        groups: dict[str, list[_Ear]] = {}
        for ear in ears:
            if ear.group:
                groups.setdefault(ear.group, []).append(ear)
            else:
                ear.hear(subject, body)
        for members in groups.values():
            members[self._next(len(members))].hear(subject, body)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """See Bus."""
        _bounded(subject, body)
        mouths = self._answered_by.get(subject)
        if mouths is None:
            mouths = self._answered_by[subject] = [m for m in self._mouths if matches(m.pattern, subject)]
        if not mouths:
            raise NoAnswer(f"nobody answers on {subject}")
        mouth = mouths[self._next(len(mouths))]
        task = asyncio.get_running_loop().create_task(_answered(mouth.answerer, subject, body))
        mouth.running.add(task)
        task.add_done_callback(mouth.running.discard)
        done, _ = await asyncio.wait([task], timeout=deadline_s)
        if not done:
            raise NoAnswer(f"no answer on {subject} within {deadline_s:g} s")
        if task.cancelled():
            raise NoAnswer(f"the bus was closed before {subject} was answered")
        return task.result()

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> _Ear:
        """See Bus."""
        ear = _Ear(self, subject, listener, group)
        self._ears.append(ear)
        self._heard_by.clear()
        return ear

    async def answer(self, subject: str, answerer: Answerer, group: str) -> _Mouth:
        """See Bus."""
        del group  # of several answerers to one subject, one is asked: that is what a group is for
        mouth = _Mouth(self, subject, answerer)
        self._mouths.append(mouth)
        self._answered_by.clear()
        return mouth

    def forget(self, subscription: "_Ear | _Mouth") -> None:
        """Takes a subscription out of the tables."""
        if isinstance(subscription, _Ear):
            self._ears = [ear for ear in self._ears if ear is not subscription]
            self._heard_by.clear()
        else:
            self._mouths = [mouth for mouth in self._mouths if mouth is not subscription]
            self._answered_by.clear()

    async def close(self) -> None:
        """See Bus."""
        for mouth in self._mouths:
            for task in mouth.running:
                task.cancel()
        self._ears, self._mouths = [], []
        self._heard_by.clear()
        self._answered_by.clear()
        await self.tasks.close()

    def _next(self, count: int) -> int:
        self._turn += 1
        return self._turn % count


async def _answered(answerer: Answerer, subject: str, body: bytes) -> bytes:
    try:
        return await answerer(subject, body)
    except Exception as error:
        _log.error("an answerer failed", subject=subject, exc_info=error)
        raise Broken(f"the answerer on {subject} failed; its log says why") from error


def _bounded(subject: str, body: bytes) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"a message on {subject} has {len(body)} bytes; at most {BODY_BYTES_MAX} can be sent")
