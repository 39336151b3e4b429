"""How long after a stage's commit the answer of a call comes that waits for it, with many waiting at once.

A whole cloud in one process, with simulated hosts: `--count` creates wait by ``Prefer: wait`` at once, until their
guests are active; then the guests boot, so many in a second. The delay is from the moment at which the host's store has
the guest's record on disk to the moment at which the answer is given to the client's connection.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from freehold.api.server import Server
from freehold.runtime.log import configure
from freehold.store.database import Store
from freehold.store.writing import Staged
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import Guest
from tests.several import SERVERS, Person, Several, several

HOSTS = 24
WAIT_S = 300
AT_ONCE = 40
"""Creates that are sent at once, until all wait."""


class Commits:
    """When each guest's record was on disk as active."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    def watch(self, store: Store) -> None:
        """Looks at every commit of a host's store right after it is on disk."""
        landed = store._landed

        def seen(group: list[Staged]) -> None:
            now = time.perf_counter()
            for entry in (entry for staged in group for entry in staged.entries):
                if entry.kind == "guest" and entry.value and decode(entry.value, Guest).launched is not None:
                    self.times.setdefault(entry.key, now)
            landed(group)

        store._landed = seen  # type: ignore[method-assign]


def gated(hypervisor: Any, gate: asyncio.Semaphore) -> None:
    """Has every launch wait for the gate."""
    launch = hypervisor.launch

    async def wait_and_launch(plan: Any) -> None:
        await gate.acquire()
        await launch(plan)

    hypervisor.launch = wait_and_launch


async def one(person: Person, cloud: Several, number: int, answered: dict[str, float]) -> int:
    """A create that waits; its answer's moment is kept."""
    body = cloud.server(f"g{number}")
    reply = await person.api(number).ask("POST", SERVERS, body, {"prefer": f"wait={WAIT_S}"})
    now = time.perf_counter()
    if reply.status == 201:
        answered[reply.json["server"]["id"]] = now
    return reply.status


async def measured(count: int, per_s: float, projects: int = 1) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        async with several(Path(folder), shards=1, apis=1, hosts=HOSTS, ram_mib=1 << 20) as cloud:
            people = [await cloud.newcomer(instances=-1, cores=-1, ram=-1) for _ in range(projects)]
            for person in people:
                await cloud.ask("PUT", f"/network/v2.0/quotas/{person.project}", {"quota": {"port": -1}})
            commits, answered, gate = Commits(), dict[str, float](), asyncio.Semaphore(0)
            for number, host in enumerate(cloud.hosts):
                commits.watch(cloud.stores[f"host-{number}"])
                gated(host._hypervisor, gate)
            server = people[0].apis[0].app
            assert isinstance(server, Server)
            calls = list[asyncio.Task[int]]()
            for number in range(count):
                calls.append(asyncio.create_task(one(people[number % projects], cloud, number, answered)))
                while _on_their_way(calls, server) > AT_ONCE:
                    await asyncio.sleep(0.01)
            while _on_their_way(calls, server):
                await asyncio.sleep(0.01)
            waiting, served = server.waits.served, server.calls.served
            for _ in range(count):
                gate.release()
                await asyncio.sleep(1 / per_s)
            statuses = await asyncio.gather(*calls)
            delays_ms = sorted((answered[guest] - commits.times[guest]) * 1000 for guest in answered)
            return {
                "projects": projects,
                "waiting_at_once": waiting,
                "in_the_lane_of_calls_meanwhile": served,
                "active_per_s": per_s,
                "answers": {str(status): statuses.count(status) for status in sorted(set(statuses))},
                "delay_ms_p50": round(statistics.median(delays_ms), 2),
                "delay_ms_p99": round(delays_ms[int(len(delays_ms) * 0.99) - 1], 2),
                "delay_ms_max": round(delays_ms[-1], 2),
            }


def _on_their_way(calls: list[asyncio.Task[int]], server: Server) -> int:
    """How many calls neither wait nor were answered."""
    return sum(not call.done() for call in calls) - server.waits.served


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--per-s", type=float, default=40.0)
    parser.add_argument("--projects", type=int, default=1)
    asked = parser.parse_args()
    configure(level="error")
    figures = asyncio.run(measured(asked.count, asked.per_s, asked.projects))
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    print(json.dumps({"figure": "waiting", **figures, "machine": machine}))


if __name__ == "__main__":
    main()
