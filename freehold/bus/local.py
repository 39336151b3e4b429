"""The bus within one process: direct calls, nothing to install."""

import asyncio
from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Generic, TypeVar

from freehold.bus.ears import Ear, Losses, Mouth, Waker, bounded
from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import NoAnswer

S = TypeVar("S", bound=Hashable)


def matches(pattern: str, subject: str) -> bool:
    """Whether `subject` is covered by `pattern` (``*`` is one token, a last ``>`` one or more)."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


class Subjects(Generic[S]):
    """Subscriptions by what they are for. Finding those for a subject costs no more where there are thousands."""

    def __init__(self) -> None:
        self._by_pattern: dict[str, dict[S, int]] = {}
        """In the order in which they came, with its number."""
        self._wild: dict[str, None] = {}
        """The patterns that cover more than one subject."""
        self._found: dict[str, list[S]] = {}
        self._count = 0

    def add(self, pattern: str, subscription: S) -> None:
        """There is one more."""
        self._count += 1
        self._by_pattern.setdefault(pattern, {})[subscription] = self._count
        if "*" in pattern or ">" in pattern:
            self._wild[pattern] = None
        self._found.clear()

    def drop(self, pattern: str, subscription: S) -> None:
        """There is one less; or it was gone already."""
        there = self._by_pattern.get(pattern, {})
        there.pop(subscription, None)
        if not there:
            self._by_pattern.pop(pattern, None)
            self._wild.pop(pattern, None)
        self._found.clear()

    def of(self, subject: str) -> list[S]:
        """Those that are for a subject, in the order in which they came."""
        found = self._found.get(subject)
        if found is None:
            patterns = [subject, *(pattern for pattern in self._wild if matches(pattern, subject))]
            numbered = [one for pattern in patterns for one in self._by_pattern.get(pattern, {}).items()]
            found = self._found[subject] = [one for one, _ in sorted(numbered, key=itemgetter(1))]
        return found

    def all(self) -> list[S]:
        """All of them."""
        return [one for there in self._by_pattern.values() for one in there]

    def clear(self) -> None:
        """There are none any more."""
        self._by_pattern.clear()
        self._wild.clear()
        self._found.clear()


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
        self._ears: Subjects[_Ear] = Subjects()
        self._mouths: Subjects[_Mouth] = Subjects()
        self._turn = 0
        self.losses = Losses()

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        bounded(subject, body, self._bytes_max)
        groups: dict[str, list[_Ear]] = {}
        for ear in self._ears.of(subject):
            if ear.group:
                groups.setdefault(ear.group, []).append(ear)
            else:
                ear.hear(subject, body)
        for members in groups.values():
            members[self._next(len(members))].hear(subject, body)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """See Bus."""
        bounded(subject, body, self._bytes_max)
        mouths = self._mouths.of(subject)
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
        self._ears.add(subject, ear)
        return ear

    async def answer(self, subject: str, answerer: Answerer, group: str) -> _Mouth:
        """See Bus."""
        mouth = _Mouth(self, subject, answerer, group)  # of several to one subject, one is asked: of a group, too
        self._mouths.add(subject, mouth)
        return mouth

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        """See Bus."""
        return Waker(listener, {})

    def forget(self, subscription: "_Ear | _Mouth") -> None:
        """Takes a subscription out of the tables."""
        if isinstance(subscription, _Ear):
            self._ears.drop(subscription.pattern, subscription)
        else:
            self._mouths.drop(subscription.pattern, subscription)

    async def close(self) -> None:
        """See Bus."""
        for mouth in self._mouths.all():
            mouth.drop()
        self._ears.clear()
        self._mouths.clear()
        await self.tasks.close()

    def _next(self, count: int) -> int:
        self._turn += 1
        return self._turn % count
