"""The centre of a cloud and the network workers of its clusters in one process, and what their readers have read.

    python -m benchmarks.centre FOLDER SERVER CLUSTER...

connected   how many connections it has
behind FILE of how many hosts some reader has read less than is in the file, or another history. There it says of each
            host's store: cluster, epoch, sequence and digest
report      how much was asked, the longest that queues were since `forget`, and the like
forget      lets the lengths of queues begin anew
fill FILE FIRST COUNT PROJECT  writes servers into the stores of the registrar and of the first cluster's network worker
"""

import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.children import Answer, obey
from benchmarks.filling import hosts_in, stores_here, write_centre
from benchmarks.stands import is_behind, written
from freehold.assemble.running import Running
from freehold.bus import signed
from freehold.bus.ears import Ear
from freehold.bus.nats import NatsBus
from freehold.config import Settings
from freehold.runtime import log
from freehold.views.follower import Follower

ROLES: Final = ("registrar", "image", "scheduler", "api")
SAMPLE_S: Final = 0.05
SHOWN_MAX: Final = 3
"""Hosts of which it is said which readers lack something."""


class Watch:
    """Looks into this process, from outside, for what no user could see."""

    def __init__(self) -> None:
        found = gc.get_objects()
        self._followers = [one for one in found if isinstance(one, Follower) and "host" in one._roles]
        (self._registrar,), (self._network, *_) = stores_here("registrar"), stores_here("network")
        self._buses = [one for one in found if isinstance(one, NatsBus)]
        self._peaks = dict.fromkeys(("backlog", "outbound bytes", "asked at once", "due", "held"), 0)

    async def run(self) -> None:
        """Samples the queues."""
        while True:
            self._sample()
            await asyncio.sleep(SAMPLE_S)

    def _sample(self) -> None:
        connections = [bus._connection for bus in self._buses]
        seen = {
            "backlog": max(len(ear._backlog) for bus in self._buses for ear in bus._heard if isinstance(ear, Ear)),
            "outbound bytes": max(0 if one is None else one.client.pending_data_size for one in connections),
            "asked at once": max(len(one._held) for one in self._followers),
            "due": max(len(one._due) for one in self._followers),
            "held": max(sum(len(held) for held in one._held.values()) for one in self._followers),
        }
        self._peaks = {what: max(peak, seen[what]) for what, peak in self._peaks.items()}

    async def forget(self) -> Answer:
        """See the module."""
        self._peaks = dict.fromkeys(self._peaks, 0)
        return {}

    async def connected(self) -> Answer:
        """See the module."""
        return {"connected": sum(bus.is_connected for bus in self._buses)}

    async def behind(self, file: str) -> Answer:
        """See the module."""
        stands = await asyncio.to_thread(written, file)
        found: dict[str, list[str]] = {}
        for reader in self._followers:
            read = reader.stands()
            of_it = (store for store, (cluster, *_) in stands.items() if reader._cluster in ("*", cluster))
            for store in of_it:
                if is_behind(read.get(store), stands[store]):
                    found.setdefault(store, []).append(_lacks(reader, store))
        return {"behind": len(found), "some": dict(list(found.items())[:SHOWN_MAX])}

    async def fill(self, file: str, first: str, count: str, project: str) -> Answer:
        """See the module."""
        numbers = range(int(first), int(first) + int(count))
        await write_centre(self._registrar, self._network, numbers, project, hosts_in(file))
        return {}

    async def report(self) -> Answer:
        """See the module."""
        return {
            "resyncs": sum(one.resyncs for one in self._followers),
            "asked": sum(one.questions for one in self._followers),
            "peaks": self._peaks,
            "cpu_s": time.process_time(),
            "lost": sum(bus.losses.count for bus in self._buses),
            "connections": sum(bus.connections for bus in self._buses),
        }


def _lacks(reader: Follower, store: str) -> str:
    """How a reader stands to an owner of which it lacks something."""
    asks = "asks it" if store in reader._held else "will ask it" if store in reader._due else "doesn't ask it"
    return f"{reader.tasks._room} of {reader._cluster} {asks}"


def _check_once() -> None:
    """This process plays as many machines as there are clusters, and one more: what one has checked, all have."""
    shared = signed.Verified()
    signed.Verified = lambda: shared  # type: ignore[assignment, misc]


async def _run(folder: Path, server: str, clusters: list[str]) -> None:
    _check_once()
    running = Running(Settings(state=folder / "centre", roles=ROLES, port=0, bus=server), lambda line: None)
    networks = [
        Running(
            Settings(state=folder / f"network-{cluster}", roles=("network",), cluster=cluster, bus=server),
            lambda line: None,
        )
        for cluster in clusters
    ]
    for one in (running, *networks):
        await one.open()
    assert running.new_password is not None
    watch = Watch()
    sampling = asyncio.create_task(watch.run())
    await obey(
        {"url": running.url, "password": running.new_password.reveal()},
        {
            "connected": watch.connected,
            "behind": watch.behind,
            "report": watch.report,
            "forget": watch.forget,
            "fill": watch.fill,
        },
    )
    sampling.cancel()
    for one in (*networks, running):
        await one.close()


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
