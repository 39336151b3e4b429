"""How soon a scheduler that is started again chooses rightly, and has read what hosts wrote while it was away.

    python -m benchmarks.restart_scheduler --crowd 100000 --hosts 100 --tail 100000

Over a real nats-server, everything signed. `--hosts` are real host workers, and write the tail while the scheduler is
away; the others (benchmarks/crowd.py) are known to it, are heard, and have written nothing. Its choice is right when it
is the host with the most free memory of them all. The time is counted from the process's start.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.children import Child
from benchmarks.cloud import Cloud, cloud, say
from benchmarks.crowd import BEST, CLUSTER, written_into
from benchmarks.record import record
from benchmarks.restart import PART
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.machine import boot_id
from freehold.views.fleet import Fleet

LOOK_S: Final = 0.005
AWAY_S: Final = 3.0
"""How long a scheduler is away at least: less than what its hosts' signs of life are good for."""
PATIENCE_S: Final = 300.0


async def started(made: Cloud, state: Path, owners: int) -> dict[str, float]:
    """Starts the process, and ends it when it has caught up."""
    written = made.write_down((await made.reported())["stands"])
    await asyncio.sleep(AWAY_S)
    began_s = time.monotonic()
    front = await Child.started("benchmarks.front", str(state), made.server.url, "scheduler")
    await front.answer()
    took = {"opens_s": time.monotonic() - began_s}
    wrong = 0
    async with asyncio.timeout(PATIENCE_S):
        while (chosen := (await front.tell("choose"))["host"]) != BEST:
            wrong += bool(chosen)
            await asyncio.sleep(LOOK_S)
        took["first_right_choice_s"] = time.monotonic() - began_s
        while (await front.tell("behind", written))["behind"]:
            await asyncio.sleep(LOOK_S)
        took["caught_up_s"] = time.monotonic() - began_s
        while (count := await front.tell("count"))["owners"] < owners:
            await asyncio.sleep(LOOK_S)
    await front.close()
    figures = {"cpu_s": count["cpu_s"], "questions": count["questions"], "complete_states": count["resyncs"]}
    return {name: round(value, 3) for name, value in (took | figures).items()} | {"wrong_choices": wrong}


async def measured(crowd: int, hosts: int, tail: int) -> dict[str, Any]:
    """The figures of one run."""
    async with cloud(hosts, clusters=1, guests=0) as made:
        state, beats = made.folder / "front", made.folder / "crowd"
        made.let_in(state, ("scheduler",))
        made.let_in(beats, ("network",), CLUSTER)
        await asyncio.to_thread(_know, state / "fleet", crowd)
        say(f"{crowd} hosts more are known")
        voice = await Child.started("benchmarks.crowd", str(beats), made.server.url, str(crowd))
        await voice.answer()
        stores = [store for fleet in await made.fleets_say("stores") for store in fleet["stores"]]
        file = made.folder / "hosts.json"
        await asyncio.to_thread(file.write_text, json.dumps(stores))
        owners = crowd + hosts
        first = await started(made, state, owners)
        again = await started(made, state, owners)
        for start in range(0, tail, PART):
            part = (str(file), str(start), str(min(PART, tail - start)), "p")
            await made.centre.tell("fill", *part)
            await made.fleets_say("fill", *part, "running")
        say(f"{tail} events were written")
        lacking = await started(made, state, owners)
        await voice.close()
    return {
        "crowd": crowd,
        "hosts": hosts,
        "tail": tail,
        "without_the_real_hosts": first,
        "with_all": again,
        "without_the_tail": lacking,
    }


def _know(path: Path, crowd: int) -> None:
    fleet = Fleet(HybridClock(SystemClock()), path, boot_id())
    written_into(fleet, crowd)
    fleet.close()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crowd", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--tail", type=int, default=100_000)
    asked = parser.parse_args()
    record("restart_scheduler", asyncio.run(measured(asked.crowd, asked.hosts, asked.tail)))


if __name__ == "__main__":
    main()
