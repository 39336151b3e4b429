"""How soon an API process answers rightly when it is started: over a view that lacks the last events, and over none.

    python -m benchmarks.restart --hosts 100 --guests 1000000 --tail 100000

Over a real nats-server, everything signed. The servers are written straight into their owners' stores. The time is
counted from the process's start; an answer is right when it shows what the owner had written before that. And what
memory of its own the process takes then, and how long its loop is kept by one turn while it catches up.
"""

import argparse
import asyncio
import json
import time
from typing import Any, Final

import aiohttp

from benchmarks.children import Child
from benchmarks.cloud import Cloud, cloud, say
from benchmarks.pages import guest_id
from benchmarks.record import record

PART: Final = 10_000
"""Servers that are written at a time."""
LOOK_S: Final = 0.01
MACHINES: Final = ("empty", "front")
"""Where API processes are started: one before there are servers, the others after it."""
PATIENCE_S: Final = 900.0


class Bench:
    """A cloud with servers, and an API process that is started and ended."""

    def __init__(self, cloud: Cloud, project: str, token: str, file: str) -> None:
        self._cloud, self._project, self._file = cloud, project, file
        self._headers = {"X-Auth-Token": token}
        for machine in MACHINES:
            cloud.let_in(cloud.folder / machine, ("api",))

    async def fill(self, first: int, count: int, state: str) -> None:
        """Has servers written; where they are known already, their hosts have them in another state now."""
        for start in range(first, first + count, PART):
            part = (self._file, str(start), str(min(PART, first + count - start)), self._project)
            if state == "running":
                await self._cloud.centre.tell("fill", *part)
            await self._cloud.fleets_say("fill", *part, state)
            say(f"{start + PART} of {first + count} servers are {state}")

    async def started(self, guest: str, status: str, machine: str = "front") -> dict[str, float]:
        """Starts the process, and ends it when it has caught up: seconds until it listens, shows a server in the status
        that it has, and has read everything.
        """
        written = self._cloud.write_down((await self._cloud.reported())["stands"])
        began_s = time.monotonic()
        front = await Child.started(
            "benchmarks.front", str(self._cloud.folder / machine), self._cloud.server.url, "api"
        )
        url = (await front.answer())["url"]
        took = {"listens_s": time.monotonic() - began_s}
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
            answers = await self._until_right(session, f"{url}/compute/v2.1/servers/{guest}", status)
            took["first_right_answer_s"] = time.monotonic() - began_s
            while (await front.tell("behind", written))["behind"]:
                await asyncio.sleep(LOOK_S)
            took["caught_up_s"] = time.monotonic() - began_s
            owners = len((await self._cloud.client.get("/freehold/v1/owners"))["owners"])
            while (count := await front.tell("count"))["owners"] < owners:
                await asyncio.sleep(LOOK_S)
        await front.close()
        names = {"cpu_s": "cpu_s", "questions": "questions", "resyncs": "complete_states"}
        names |= {"private_bytes": "private_bytes", "longest_turn_ms": "longest_turn_ms"}
        figures = {told: count[name] for name, told in names.items()}
        return {name: round(value, 3) for name, value in (took | figures).items()} | {"wrong_answers": answers[200]}

    async def _until_right(self, session: aiohttp.ClientSession, url: str, status: str) -> dict[int, int]:
        """Asks until the answer is right, and gives how often it was what else; 200: a wrong one. That nothing is known
        yet of how a server is (UNKNOWN) is none.
        """
        answers = {200: 0, 404: 0, 503: 0}
        while True:
            async with session.get(url, headers=self._headers) as answer:
                shown = (await answer.json()).get("server", {}).get("status")
            if answer.status == 200 and shown == status:
                return answers
            if shown != "UNKNOWN":
                answers[answer.status] = answers.get(answer.status, 0) + 1
            await asyncio.sleep(LOOK_S)


async def measured(hosts: int, guests: int, tail: int) -> dict[str, Any]:
    """The figures of one run."""
    async with cloud(hosts, clusters=1, guests=0) as made:
        stores = [store for fleet in await made.fleets_say("stores") for store in fleet["stores"]]
        file = made.folder / "hosts.json"
        await asyncio.to_thread(file.write_text, json.dumps(stores))
        project = (await made.client.get("/identity/v3/projects?name=admin"))["projects"][0]["id"]
        bench = Bench(made, project, made.client._headers["X-Auth-Token"], str(file))
        await bench.fill(0, 1, "running")
        empty = await bench.started(guest_id(0), "ACTIVE", "empty")
        await bench.fill(1, guests - 1, "running")
        last = guest_id(guests - 1)
        without_view = await bench.started(last, "ACTIVE")
        with_whole_view = await bench.started(last, "ACTIVE")
        await bench.fill(guests - tail, tail, "stopped")
        with_view = await bench.started(last, "SHUTOFF")
    return {
        "hosts": hosts,
        "guests": guests,
        "tail": tail,
        "empty": empty,
        "bytes_a_guest": round((with_whole_view["private_bytes"] - empty["private_bytes"]) / guests, 1),
        "without_view": without_view,
        "with_whole_view": with_whole_view,
        "with_view_that_lacks_the_tail": with_view,
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--guests", type=int, default=1_000_000)
    parser.add_argument("--tail", type=int, default=100_000)
    asked = parser.parse_args()
    record("restart", asyncio.run(measured(asked.hosts, asked.guests, asked.tail)))


if __name__ == "__main__":
    main()
