"""What a region does when ten times as much is asked of it as it can do.

    python -m benchmarks.overload --hosts 200 --clusters 4 --projects 20 --times 10 --for-s 600

A whole region in one process (benchmarks/region.py), with real HTTP from another. First guests are asked for by clients
that wait for each answer: that is the peak. Then so many times that are asked for a second, whatever is answered.
Goodput is the guests that begin to run a second, beside those of the peak.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

import aiohttp

from benchmarks.boots import SERVERS, Tenant, booted, tenants
from benchmarks.children import Child
from benchmarks.cloud import say
from benchmarks.record import record

TICK_S: Final = 0.02
OPEN_MAX: Final = 4000
"""Calls that the client has open at once: it is one machine, and what it can't send isn't asked."""
PROBES: Final = 20
SETTLED_S: Final = 120.0


@dataclass
class Flood:
    """Calls that are made at a rate, whatever comes of those before."""

    session: aiohttp.ClientSession
    there: list[Tenant]
    answers: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    unsent: int = 0
    broken: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, per_s: float, for_s: float) -> None:
        """Asks for guests of all tenants by turns."""
        began_s, sent, turns = time.monotonic(), 0, cycle(self.there)
        while (now_s := time.monotonic() - began_s) < for_s:
            while sent < per_s * now_s:
                sent += 1
                if len(self._open) >= OPEN_MAX:
                    self.unsent += 1
                    continue
                call = asyncio.create_task(self._ask(next(turns)))
                self._open.add(call)
                call.add_done_callback(self._open.discard)
            await asyncio.sleep(TICK_S)

    async def ended(self) -> None:
        """Waits for the answers."""
        while self._open:
            await asyncio.wait(self._open)

    async def _ask(self, tenant: Tenant) -> None:
        try:
            async with self.session.post(tenant.url + SERVERS, json=tenant.body, headers=tenant.headers) as answer:
                await answer.read()
        except aiohttp.ClientError:
            self.broken += 1
            return
        self.answers[answer.status] += 1
        self.without_retry_after += answer.status in (429, 503) and "Retry-After" not in answer.headers


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
            flood = Flood(session, there)
            await flood.run(asked.times * peak, asked.for_s)
            flooded = await child.tell("count")
            began_s = time.monotonic()
            await flood.ended()
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
    good = (flooded["guests"] - rested["guests"]) / asked.for_s
    return {
        "hosts": asked.hosts,
        "times": asked.times,
        "for_s": asked.for_s,
        "peak_per_s": round(peak, 1),
        "asked_per_s": round(asked.times * peak, 1),
        "unsent": flood.unsent,
        "goodput_per_s": round(good, 1),
        "goodput_of_peak": round(good / peak, 3),
        "answers": dict(flood.answers),
        "without_retry_after": flood.without_retry_after,
        "broken": flood.broken,
        "promised_and_not_run": flood.answers[202] + len(after_s) - (settled["guests"] - rested["guests"]),
        "tasks": {"at_the_peak": rested["tasks_max"], "flooded": flooded["tasks_max"]},
        "rss_mib": {"before": before["rss_mib"], "at_the_peak": rested["rss_mib"], "flooded": flooded["rss_mib"]},
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
    parser.add_argument("--for-s", type=float, default=600.0)
    record("overload", asyncio.run(measured(parser.parse_args())))


if __name__ == "__main__":
    main()
