"""A whole cloud in one process, with simulated hosts, as `freehold run` starts it; what it does is counted.

    python -m benchmarks.region STATE HOSTS CLUSTERS

It says where it answers and the admin's password. Then:

count       what the process has done so far: CPU seconds, messages by kind, transactions, commits
"""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.children import Answer, obey
from freehold.assemble import Running
from freehold.bus.local import LocalBus
from freehold.config import Settings
from freehold.runtime import log
from freehold.store import writing

RAM_MIB: Final = 1 << 20


class Counts:
    """Looks into this process, from outside, for what no user could see."""

    def __init__(self) -> None:
        self._messages: Counter[str] = Counter()
        self._transactions = self._commits = self._entries = 0
        self._commit_cpu_s = 0.0

    def watch(self) -> None:
        """Counts from now on."""
        publish, ask, write = LocalBus.publish, LocalBus.ask, writing.write

        async def published(bus: LocalBus, subject: str, body: bytes) -> None:
            self._messages[_kind("publish", subject)] += 1
            await publish(bus, subject, body)

        async def asked(bus: LocalBus, subject: str, body: bytes, deadline_s: float) -> bytes:
            self._messages[_kind("ask", subject)] += 1
            return await ask(bus, subject, body, deadline_s)

        def written(connection: Any, group: list[writing.Staged]) -> None:
            began_s = time.thread_time()
            write(connection, group)
            self._commit_cpu_s += time.thread_time() - began_s
            self._transactions += len(group)
            self._entries += sum(len(staged.entries) + len(staged.private) for staged in group)
            self._commits += 1

        LocalBus.publish, LocalBus.ask = published, asked  # type: ignore[method-assign]
        writing.write = written

    async def count(self) -> Answer:
        """See the module."""
        return {
            "cpu_s": time.process_time(),
            "messages": dict(self._messages),
            "transactions": self._transactions,
            "commits": self._commits,
            "entries": self._entries,
            "commit_cpu_s": self._commit_cpu_s,
        }


def _kind(verb: str, subject: str) -> str:
    """What a subject is about, without whom."""
    return f"{verb} {'.'.join(subject.split('.')[1:2])}"


async def _run(state: Path, hosts: int, _clusters: int) -> None:
    counts = Counts()
    counts.watch()
    running = Running(
        Settings(state=state, hypervisor="simulated", hosts=hosts, port=0, simulated_ram_mib=RAM_MIB), print_nothing
    )
    await running.open()
    password = running.new_password.reveal() if running.new_password else ""
    await obey({"url": running.url, "password": password}, {"count": counts.count})
    await running.close()


def print_nothing(_line: str) -> None:
    """What is said of the start isn't part of the measurement."""


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
