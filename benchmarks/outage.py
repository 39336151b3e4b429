"""The bus goes away under load: how long after its return every reader has all that every owner wrote meanwhile.

    python -m benchmarks.outage --hosts 1000 --clusters 10 --guests 5 --rate 1000 --down 10

A real nats-server is killed, and started again, while guests change their power on all hosts. Each host has a store, a
passport and a connection of its own; the centre (registrar, image, scheduler, network, API) is a process beside them.
Everything is signed. Stores lie in memory (/dev/shm): what is measured is the bus, not the disk.
"""

import argparse
import asyncio
import json
import time
from typing import Any, Final

from benchmarks.centre import SHOWN_MAX
from benchmarks.cloud import LOOK_S, Cloud, cloud, say

BEFORE_S: Final = 10.0
"""How long there is load before the bus goes away."""
PATIENCE_S: Final = 60.0
"""How long it is waited for readers."""


async def measure(bench: Cloud, rate: int, before_s: float, down_s: float) -> dict[str, Any]:
    """The figures of one outage. Raises TimeoutError if it doesn't heal."""
    say("every guest runs, and every reader knows; now there is load")
    before = await bench.reported()
    await bench.centre.tell("forget")
    await bench.fleets_say("load", str(-(-rate // len(bench.fleets))))
    loaded_s = time.monotonic()
    await asyncio.sleep(before_s)
    loaded = await bench.reported()
    reached = loaded["changes"] / (time.monotonic() - loaded_s)
    lag_s = await bench.all_read(PATIENCE_S)
    await bench.server.kill()
    at_death = await bench.reported()
    await asyncio.sleep(down_s)
    missed = await bench.reported()
    written = bench.write_down(missed["stands"])
    await bench.server.start()
    back_s = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while (connected := await bench.connected()) < bench.hosts:
            centre = (await bench.centre.tell("connected"))["connected"]
            say(f"{connected} hosts are connected again, and {centre} of the centre's buses")
            await asyncio.sleep(LOOK_S)
        connected_s = time.monotonic() - back_s
        while behind := await bench.behind(written):
            say(f"{behind} hosts aren't read up to there")
            if behind <= SHOWN_MAX:
                await bench.explain(written)
            await asyncio.sleep(LOOK_S)
        healed_s = time.monotonic() - back_s
    healed = await bench.reported()
    await bench.fleets_say("rest")
    rested_s = await bench.all_read(PATIENCE_S)
    after = await bench.reported()
    return {
        "hosts": bench.hosts,
        "guests of each, which change together": bench.guests,
        "events a second, wanted": rate,
        "events a second, made": round(reached),
        "milliseconds of processor time for an event": {
            "hosts": round((loaded["cpu_s"] - before["cpu_s"]) * 1000 / loaded["changes"], 2),
            "centre": round((loaded["centre"]["cpu_s"] - before["centre"]["cpu_s"]) * 1000 / loaded["changes"], 2),
        },
        "seconds until all readers had what was written by then, under load": round(lag_s, 2),
        "seconds without the server": down_s,
        "events meanwhile": missed["changes"] - at_death["changes"],
        "seconds from its return until every host was connected": round(connected_s, 2),
        "seconds from its return until every reader had all that was written before": round(healed_s, 2),
        "seconds until all readers had everything, when the load had ended": round(rested_s, 2),
        "seconds of processor time for that": {
            "hosts": round(healed["cpu_s"] - missed["cpu_s"], 1),
            "centre": round(healed["centre"]["cpu_s"] - missed["centre"]["cpu_s"], 1),
        },
        "owners asked for what was missed": healed["centre"]["asked"] - missed["centre"]["asked"],
        "complete states taken": after["centre"]["resyncs"] - before["centre"]["resyncs"],
        "complete states taken by hosts": after["resyncs"] - before["resyncs"],
        "longest queues of the centre": after["centre"]["peaks"],
        "messages lost to full queues": after["centre"]["lost"] + after["lost"],
        "guests that the API shows otherwise than they are": await bench.differences(),
    }


async def main(
    hosts: int, clusters: int, guests: int, rate: int, down_s: float, before_s: float = BEFORE_S
) -> dict[str, Any]:
    """Measures once, in a cloud of its own."""
    async with cloud(hosts, clusters, guests) as bench:
        return await measure(bench, rate, before_s, down_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--guests", type=int, default=5, help="of each host; they change together")
    parser.add_argument("--rate", type=int, default=1000, help="events a second, of all hosts together")
    parser.add_argument("--down", type=float, default=10.0, help="seconds for which the server is away")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(main(given.hosts, given.clusters, given.guests, given.rate, given.down)), indent=2))
