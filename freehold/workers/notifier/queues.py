"""What waits for each receiver, in memory: which of it may be sent now.

A lane is what is told in order: a guest. Of a lane the next is sent when the one before has arrived; those of several
lanes side by side, up to a bound. What isn't taken keeps its lane waiting for its own pause. To a receiver that has
failed one at a time is sent, after a pause of the receiver's: of a lane that hasn't failed, if there is one, so that an
event which it never takes doesn't keep the others from it.
"""

from collections.abc import Callable
from typing import Final

AT_ONCE_MAX: Final = 4
LOOKED_AT_MAX: Final = 500
"""Of those that wait, so many are looked at for one that may be sent."""


LOOK_AGAIN_S: Final = 1.0


class Queue:
    """One receiver's."""

    def __init__(self) -> None:
        self.waiting: dict[int, str] = {}
        """Numbers, in order, and the lane of each."""
        self.under_way: dict[int, str] = {}
        self.fails = False
        """The last that was tried wasn't taken."""
        self.ready_s = 0.0
        """Monotonic; before it, nothing is sent to one that fails."""
        self.pauses: dict[str, float] = {}
        """Lanes whose next wasn't taken, and until when each waits."""
        self.woken_s: float | None = None
        """When it is looked at next, if that is known."""

    def next(self, now_s: float) -> int | None:
        """The next that may be sent."""
        if len(self.under_way) >= (1 if self.fails else AT_ONCE_MAX) or (self.fails and now_s < self.ready_s):
            return None
        passed = set(self.under_way.values())
        again: int | None = None
        for count, (number, lane) in enumerate(self.waiting.items()):
            if count >= LOOKED_AT_MAX:
                break
            if lane in passed:
                continue
            if lane not in self.pauses:
                return number
            passed.add(lane)
            if again is None and self.pauses[lane] <= now_s:
                again = number
        return again

    def soonest_s(self) -> float:
        """When there may be something to send again, though nothing comes."""
        lanes = set(self.waiting.values())
        paused = lanes & self.pauses.keys()
        free_s = min((self.pauses[lane] for lane in paused), default=0.0) if paused == lanes else 0.0
        return max(free_s, self.ready_s if self.fails else 0.0) or min(self.pauses.values(), default=0.0)


class Queues:
    """All of them. `send` starts one delivery; `wake` has `woken` called after so many seconds."""

    def __init__(
        self, now_s: Callable[[], float], send: Callable[[str, int], None], wake: Callable[[str, float], None]
    ) -> None:
        self._now_s, self._send, self._wake = now_s, send, wake
        self._of: dict[str, Queue] = {}
        self._stirred: dict[str, None] = {}
        self.open = False
        """Before, nothing is sent."""

    def numbers(self, target: str) -> list[int]:
        """What waits for a receiver, in order."""
        return list(self._of[target].waiting) if target in self._of else []

    def count(self, target: str) -> int:
        """How much waits for a receiver."""
        return len(self._of[target].waiting) if target in self._of else 0

    def targets(self) -> list[str]:
        """For whom something waits."""
        return list(self._of)

    def queues(self) -> list[Queue]:
        """Those of whom something waits."""
        return list(self._of.values())

    def add(self, target: str, number: int, lane: str) -> None:
        """Something waits, and is sent at the next `pump`."""
        self._queue(target).waiting[number] = lane
        self._stirred[target] = None

    def doubt(self, target: str) -> None:
        """Its receiver had failed before this process began."""
        self._queue(target).fails = True

    def fail(self, target: str, number: int, pause_s: float, lane_pause_s: float) -> None:
        """It wasn't taken; it waits where it was."""
        queue, now_s = self._queue(target), self._now_s()
        lane = queue.under_way.pop(number, None)
        queue.fails, queue.ready_s = True, now_s + pause_s
        if lane is not None:
            queue.pauses[lane] = now_s + lane_pause_s
        self.pump_one(target)

    def end(self, target: str, number: int, *, taken: bool) -> None:
        """It has arrived, or is given up."""
        queue = self._queue(target)
        lane = queue.under_way.pop(number, None) or queue.waiting.get(number)
        queue.waiting.pop(number, None)
        if lane is not None:
            queue.pauses.pop(lane, None)
        if taken:
            queue.fails = False
        self.pump_one(target)

    def clear(self, target: str) -> list[int]:
        """Nothing waits any more; gives what did. What is under way ends by itself."""
        queue = self._of.pop(target, None)
        return [] if queue is None else list(queue.waiting)

    def pump(self) -> None:
        """Sends what may be sent of what was added."""
        stirred, self._stirred = self._stirred, {}
        for target in stirred:
            self.pump_one(target)

    def pump_one(self, target: str) -> None:
        """The same for one receiver."""
        queue = self._of.get(target)
        if queue is None or not self.open:
            return
        now_s = self._now_s()
        while (number := queue.next(now_s)) is not None:
            queue.under_way[number] = queue.waiting[number]
            self._send(target, number)
        if not queue.waiting and not queue.under_way:
            self._of.pop(target)
        elif not queue.under_way:  # else what ends has it looked at again
            soonest_s = queue.soonest_s()
            soonest_s = soonest_s if soonest_s > now_s else now_s + LOOK_AGAIN_S
            if queue.woken_s is None or soonest_s < queue.woken_s:
                queue.woken_s = soonest_s
                self._wake(target, soonest_s - now_s)

    def woken(self, target: str) -> None:
        """A time has come that `wake` was told."""
        if target in self._of:
            self._of[target].woken_s = None
            self.pump_one(target)

    def _queue(self, target: str) -> Queue:
        return self._of.setdefault(target, Queue())
