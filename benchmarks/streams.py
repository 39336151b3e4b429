"""Many readers of events while API processes are killed and started again by turns: none loses one or gets one twice.

Every role is a process of its own, over a real nats-server, with simulated hosts; readers and clients speak HTTP. A
kill is ``kill -9`` of an API process, which is then started again. Readers come back with the id of the last event that
they have, at whichever process answers. What they were given is held against the owners' own logs.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from freehold.api.native.events import BEHIND
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.log import configure
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store
from tests.reading import EVENTS
from tests.scenarios.cloud import Cloud, Reply
from tests.scenarios.test_processes import Processes, a_network, processes
from tests.scenarios.test_streams import expected, in_order

AGAIN_S: Final = 0.05
"""Before a reader or a client tries the other process."""
QUIET_S: Final = 15.0
"""When nobody has been given anything for so long, all has been told that will be."""
TOLD_S: Final = 600.0
LINE_BYTES_MAX: Final = 1 << 20


@dataclass
class Reader:
    """Reads one project's events for as long as it takes."""

    session: aiohttp.ClientSession
    apis: list[Cloud]
    token: str
    number: int
    ids: list[str] = field(default_factory=list)
    last: str = ""
    """The last id that it was given, of an event or of where it stands."""
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What it was told of the stream itself: type and reason."""
    retry_s: float = AGAIN_S
    """How long it is told to wait before it comes back."""
    connections: int = 0
    refused: Counter[int] = field(default_factory=Counter)

    async def run(self) -> None:
        """Until it is cancelled."""
        tries = self.number
        while True:
            api = self.apis[tries % len(self.apis)]
            tries += 1
            headers = {"X-Auth-Token": self.token} | ({"Last-Event-ID": self.last} if self.last else {})
            try:
                async with self.session.get(api.url + EVENTS, headers=headers) as answer:
                    if answer.status == 200:
                        self.connections += 1
                        await self._read(answer)
                    else:
                        self.refused[answer.status] += 1
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                pass  # its process was killed, or isn't up again
            await asyncio.sleep(self.retry_s)

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        """An event counts when it has come whole, as a browser has it."""
        block: dict[str, str] = {}
        async for raw in answer.content:
            name, _, value = raw.decode().rstrip("\r\n").partition(": ")
            if raw.strip():
                block[name] = value
                continue
            self.last = block.get("id", self.last)
            self.retry_s = float(block.get("retry", 1000 * self.retry_s)) / 1000
            if "data" in block:
                self._take(json.loads(block["data"]))
            block = {}

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"].startswith("freehold.feed."):
            self.said[(event["type"], event["data"].get("reason", ""))] += 1
        else:
            self.ids.append(event["id"])


@dataclass
class Project:
    """One tenant, and those who read his events."""

    id: str
    token: str
    readers: list[Reader] = field(default_factory=list)


async def insisted(cloud: Processes, number: int, call: Callable[[Cloud], Any]) -> Reply:
    """Asks, at the other process if one is killed under the call."""
    for tries in range(2000):
        try:
            reply: Reply = await call(cloud.apis[(number + tries) % len(cloud.apis)])
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            await asyncio.sleep(AGAIN_S)
            continue
        if reply.status < 500:
            return reply
        await asyncio.sleep(AGAIN_S)
    raise AssertionError("nobody answers")


async def lives(cloud: Processes, project: Project, image: str, network: str, guests: int) -> None:
    """Guests that are made, stopped and deleted, through any API process."""
    for number in range(guests):
        body = {"name": f"g{number}", "imageRef": image, "flavorRef": "1", "networks": [{"uuid": network}]}
        how = {"token": project.token, "Idempotency_Key": f"k{number}", "Prefer": "wait=15"}
        made = await insisted(cloud, number, _asks("POST", "/compute/v2.1/servers", {"server": body}, **how))
        assert made.status in (201, 202), made.body
        path = f"/compute/v2.1/servers/{made.json['server']['id']}"
        await insisted(cloud, number + 1, _asks("POST", f"{path}/action", {"os-stop": None}, token=project.token))
        if number % 2:
            await insisted(cloud, number, _asks("DELETE", path, token=project.token))


def _asks(method: str, path: str, body: Any = None, **how: str) -> Callable[[Cloud], Any]:
    return lambda api: api.call(method, path, body, **how)


async def measured(folder: Path, readers: int, projects: int, guests: int, kills: int) -> dict[str, Any]:
    """The figures of one run. Raises AssertionError if an event was lost, came twice, or out of its log's order."""
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(processes(folder))
        first = cloud.apis[0]
        image, network = await first.new_image(), await a_network(first)
        tenants = [await _tenant(first, f"tenant-{number}") for number in range(projects)]
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        session = aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=LINE_BYTES_MAX)
        await stack.enter_async_context(session)
        everybody = [_reader(session, cloud, tenants[number % projects], number) for number in range(readers)]
        tasks = [asyncio.create_task(reader.run()) for reader in everybody]
        stack.push_async_callback(_ended, tasks)
        await _until(lambda: all(reader.last for reader in everybody), "all read")
        work = [asyncio.create_task(lives(cloud, one, image, network, guests)) for one in tenants]
        for number in range(kills):
            api = cloud.apis[number % len(cloud.apis)]
            await api.kill()
            await api.start()
        await asyncio.gather(*work)
        await _told(everybody)
        for one in cloud.all:
            assert await one.stop() == 0, one.last_lines()
        said = sum((reader.said for reader in everybody), Counter())
        assert not any(kind == BEHIND for kind, _ in said), said
        async with _logs(cloud) as stores:
            for tenant in tenants:
                wanted = expected(stores, tenant.id, {})
                for reader in tenant.readers:
                    in_order(reader.ids, wanted)
        return {
            "readers": readers,
            "projects": projects,
            "kills": kills,
            "came_back": sum(reader.connections - 1 for reader in everybody),
            "refused": dict(sum((reader.refused for reader in everybody), Counter())),
            "said_of_streams": {" ".join(words): count for words, count in said.items()},
            "events": sum(len(reader.ids) for reader in everybody),
        }


async def _tenant(api: Cloud, name: str) -> Project:
    token = await api.newcomer(name)
    (found,) = (await api.get(f"/identity/v3/projects?name={name}"))["projects"]
    return Project(found["id"], token)


def _reader(session: aiohttp.ClientSession, cloud: Processes, tenant: Project, number: int) -> Reader:
    reader = Reader(session, cloud.apis, tenant.token, number)
    tenant.readers.append(reader)
    return reader


async def _ended(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _told(everybody: list[Reader]) -> None:
    """Waits until nobody is given anything any more."""
    count, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal count, since
        now = sum(len(reader.ids) for reader in everybody)
        if now != count:
            count, since = now, time.monotonic()
        return time.monotonic() - since > QUIET_S

    await _until(quiet, "all was told")


async def _until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(TOLD_S):
            while not holds():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not within {TOLD_S:g} s: {what}") from None


@asynccontextmanager
async def _logs(cloud: Processes) -> AsyncIterator[list[Store]]:
    """The stores of owners whose processes have ended."""
    clock, chance = HybridClock(SystemClock()), SystemChance()
    places = [("registrar", cloud.registrar.state / "registrar.db"), ("network", cloud.network.state / "network.db")]
    places += [("host", path) for path in sorted((cloud.host.state / "hosts").glob("*.db"))]
    async with AsyncExitStack() as stack:
        stores = []
        for role, path in places:
            store = await Store.open(
                path, role=role, cluster="default", clock=clock, chance=chance, offload=offload_inline
            )
            stack.push_async_callback(store.close)
            stores.append(store)
        yield stores


def main() -> None:
    """Prints the figures. Raises AssertionError if an event was lost, came twice, or out of its log's order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--guests", type=int, default=4)
    parser.add_argument("--kills", type=int, default=6)
    asked = parser.parse_args()
    configure(level="critical")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = measured(Path(folder), asked.readers, asked.projects, asked.guests, asked.kills)
        figures = asyncio.run(run)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    took_s = round(time.perf_counter() - began, 1)
    print(json.dumps({"figure": "streams", "lost": 0, "doubled": 0, **figures, "took_s": took_s, "machine": machine}))


if __name__ == "__main__":
    main()
