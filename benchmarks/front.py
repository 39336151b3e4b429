"""A scheduler and an API in a process of their own, beside the centre's, and what they cost.

    python -m benchmarks.front STATE SERVER ROLE...

count       CPU seconds so far, what is known, memory without the mapped view, and the loop's longest turn so far
behind FILE of how many hosts it has read less than is in the file, as benchmarks/centre.py has it
calm        the loop's turns are measured no more, which costs more than a loop that is idle
choose      which host a scheduler would give a small guest
watch       from now on it is noted when the API's view shows what hosts have told
shown       what was noted: of each store, positions with the time of this machine, in ns
"""

import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.children import Answer, obey
from benchmarks.footprint import Turns, private_bytes
from benchmarks.stands import is_behind, written
from freehold.assemble.running import Running
from freehold.cli.run import GC_THRESHOLDS
from freehold.config import Settings
from freehold.runtime import log
from freehold.views.cloud import CloudView
from freehold.views.fleet import Fleet
from freehold.views.follower import Follower
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position
from freehold.vocabulary.host import Capacity

ROLES: Final = ("scheduler", "api")
SMALL: Final = Capacity(vcpus=1, ram_mib=1, disk_gib=1)


class Watch:
    """Looks into this process, from outside, for what no user could see."""

    def __init__(self, state: Path) -> None:
        self._state, self._turns = state, Turns()
        self._shown: dict[str, list[tuple[int, int]]] = {}
        self._heartbeats = 0
        self._followers: list[Follower] = []

    def find(self) -> None:
        """Looks for those that read hosts, when all is open; and at the loop from now on."""
        self._watching = asyncio.create_task(self._turns.watch())
        self._followers = [one for one in gc.get_objects() if isinstance(one, Follower) and "host" in one._roles]

    def begin(self) -> None:
        """Counts from now on."""
        take = Follower._take_heartbeat

        def taken(follower: Follower, heartbeat: Heartbeat) -> None:
            self._heartbeats += 1
            take(follower, heartbeat)

        Follower._take_heartbeat = taken  # type: ignore[assignment,method-assign]

    async def count(self) -> Answer:
        """See the module."""
        followers = self._followers
        return {
            "cpu_s": time.process_time(),
            "private_bytes": private_bytes(self._state),
            "longest_turn_ms": self._turns.longest_s * 1000,
            "heartbeats": self._heartbeats,
            "owners": max(len(one.stands()) for one in followers),
            "questions": sum(one.questions for one in followers),
            "resyncs": sum(one.resyncs for one in followers),
        }

    async def behind(self, file: str) -> Answer:
        """See the module."""
        stands = await asyncio.to_thread(written, file)
        read = [one.stands() for one in self._followers]
        return {"behind": sum(any(is_behind(of.get(store), at) for of in read) for store, at in stands.items())}

    async def calm(self) -> Answer:
        """See the module."""
        self._watching.cancel()
        return {}

    async def choose(self) -> Answer:
        """See the module."""
        for one in self._followers:
            if isinstance(one._sink, Fleet):
                host = one._sink.choose(SMALL)
                return {"host": "" if host is None else host.id}
        raise LookupError("there is no scheduler here")

    async def watch(self) -> Answer:
        """See the module."""
        apply = CloudView.apply

        def applied(view: CloudView, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
            apply(view, owner, position, entries)
            if owner.role == "host":
                self._shown.setdefault(owner.store, []).append((position.seq, time.time_ns()))

        CloudView.apply = applied  # type: ignore[assignment,method-assign]
        return {}

    async def shown(self) -> Answer:
        """See the module."""
        shown, self._shown = self._shown, {}
        return dict(shown)


async def _run(state: Path, server: str, roles: tuple[str, ...]) -> None:
    watch = Watch(state)
    watch.begin()
    gc.set_threshold(*GC_THRESHOLDS)
    running = Running(Settings(state=state, roles=roles, port=0, bus=server), lambda line: None)
    await running.open()
    watch.find()
    gc.collect()
    gc.freeze()
    verbs = ("count", "behind", "calm", "choose", "watch", "shown")
    await obey({"url": running.url}, {verb: getattr(watch, verb) for verb in verbs})
    await running.close()


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:])))
