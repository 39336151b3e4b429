"""What a region does when ten times as much is asked of it as it can do.

    python -m benchmarks.overload --hosts 200 --clusters 4 --projects 20 --times 10 --for-s 600

A whole region in one process (benchmarks/region.py), with real HTTP from another. First guests are asked for by clients
that wait for each answer: that is the peak. Then so many times that are asked for a second, whatever is answered.
Goodput is the guests that begin to run a second, beside those of the peak. Where others use the machine too, the same
by CPU says more: what a guest of the peak costs the process, beside one of the flood with all that was refused for it.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from itertools import cycle
from typing import Any, Final

import aiohttp
import uvloop

from benchmarks.boots import SERVERS, Tenant, booted, tenants
from benchmarks.children import Child
from benchmarks.cloud import say
from benchmarks.record import record
from benchmarks.wire import Connections, post

TICK_S: Final = 0.02
OPEN_MAX: Final = 4000
"""Calls that the client has open at once: it is one machine, and what it can't send isn't asked."""
PROBES: Final = 20
READ_PERIOD_S: Final = 0.1
SETTLED_S: Final = 120.0


async def flood(calls: Connections, requests: list[bytes], per_s: float, for_s: float) -> None:
    """Calls that are made at a rate, whatever comes of those before: of all tenants by turns."""
    began_s, sent, turns = time.monotonic(), 0, cycle(requests)
    while (now_s := time.monotonic() - began_s) < for_s:
        while sent < per_s * now_s:
            sent += 1
            calls.ask(next(turns))
        await asyncio.sleep(TICK_S)


class Reads:
    """Somebody who looks at the servers now and then, while others ask for more."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.statuses: Counter[int] = Counter()
        self.took_s: list[float] = []

    async def run(self) -> None:
        """Looks until cancelled."""
        async with aiohttp.ClientSession(headers=self._tenant.headers) as session:
            while True:
                began_s = time.monotonic()
                async with session.get(f"{self._tenant.url}{SERVERS}?limit=1") as answer:
                    await answer.read()
                self.statuses[answer.status] += 1
                self.took_s.append(time.monotonic() - began_s)
                await asyncio.sleep(READ_PERIOD_S)

    def figures(self) -> dict[str, Any]:
        """What came back, and how soon."""
        took_ms = sorted(1000 * one for one in self.took_s) or [0.0]
        return {
            "answers": dict(self.statuses),
            "p50_ms": round(took_ms[len(took_ms) // 2], 1),
            "p99_ms": round(took_ms[len(took_ms) * 99 // 100], 1),
        }


async def probed_s(like: Tenant) -> float:
    """Seconds from asking for a guest until it is ACTIVE, by somebody who comes anew."""
    async with aiohttp.ClientSession() as session:
        tenant = Tenant(session, like.url, like.headers["X-Auth-Token"])
        tenant.body = like.body
        began_s = time.monotonic()
        await tenant.boot(Counter())
        await tenant.settled()
        return time.monotonic() - began_s


async def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.started("benchmarks.region", folder, str(asked.hosts), str(asked.clusters))
        told = await child.answer()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
            there = await tenants(session, told["url"], told["password"], asked.projects, asked.clusters)
            await booted(there, asked.projects, asked.projects)  # what is done once is done
            usual = sorted([await probed_s(there[0]) for _ in range(PROBES)])
            before, began_s = await child.tell("count"), time.monotonic()
            await booted(there, asked.guests, asked.at_once)
            peak, rested = asked.guests / (time.monotonic() - began_s), await child.tell("count")
            say(f"{peak:.0f} guests a second at the peak")
            calls = Connections(told["url"], OPEN_MAX)
            requests = [post(told["url"], SERVERS, tenant.headers, tenant.body) for tenant in there]
            await flood(calls, requests, asked.times * peak, asked.fill_s)
            filled, before_it = await child.tell("count"), calls.answers.by_status.total()
            reads, began_s = Reads(there[0]), time.monotonic()
            reading = asyncio.create_task(reads.run())
            await flood(calls, requests, asked.times * peak, asked.for_s)
            reading.cancel()
            answered, flooded_s = calls.answers.by_status.total() - before_it, time.monotonic() - began_s
            flooded = await child.tell("count")
            began_s = time.monotonic()
            await calls.all_ended()
            calls.close()
            ended_s = time.monotonic() - began_s
            after_s, normal_s = [await probed_s(there[0])], 0.0
            async with asyncio.timeout(SETTLED_S):
                while after_s[-1] > 2 * usual[-1] + TICK_S:
                    after_s.append(await probed_s(there[0]))
            normal_s = time.monotonic() - began_s
        async with aiohttp.ClientSession() as session:
            for tenant in there:
                await Tenant(session, tenant.url, tenant.headers["X-Auth-Token"]).settled()
            settled = await child.tell("count")
        await child.close()
    built = flooded["guests"] - filled["guests"]
    good = built / flooded_s
    cpu_ms_of_one = 1000 * (rested["cpu_s"] - before["cpu_s"]) / asked.guests
    cpu_ms_flooded = 1000 * (flooded["cpu_s"] - filled["cpu_s"]) / built
    return {
        "hosts": asked.hosts,
        "times": asked.times,
        "for_s": asked.for_s,
        "peak_per_s": round(peak, 1),
        "asked_per_s": round(asked.times * peak, 1),
        "unsent": calls.unsent,
        "answered_per_s": round(answered / flooded_s, 1),
        "goodput_per_s": round(good, 1),
        "goodput_of_peak": round(good / peak, 3),
        "cpu_ms_of_a_guest": {"at_the_peak": round(cpu_ms_of_one, 2), "flooded": round(cpu_ms_flooded, 2)},
        "goodput_of_peak_by_cpu": round(cpu_ms_of_one / cpu_ms_flooded, 3),
        "answers": dict(calls.answers.by_status),
        "without_retry_after": calls.answers.without_retry_after,
        "broken": dict(calls.answers.broken),
        "promised_and_not_run": calls.answers.by_status[202] + len(after_s) - (settled["guests"] - rested["guests"]),
        "tasks": {"at_the_peak": rested["tasks_max"], "flooded": flooded["tasks_max"]},
        "rss_mib": {"before": before["rss_mib"], "at_the_peak": rested["rss_mib"], "flooded": flooded["rss_mib"]},
        "reads_meanwhile": reads.figures(),
        "all_answered_after_s": round(ended_s, 2),
        "normal_again_after_s": round(normal_s, 2),
        "usual_boot_s": round(usual[len(usual) // 2], 3),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--clusters", type=int, default=4)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--guests", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--fill-s", type=float, default=5.0, help="the flood begins so long before it is measured")
    parser.add_argument("--for-s", type=float, default=600.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        record("overload", runner.run(measured(parser.parse_args())))


if __name__ == "__main__":
    main()
