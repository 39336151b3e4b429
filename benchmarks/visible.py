"""How soon what a host has committed is in an API's view, over a real nats-server.

    python -m benchmarks.visible --hosts 1000 --clusters 10 --rates 100 1000 --for-s 20

Guests change their power at so many events a second. Each event is signed by its host and verified by its reader. Time
is counted from when the host's store says that it is on disk, until the API's view shows it. The API is in a process of
its own; stores lie in memory (/dev/shm). At the end every position that a host has written must be in the view. With
`--idle-for-s` it is measured first what these hosts cost while they have no guests (benchmarks/idle.py): to start ten
thousand takes longer than either.
"""

import argparse
import asyncio
from bisect import bisect_left
from typing import Any, Final

from benchmarks.children import Child
from benchmarks.cloud import BUILT_S, LOOK_S, Cloud, cloud, say
from benchmarks.idle import at_rest, fronted
from benchmarks.record import record

SETTLED_S: Final = 60.0

Noted = dict[str, list[list[int]]]


async def measured(
    hosts: int, clusters: int, rates: list[int], for_s: float, idle_for_s: float = 0.0
) -> dict[str, Any]:
    """The figures of one run, for each rate."""
    async with cloud(hosts, clusters, guests=0) as bench:
        if idle_for_s:
            record("idle", {"clusters": clusters} | await at_rest(bench, idle_for_s))
        bench.guests = 1
        await bench.build()
        await bench.all_read(BUILT_S)
        front = await fronted(bench, ("api",))
        await front.tell("watch")
        await bench.fleets_say("watch")
        curve = [await _at(bench, front, rate, for_s) for rate in rates]
        await front.close()
    return {"hosts": hosts, "clusters": clusters, "for_s": for_s, "curve": curve}


async def _at(bench: Cloud, front: Child, rate: int, for_s: float) -> dict[str, Any]:
    say(f"{rate} events a second")
    before = await bench.reported()
    cpu_s = (await front.tell("count"))["cpu_s"]
    await bench.fleets_say("load", str(max(1, rate // len(bench.fleets))))
    await asyncio.sleep(for_s)
    await bench.fleets_say("rest")
    after = await bench.reported()
    landed, shown = await _landed(bench), Noted()
    async with asyncio.timeout(SETTLED_S):
        while missing(landed, shown):
            for store, noted in (await front.tell("shown")).items():
                shown.setdefault(store, []).extend(noted)
            await asyncio.sleep(LOOK_S)
    late, events = sorted(delays_ms(landed, shown)), after["changes"] - before["changes"]
    spent_s = (await front.tell("count"))["cpu_s"] - cpu_s
    return {
        "wanted_per_s": rate,
        "made_per_s": round(events / for_s, 1),
        "commits": len(late),
        "ms_p50": late[len(late) // 2],
        "ms_p99": late[int(len(late) * 0.99)],
        "ms_max": late[-1],
        "missing": missing(landed, shown),
        "reader_cpu_ms_an_event": round(1000 * spent_s / max(events, 1), 3),
    }


async def _landed(bench: Cloud) -> Noted:
    noted = Noted()
    for fleet in await bench.fleets_say("landed"):
        noted |= fleet
    return noted


def missing(landed: Noted, shown: Noted) -> int:
    """Of how many hosts the view hasn't shown the last that they have written."""
    return sum(noted[-1][0] > shown.get(store, [[0, 0]])[-1][0] for store, noted in landed.items())


def delays_ms(landed: Noted, shown: Noted) -> list[float]:
    """From each commit until it is shown: a view may take in several at once."""
    delays = []
    for store, noted in landed.items():
        seen = shown[store]
        for seq, at_ns in noted:
            found = bisect_left(seen, seq, key=lambda one: one[0])
            delays.append(round((seen[found][1] - at_ns) / 1e6, 2))
    return delays


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--for-s", type=float, default=20.0)
    parser.add_argument("--idle-for-s", type=float, default=0.0)
    asked = parser.parse_args()
    figures = measured(asked.hosts, asked.clusters, asked.rates, asked.for_s, asked.idle_for_s)
    record("visible", asyncio.run(figures))


if __name__ == "__main__":
    main()
