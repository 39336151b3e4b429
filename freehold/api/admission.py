"""How many calls are served at once: by this process, and of that by each project. Past it a call waits a little.

Calls that ask for guests have a lane of their own: when they are too many, others are answered as before, also those
that delete guests. Transfers (image bytes in or out) last as long as the client likes, so they have a lane of their
own: they can't keep short calls waiting. So have calls that wait for a stage (they leave the lane of calls for it, and
are answered at once if there is no room) and streams of events: both cost a little memory and no work. A project at its
own share is told 429; one that has room where the process has none, 503.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from freehold.api.faults import AGAIN, HttpRefusal
from freehold.config import Settings
from freehold.vocabulary.errors import FreeholdError, Unavailable

CALL_WAIT_S: Final = 1.0
"""How long a call to the API waits for others to end, before it is sent away."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The bounds of one kind of call."""

    calls_max: int
    """Served at once."""
    share_max: int
    """Of those, for one project (or one address, where nobody has signed in). As many of its calls may wait."""
    waiting_max: int
    """Calls that may wait for others to end."""
    wait_s: float
    """How long they wait at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an API process takes on."""

    calls: Lane = Lane(calls_max=256, share_max=64, waiting_max=512, wait_s=1.0)
    transfers: Lane = Lane(calls_max=32, share_max=8, waiting_max=32, wait_s=1.0)
    waits: Lane = Lane(calls_max=10_000, share_max=5000, waiting_max=0, wait_s=0.0)
    streams: Lane = Lane(calls_max=2000, share_max=1000, waiting_max=0, wait_s=0.0)
    guests: Lane = Lane(calls_max=128, share_max=64, waiting_max=128, wait_s=1.0)
    """For calls that ask for guests."""


@dataclass(slots=True)
class _Caller:
    """What one project has here. It is forgotten when it has nothing."""

    served: int = 0
    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)


_NOBODY: Final = _Caller()


class Admission:
    """One lane's calls. The next to be let in is the first of the project that has the fewest served."""

    def __init__(self, lane: Lane, noun: str) -> None:
        self._lane, self._noun = lane, noun
        self._callers: dict[str, _Caller] = {}
        self.served = 0
        self.waiting = 0
        self.refused = 0
        """Since this process began."""

    def refuses(self, who: str, coming: int) -> FreeholdError | None:
        """What `enter` would raise at once, when as many have entered as are on their way here; None: it wouldn't."""
        caller, lane = self._callers.get(who, _NOBODY), self._lane
        mine = caller.served >= lane.share_max and len(caller.waiting) >= lane.share_max
        if mine or self.served + self.waiting + coming >= lane.calls_max + lane.waiting_max:
            return self._refusal(caller)
        return None

    async def enter(self, who: str) -> None:
        """Returns when the call may be served: `leave` must follow. Raises HttpRefusal 429 or Unavailable."""
        caller = self._callers.setdefault(who, _Caller())
        if not self._has_room(caller):
            await self._wait(who, caller)
            return  # whoever left has counted it
        self._let_in(caller)

    def leave(self, who: str) -> None:
        """The call is over."""
        self._callers[who].served -= 1
        self.served -= 1
        self._forget_idle(who)
        self._let_next_in()

    async def _wait(self, who: str, caller: _Caller) -> None:
        if self.waiting >= self._lane.waiting_max or len(caller.waiting) >= self._lane.share_max:
            self._forget_idle(who)
            raise self._refusal(caller)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller.waiting[future] = None
        self.waiting += 1
        try:
            await asyncio.wait([future], timeout=self._lane.wait_s)
        except asyncio.CancelledError:
            if future.done():
                self.leave(who)
            else:
                self._give_up(who, caller, future)
            raise
        if not future.done():
            self._give_up(who, caller, future)
            raise self._refusal(caller)

    def _give_up(self, who: str, caller: _Caller, future: asyncio.Future[None]) -> None:
        del caller.waiting[future]
        self.waiting -= 1
        self._forget_idle(who)

    def _has_room(self, caller: _Caller) -> bool:
        return self.served < self._lane.calls_max and caller.served < self._lane.share_max

    def _let_in(self, caller: _Caller) -> None:
        caller.served += 1
        self.served += 1

    def _let_next_in(self) -> None:
        waiting = [caller for caller in self._callers.values() if caller.waiting and self._has_room(caller)]
        if not waiting:
            return
        caller = min(waiting, key=lambda each: each.served)
        future = next(iter(caller.waiting))
        del caller.waiting[future]
        self.waiting -= 1
        self._let_in(caller)
        future.set_result(None)

    def _forget_idle(self, who: str) -> None:
        caller = self._callers.get(who)
        if caller is not None and not caller.served and not caller.waiting:
            del self._callers[who]

    def _refusal(self, caller: _Caller) -> HttpRefusal | Unavailable:
        self.refused += 1
        if caller.served >= self._lane.share_max:
            most = self._lane.share_max
            return HttpRefusal(429, f"You have {most} {self._noun} in progress; wait until some have ended.", AGAIN)
        return Unavailable(f"This API serves as many {self._noun} as it can at the moment. Try again.")


def limits_of(settings: Settings) -> Limits:
    """What an API process takes on: as many calls wait as are served."""
    calls, transfers = settings.api_requests_max, settings.api_transfers_max
    guests = max(calls // 2, 1)
    return Limits(
        Lane(calls, settings.api_requests_per_project_max, calls, CALL_WAIT_S),
        Lane(transfers, settings.api_transfers_per_project_max, transfers, CALL_WAIT_S),
        Lane(settings.api_waits_max, settings.api_waits_per_project_max, 0, 0.0),
        Lane(settings.api_streams_max, settings.api_streams_per_project_max, 0, 0.0),
        Lane(guests, min(guests, settings.api_requests_per_project_max), guests, CALL_WAIT_S),
    )


def of_project(project: str) -> str:
    """How lanes name the callers of a project; empty for none."""
    return f"project {project}" if project else ""


class Slot:
    """A call's place in a lane, for as long as it has one."""

    def __init__(self, lane: Admission, who: str) -> None:
        self._lane: Admission | None = lane
        self._who = who

    def leave(self) -> None:
        """Gives the place back; a second time is nothing."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave(self._who)

    async def change(self, lane: Admission) -> bool:
        """Takes a place in another lane for this one; False, and nothing is changed, if there is none."""
        try:
            await lane.enter(self._who)
        except FreeholdError:
            return False
        self.leave()
        self._lane = lane
        return True
