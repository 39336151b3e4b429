"""What connected hosts cost a scheduler and an API that have nothing to do.

    python -m benchmarks.idle --hosts 10000 --clusters 20 --for-s 60

Over a real nats-server, everything signed; the scheduler and the API are in one process of their own.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.children import Child
from benchmarks.cloud import LOOK_S, Cloud, cloud, say
from benchmarks.front import ROLES
from benchmarks.record import record


async def fronted(bench: Cloud, roles: tuple[str, ...] = ROLES) -> Child:
    """Starts that process, and waits until it knows every host."""
    state = bench.folder / "front"
    bench.let_in(state, roles)
    front = await Child.started("benchmarks.front", str(state), bench.server.url, *roles)
    await front.answer()
    while (await front.tell("count"))["owners"] < bench.hosts:
        await asyncio.sleep(LOOK_S)
    return front


async def measured(hosts: int, clusters: int, for_s: float) -> dict[str, Any]:
    """The figures of one run."""
    async with cloud(hosts, clusters, guests=0) as bench:
        return {"clusters": clusters} | await at_rest(bench, for_s)


async def at_rest(bench: Cloud, for_s: float) -> dict[str, Any]:
    """The figures of a cloud that has nothing to do."""
    front = await fronted(bench)
    await front.tell("calm")
    say("all are known; now nothing happens")
    await asyncio.sleep(for_s / 4)
    before, fleets = await front.tell("count"), await bench.reported()
    await asyncio.sleep(for_s)
    after, fleets_after = await front.tell("count"), await bench.reported()
    await front.close()
    hosts = bench.hosts
    return {
        "hosts": hosts,
        "for_s": for_s,
        "cpu_share": round((after["cpu_s"] - before["cpu_s"]) / for_s, 4),
        "cpu_share_of_a_host": round((fleets_after["cpu_s"] - fleets["cpu_s"]) / for_s / hosts, 6),
        "heartbeats_a_second": round((after["heartbeats"] - before["heartbeats"]) / for_s, 1),
        "owners": after["owners"],
        "questions": after["questions"] - before["questions"],
        "resyncs": after["resyncs"] - before["resyncs"],
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--for-s", type=float, default=60.0)
    asked = parser.parse_args()
    record("idle", asyncio.run(measured(asked.hosts, asked.clusters, asked.for_s)))


if __name__ == "__main__":
    main()
