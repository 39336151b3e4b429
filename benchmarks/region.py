"""A region of simulated machines in one process, as `freehold simulate` starts it; what it does is counted.

    python -m benchmarks.region STATE HOSTS CLUSTERS

It says where it answers and the admin's password. Then:

count       what the process has done so far: CPU seconds, messages by kind, what was written, guests that run; the
            most tasks there were since the last count, and its memory
"""

import asyncio
import gc
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.children import Answer, obey
from freehold.assemble.running import Running
from freehold.bus.local import LocalBus
from freehold.cli.run import GC_THRESHOLDS
from freehold.config import read as read_settings
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.runtime import log
from freehold.store import writing
from freehold.store.together import Together

RAM_MIB: Final = 1 << 20
SAMPLE_S: Final = 1.0


class Counts:
    """Looks into this process, from outside, for what no user could see."""

    def __init__(self) -> None:
        self._messages: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._commit_cpu_s = 0.0
        self._guests = 0
        self._tasks_max = 0

    def watch(self) -> None:
        """Counts from now on."""
        publish, ask, write = LocalBus.publish, LocalBus.ask, writing.write
        together, launch = Together._commit, SimulatedHypervisor.launch

        async def published(bus: LocalBus, subject: str, body: bytes) -> None:
            self._messages[_kind("publish", subject)] += 1
            await publish(bus, subject, body)

        async def asked(bus: LocalBus, subject: str, body: bytes, deadline_s: float) -> bytes:
            self._messages[_kind("ask", subject)] += 1
            return await ask(bus, subject, body, deadline_s)

        def written(connection: Any, group: list[writing.Staged]) -> None:
            self._written["commits"] += 1
            self._written["transactions"] += len(group)
            self._written["changes"] += sum(len(staged.entries) + len(staged.private) for staged in group)
            began_s = time.thread_time()
            write(connection, group)
            self._commit_cpu_s += time.thread_time() - began_s

        def committed(stores: Together, works: list[Any]) -> Any:
            self._written["commits_together"] += 1
            return together(stores, works)

        async def launched(hypervisor: SimulatedHypervisor, plan: Any) -> None:
            self._guests += 1
            await launch(hypervisor, plan)

        LocalBus.publish = published  # type: ignore[assignment,method-assign]
        LocalBus.ask = asked  # type: ignore[assignment,method-assign]
        Together._commit = committed  # type: ignore[assignment,method-assign]
        SimulatedHypervisor.launch = launched  # type: ignore[assignment,method-assign]
        writing.write = written

    async def sample(self) -> None:
        """Looks now and then how many tasks there are."""
        while True:
            self._tasks_max = max(self._tasks_max, len(asyncio.all_tasks()))
            await asyncio.sleep(SAMPLE_S)

    async def count(self) -> Answer:
        """See the module."""
        tasks_max, self._tasks_max = self._tasks_max, 0
        names = ("commits", "transactions", "changes", "commits_together")
        return {name: self._written[name] for name in names} | {
            "cpu_s": time.process_time(),
            "messages": dict(self._messages),
            "commit_cpu_s": self._commit_cpu_s,
            "guests": self._guests,
            "tasks_max": tasks_max,
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def _kind(verb: str, subject: str) -> str:
    """What a subject is about, without whom."""
    words = subject.split(".")
    return f"{verb} {words[2] if words[1] == 'ask' else words[1]}"


async def _run(state: Path, hosts: int, clusters: int) -> None:
    counts = Counts()
    counts.watch()
    settings = read_settings(
        None,
        state=state,
        hypervisor="simulated",
        hosts=hosts,
        clusters=clusters,
        one_disk=True,
        port=0,
        simulated_ram_mib=RAM_MIB,
        api_requests_per_project_max=256,
    )
    gc.set_threshold(*GC_THRESHOLDS)
    running = Running(settings, print_nothing)
    await running.open()
    gc.collect()
    gc.freeze()
    password = running.new_password.reveal() if running.new_password else ""
    sampling = asyncio.create_task(counts.sample())
    await obey({"url": running.url, "password": password}, {"count": counts.count})
    sampling.cancel()
    await running.close()


def print_nothing(_line: str) -> None:
    """What is said of the start isn't part of the measurement."""


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
