"""The bus between processes that may each be cut off, with a fate for every message: lost, doubled, late.

Each process has an `Endpoint`; what it sends to another (or to itself) is decided message by message. Every process
sits at a place; places can be cut from each other. A subscription of a process that was killed stays for a while, as a
broker notices late, and what is sent there is lost.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any, Final

from freehold.bus.ears import Waker
from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.bus.local import matches
from freehold.sim.process import Process
from freehold.vocabulary.errors import NoAnswer, TooLarge

LATENCY_S_MIN: Final = 0.0002
LATENCY_S_SPAN: Final = 0.002 - LATENCY_S_MIN
BACKLOG_MAX: Final = 10_000
KEPT_MAX: Final = 80
BUILDS: Final = ("freehold.build.network.", "freehold.build.host.")
"""The hops of a build that has its deed."""

_covers: Final = lru_cache(maxsize=1 << 16)(matches)
"""The tables are made anew whenever a process comes or goes: mostly of pairs that were in them before."""


@dataclass(slots=True)
class Weather:
    """How likely each fate of a message is, and how late a late one may be."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_s_max: float = 0.0


@dataclass(slots=True, eq=False)
class _Ear:
    """One subscription to publications."""

    endpoint: "Endpoint"
    pattern: str
    listener: Listener
    group: str
    backlog: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=BACKLOG_MAX))
    busy: bool = False
    closed: bool = False
    waiting: list[asyncio.Event] = field(default_factory=list)
    """Who waits until the backlog is empty."""

    def hear(self, subject: str, body: bytes) -> None:
        if self.closed:
            return
        self.backlog.append((subject, body))
        if not self.busy:
            self.busy = True
            self.endpoint.process.start(self._drain())

    async def _drain(self) -> None:
        while self.backlog and not self.closed:
            subject, body = self.backlog.popleft()
            try:
                await self.listener(subject, body)
            except Exception as error:  # noqa: BLE001 - told to the world, which judges it
                self.endpoint.network.broken(f"a listener of {self.endpoint.process.name} on {subject}", error)
        self.busy = False
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.set()

    async def caught_up(self) -> None:
        """See Hearing."""
        if self.busy and not self.closed:
            drained = asyncio.Event()
            self.waiting.append(drained)
            await drained.wait()

    async def close(self) -> None:
        """See Subscription."""
        self.closed = True
        self._wake()
        self.endpoint.network.forget(self)


@dataclass(slots=True, eq=False)
class _Mouth:
    """One answerer of questions."""

    endpoint: "Endpoint"
    pattern: str
    answerer: Answerer
    closed: bool = False

    async def close(self) -> None:
        """See Subscription."""
        self.closed = True
        self.endpoint.network.forget(self)


class Network:
    """See the module. `faults` counts what was done to messages; `broken` is told of what code raised."""

    def __init__(self, random: Random, faults: Counter[str], broken: Callable[[str, BaseException], None]) -> None:
        self._random, self._faults = random, faults
        self.broken = broken
        self.weather = Weather()
        self._cuts: dict[tuple[str, str], float] = {}
        """Since when nothing passes from one place to another."""
        self._unheard: dict[tuple[str, str], float] = {}
        """Until when one place doesn't hear another."""
        self._wakers: dict[Endpoint, dict[Waker, None]] = {}
        self._ears: dict[_Ear, None] = {}
        self._mouths: dict[_Mouth, None] = {}
        self._heard_by: dict[str, tuple[list[_Ear], list[list[_Ear]]]] = {}
        self._answered_by: dict[str, list[_Mouth]] = {}
        self.watchers: list[Callable[[Process, str, bytes], None]] = []
        """Told of every publication as it is sent."""
        self.answer_watchers: list[Callable[[Process, bytes], None]] = []
        """Told of every answer as it is sent."""
        self.sent = 0
        self._builds: deque[tuple[str, str, bytes]] = deque(maxlen=KEPT_MAX)
        """The last builds that were sent on these hops: from which place, on which subject."""

    # --- cuts ------------------------------------------------------------------------------------------------------

    def cut(self, one: str, other: str) -> None:
        """Nothing passes between two places any more."""
        self.mute(one, other)
        self.mute(other, one)

    def mute(self, origin: str, to: str) -> None:
        """Nothing passes from one place to another any more; it still does the other way."""
        self._cuts.setdefault((origin, to), asyncio.get_running_loop().time())

    def deafen(self, origin: str, to: str, for_s: float) -> None:
        """One place doesn't hear what another tells everybody, though they may ask one another."""
        self._unheard[origin, to] = asyncio.get_running_loop().time() + for_s

    def _is_unheard(self, origin: str, to: str) -> bool:
        if asyncio.get_running_loop().time() >= self._unheard.get((origin, to), 0.0):
            return False
        self._faults["message unheard"] += 1
        return True

    def mend(self, one: str, other: str) -> None:
        """Ends a cut, in both ways; both are connected again, and told so."""
        now_s = asyncio.get_running_loop().time()
        began_s = min(self._cuts.pop((one, other), now_s), self._cuts.pop((other, one), now_s))
        if began_s < now_s:
            self._connect_again({one, other}, now_s - began_s)

    def mend_all(self) -> None:
        """Ends all cuts; everybody hears."""
        self._unheard.clear()
        for one, other in list(self._cuts):
            self.mend(one, other)

    def _connect_again(self, places: set[str], lost_s: float) -> None:
        for endpoint in [endpoint for endpoint in self._wakers if endpoint.place in places]:
            for waker in list(self._wakers[endpoint]):
                endpoint.process.call_later(self._latency_s(), waker.wake, lost_s)

    def wakers(self, endpoint: "Endpoint") -> dict[Waker, None]:
        """Who of an endpoint is told when it is connected again."""
        return self._wakers.setdefault(endpoint, {})

    def connected(self, origin: str, to: str) -> bool:
        """Whether messages pass from one place to another."""
        return (origin, to) not in self._cuts

    # --- what endpoints do -----------------------------------------------------------------------------------------

    def publish(self, sender: "Endpoint", subject: str, body: bytes) -> None:
        self.sent += 1
        for watcher in self.watchers:
            watcher(sender.process, subject, body)
        if subject.startswith(BUILDS):
            self._builds.append((sender.place, subject, body))
        self._spread(sender.place, subject, body)

    def say_again(self, store: str) -> None:
        """The last builds for a host are sent again, to it and to its network worker, as a broker may that had kept
        them.
        """
        for place, said, body in list(self._builds):
            if store.encode() in body:
                self._faults["build said again"] += 1
                self._spread(place, said, body)

    def _spread(self, place: str, subject: str, body: bytes) -> None:
        single, groups = self._listeners(subject)
        for ear in single:
            if not (self._unheard and self._is_unheard(place, ear.endpoint.place)):
                self._carry(place, ear.endpoint, ear.hear, subject, body)
        for members in groups:
            ear = members[self._random.randrange(len(members))] if len(members) > 1 else members[0]
            self._carry(place, ear.endpoint, ear.hear, subject, body)

    async def ask(self, sender: "Endpoint", subject: str, body: bytes, deadline_s: float) -> bytes:
        self.sent += 1
        mouths = self._answerers(subject)
        if not mouths:
            await asyncio.sleep(self._latency_s())
            raise NoAnswer(f"nobody answers on {subject}")
        mouth = mouths[self._random.randrange(len(mouths))] if len(mouths) > 1 else mouths[0]
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def reply(raw: bytes) -> None:
            if not answered.done():
                answered.set_result(raw)

        def come(subject: str, body: bytes) -> None:
            if not mouth.closed:
                mouth.endpoint.process.start(self._answer(mouth, subject, body, sender, reply))

        self._carry(sender.place, mouth.endpoint, come, subject, body)
        try:
            return await asyncio.wait_for(answered, deadline_s)
        except TimeoutError:
            raise NoAnswer(f"no answer on {subject} within {deadline_s:g} s") from None

    async def _answer(
        self, mouth: _Mouth, subject: str, body: bytes, asker: "Endpoint", reply: Callable[[bytes], None]
    ) -> None:
        try:
            raw = await mouth.answerer(subject, body)
        except Exception as error:  # noqa: BLE001 - told to the world, which judges it
            self.broken(f"an answerer of {mouth.endpoint.process.name} on {subject}", error)
            return
        for watcher in self.answer_watchers:
            watcher(mouth.endpoint.process, raw)
        self._carry(mouth.endpoint.place, asker, reply, raw)

    def _carry(self, origin: str, to: "Endpoint", arrive: Callable[..., None], *args: Any) -> None:
        """Brings one message to one receiver, or not, or twice, or late."""
        process = to.process
        if self._cuts and not self.connected(origin, to.place):
            self._faults["message cut off"] += 1
            return
        weather, random = self.weather, self._random
        delay_s = self._latency_s()
        if weather.lost:
            draw = random.random()
            if draw < weather.lost:
                self._faults["message lost"] += 1
                return
            draw -= weather.lost
            if draw < weather.doubled:
                self._faults["message doubled"] += 1
                process.call_later(random.uniform(0.0, weather.late_s_max), arrive, *args)
            elif draw < weather.doubled + weather.late:
                self._faults["message late"] += 1
                delay_s = random.uniform(0.0, weather.late_s_max)
        if process.alive:
            process.call_later(delay_s, arrive, *args)

    def _latency_s(self) -> float:
        return LATENCY_S_MIN + LATENCY_S_SPAN * self._random.random()

    # --- tables ----------------------------------------------------------------------------------------------------

    def add_ear(self, ear: _Ear) -> None:
        self._ears[ear] = None
        self._heard_by.clear()

    def add_mouth(self, mouth: _Mouth) -> None:
        self._mouths[mouth] = None
        self._answered_by.clear()

    def forget(self, subscription: _Ear | _Mouth) -> None:
        """Takes a subscription out of the tables."""
        if isinstance(subscription, _Ear):
            self._ears.pop(subscription, None)
            self._heard_by.clear()
        else:
            self._mouths.pop(subscription, None)
            self._answered_by.clear()

    def forget_process(self, process: Process) -> None:
        """The broker has noticed that a process is gone."""
        for ear in [ear for ear in self._ears if ear.endpoint.process is process]:
            self.forget(ear)
        for mouth in [mouth for mouth in self._mouths if mouth.endpoint.process is process]:
            self.forget(mouth)
        for endpoint in [endpoint for endpoint in self._wakers if endpoint.process is process]:
            del self._wakers[endpoint]

    def forget_dead(self) -> None:
        """The broker has noticed of every process that is gone that it is."""
        there: list[_Ear | _Mouth] = [*self._ears, *self._mouths]
        for subscription in there:
            if not subscription.endpoint.process.alive:
                self.forget(subscription)
        for endpoint in [endpoint for endpoint in self._wakers if not endpoint.process.alive]:
            del self._wakers[endpoint]

    def _listeners(self, subject: str) -> tuple[list[_Ear], list[list[_Ear]]]:
        found = self._heard_by.get(subject)
        if found is None:
            ears = [ear for ear in self._ears if _covers(ear.pattern, subject)]
            groups: dict[str, list[_Ear]] = {}
            for ear in ears:
                if ear.group:
                    groups.setdefault(ear.group, []).append(ear)
            found = self._heard_by[subject] = ([ear for ear in ears if not ear.group], list(groups.values()))
        return found

    def _answerers(self, subject: str) -> list[_Mouth]:
        found = self._answered_by.get(subject)
        if found is None:
            found = self._answered_by[subject] = [m for m in self._mouths if _covers(m.pattern, subject)]
        return found


class Endpoint:
    """One process' bus. See freehold.bus.interface.Bus. `place` is where its machine stands."""

    def __init__(self, network: Network, process: Process, place: str) -> None:
        self.network, self.process, self.place = network, process, place

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        _bounded(subject, body)
        self.network.publish(self, subject, body)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """See Bus."""
        _bounded(subject, body)
        return await self.network.ask(self, subject, body, deadline_s)

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> _Ear:
        """See Bus."""
        ear = _Ear(self, subject, listener, group)
        self.network.add_ear(ear)
        return ear

    async def answer(self, subject: str, answerer: Answerer, group: str) -> _Mouth:
        """See Bus."""
        del group  # of several answerers to one subject, one is asked: that is what a group is for
        mouth = _Mouth(self, subject, answerer)
        self.network.add_mouth(mouth)
        return mouth

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        """See Bus. What was cut is told when it is mended."""
        return Waker(listener, self.network.wakers(self))

    async def close(self) -> None:
        """See Bus."""
        self.network.forget_process(self.process)


def _bounded(subject: str, body: bytes) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"a message on {subject} has {len(body)} bytes; at most {BODY_BYTES_MAX} can be sent")
