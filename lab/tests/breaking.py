"""Everything in the laboratory is killed and cut off in turn, while guests are made and deleted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from freehold.cli.credentials import read_admin
from lab import faults, wires
from lab.cloud import Lab
from lab.layout import API_PORTS, CLUSTERS, CONTROL
from lab.tests.owners import agree
from lab.tests.person import DEADLINE_S, Person, until

PARTITION_S: Final = 60.0
HEALED_S: Final = 10.0
"""All views equal their owners so soon after everything is well again."""
REST_S: Final = 1.0
"""Between two faults."""


@dataclass
class Load:
    """Guests of one person, in both clusters: made one after another, every other deleted when it runs."""

    person: Person
    image: str
    networks: dict[str, str]
    boot_s: float
    made: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    async def run(self, count: int, at_once: int) -> None:
        """Makes `count` guests, so many at once."""
        queue = iter(range(count))

        async def worker() -> None:
            for number in queue:
                await self._one(number)

        await asyncio.gather(*(worker() for _ in range(at_once)))

    async def _one(self, number: int) -> None:
        name, cluster = f"load-{number}", CLUSTERS[number % len(CLUSTERS)]
        guest = await self.person.create(
            name, self.image, [{"uuid": self.networks[cluster]}], availability_zone=cluster
        )
        self.made[name] = guest
        if number % 4 >= 2:  # of both clusters
            await self.person.becomes(guest, "ACTIVE", self.boot_s)
            await self.person.delete(guest)
            self.deleted.add(guest)

    @property
    def left(self) -> set[str]:
        """The guests that are there in the end."""
        return set(self.made.values()) - self.deleted


async def break_everything(lab: Lab, say: Callable[[str], None]) -> None:
    """Kills each process, each nats-server, and cuts a cluster off for a minute."""
    for name in lab.running:
        say(f"kill -9 {name}")
        lab.running[name].kill()
        await asyncio.sleep(REST_S)
        await asyncio.to_thread(lab.start, lab.running[name])
    for name, running in lab.running.items():
        if "broker" in running.process.roles:
            say(f"kill -9 the nats-server of {name}")
            faults.kill_nats(lab, name)
            await asyncio.sleep(REST_S)
    say(f"cluster {CLUSTERS[0]} is cut off for {PARTITION_S:g} s")
    wires.cut(CLUSTERS[0])
    await asyncio.sleep(PARTITION_S)
    wires.mend(CLUSTERS[0])


async def settled(lab: Lab, load: Load, say: Callable[[str], None]) -> None:
    """Waits until views equal their owners, which must be soon, and then until all builds and deletes have ended."""
    healed_s = time.monotonic()
    async with every_api(lab) as apis:
        await until(lambda: equal(lab, apis), HEALED_S, lambda: "the views differ from the owners")
        say(f"all views equalled the owners {time.monotonic() - healed_s:.1f} s after the last fault was mended")
        for guest in load.left:
            await load.person.becomes(guest, "ACTIVE", load.boot_s)
        await until(lambda: gone(load), load.boot_s)
        await until(lambda: equal(lab, apis), HEALED_S)


async def equal(lab: Lab, apis: list[Person]) -> bool:
    try:
        return await agree(lab, apis)
    except (aiohttp.ClientError, TimeoutError):
        return False


async def gone(load: Load) -> bool:
    listed = (await load.person.well("GET", "/compute/v2.1/servers"))["servers"]
    return {server["id"] for server in listed} == load.left


@asynccontextmanager
async def every_api(lab: Lab) -> AsyncIterator[list[Person]]:
    """The admin at each API process, past the balancer."""
    found = read_admin(lab.control.state)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
        people = [Person(session, url=f"http://{CONTROL}:{port}") for port in API_PORTS]
        yield [await person.signed_in("admin", found.password.reveal(), "admin") for person in people]
