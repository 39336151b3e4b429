"""The bus within one process: direct calls, nothing to install."""

import asyncio
from collections.abc import Callable

from freehold.bus.ears import Ear, Losses, Mouth, Waker, bounded
from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import NoAnswer


def matches(pattern: str, subject: str) -> bool:
    """Whether `subject` is covered by `pattern` (``*`` is one token, a last ``>`` one or more)."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


class _Ear(Ear):
    def __init__(self, bus: "LocalBus", pattern: str, listener: Listener, group: str) -> None:
        super().__init__(bus.tasks, pattern, listener, group, bus.losses)
        self._bus = bus

    async def close(self) -> None:
        """See Subscription."""
        self._bus.forget(self)
        await super().close()


class _Mouth(Mouth):
    def __init__(self, bus: "LocalBus", pattern: str, answerer: Answerer, group: str) -> None:
        super().__init__(pattern, answerer, group)
        self._bus = bus

    async def close(self) -> None:
        """See Subscription."""
        self._bus.forget(self)
        await super().close()


class LocalBus:
    """See freehold.bus.interface.Bus."""

    def __init__(self, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self.tasks = Tasks("bus")
        self._ears: list[_Ear] = []
        self._mouths: list[_Mouth] = []
        self._heard_by: dict[str, list[_Ear]] = {}
        self._answered_by: dict[str, list[_Mouth]] = {}
        self._turn = 0
        self.losses = Losses()

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        bounded(subject, body, self._bytes_max)
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
        bounded(subject, body, self._bytes_max)
        mouths = self._answered_by.get(subject)
        if mouths is None:
            mouths = self._answered_by[subject] = [m for m in self._mouths if matches(m.pattern, subject)]
        if not mouths:
            raise NoAnswer(f"nobody answers on {subject}")
        mouth = mouths[self._next(len(mouths))]
        task = mouth.begin(mouth.answered(subject, body))
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
        mouth = _Mouth(self, subject, answerer, group)  # of several to one subject, one is asked: of a group, too
        self._mouths.append(mouth)
        self._answered_by.clear()
        return mouth

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        """See Bus."""
        return Waker(listener, {})

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
            mouth.drop()
        self._ears, self._mouths = [], []
        self._heard_by.clear()
        self._answered_by.clear()
        await self.tasks.close()

    def _next(self, count: int) -> int:
        self._turn += 1
        return self._turn % count
