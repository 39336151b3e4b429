"""A cloud over a real nats-server, all signed. Each host has a store, a passport and a connection of its own; the
centre (registrar, image, scheduler, network, API) is a process beside them.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.centre import ROLES
from benchmarks.children import Answer, Child
from freehold.bus.passports import sealed_passport
from freehold.cli.client import Client
from freehold.cli.credentials import Admin
from freehold.cli.first_start import furnish
from freehold.config import Settings
from freehold.runtime.chance import SystemChance
from freehold.runtime.keys import KEY_BYTES, SigningKey
from freehold.store.identity import KeptIdentity, keep_identity, own_stores
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.secret import Secret
from tests.nats_server import NatsServer

FLEETS_MIN: Final = 2
FLEET_HOSTS_MAX: Final = 2000
"""In one process: each has seven files open."""
LOOK_S: Final = 0.5
BUILD_LOOK_S: Final = 5.0
BUILT_S: Final = 900.0
GUESTS_AT_ONCE: Final = 50
CIDR: Final = "10.64.0.0/16"
HOUR_MS: Final = 3_600_000


class Cloud:
    """The processes, and what is known of them."""

    def __init__(self, folder: Path, hosts: int, clusters: int, guests: int) -> None:
        self.folder, self.hosts, self.guests = folder, hosts, guests
        self._clusters = [f"c{number}" for number in range(clusters)]
        self._cluster_of_host = [self._clusters[number % clusters] for number in range(hosts)]
        self.server = NatsServer(folder)
        self._authority = SigningKey.made(SystemChance())
        self.centre: Child
        self.fleets: list[Child] = []
        self.client: Client
        self._cluster_of: dict[str, str] = {}
        """Of each host's store."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Starts everything, and a guest on each host."""
        await self.server.start()
        stack.push_async_callback(self.server.kill)
        self.let_in(self.folder / "centre", ROLES)
        for cluster in self._clusters:
            self.let_in(self.folder / f"network-{cluster}", ("network",), cluster)
        self.centre = await Child.started("benchmarks.centre", str(self.folder), self.server.url, *self._clusters)
        stack.push_async_callback(self.centre.close)
        ready = await self.centre.answer()
        admin = Admin(ready["url"], Secret(ready["password"]))
        self.client = await stack.enter_async_context(Client(admin))
        image = self.folder / "image"
        image.write_bytes(bytes(1024 * 1024))
        furnished = Settings(state=self.folder, roles=ROLES, demo_image=image)
        await furnish(admin, furnished, lambda line: None)
        share = -(-self.hosts // max(FLEETS_MIN, -(-self.hosts // FLEET_HOSTS_MAX)))
        for first in range(0, self.hosts, share):
            for number in range(first, min(first + share, self.hosts)):
                self.let_in(self.folder / f"host-{number}", ("host",), self._cluster_of_host[number])
            which = (str(first), str(min(share, self.hosts - first)))
            self.fleets.append(
                await Child.started("benchmarks.fleet", str(self.folder), self.server.url, *which, *self._clusters)
            )
            stack.push_async_callback(self.fleets[-1].close)
        for fleet in self.fleets:
            await fleet.answer()
        say(f"{self.hosts} hosts run")

    def let_in(self, state: Path, roles: tuple[str, ...], cluster: str = "default") -> None:
        """Gives a machine its passport, as the directory would."""
        settings, chance = Settings(state=state, roles=roles, cluster=cluster), SystemChance()
        secret = chance.bytes(KEY_BYTES)
        now_ms, stores = round(time.time() * 1000), own_stores(settings, chance)
        self._cluster_of |= dict.fromkeys(stores, cluster)
        passport = Passport(
            machine=state.name,
            name=state.name,
            roles=roles,
            cluster=settings.cluster,
            stores=stores,
            key=SigningKey(secret).public,
            issued_ms=now_ms,
            expires_ms=now_ms + HOUR_MS,
        )
        keep_identity(
            state,
            KeptIdentity(
                key=Secret(secret.hex()),
                passport=sealed_passport(passport, self._authority),
                authority=self._authority.public,
            ),
        )

    async def build(self) -> None:
        """So many guests for each host, spread over the clusters as they are."""
        project = (await self.client.get("/identity/v3/projects?name=admin"))["projects"][0]["id"]
        quota = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
        await self.client.put_json(f"/compute/v2.1/os-quota-sets/{project}", quota)
        image = (await self.client.get("/image/v2/images"))["images"][0]["id"]
        networks = {cluster: await self._network(cluster) for cluster in self._clusters}
        wanted = {"name": "guest", "imageRef": image, "flavorRef": "1"}
        for cluster, network in networks.items():
            place = {"availability_zone": cluster, "networks": [{"uuid": network}]}
            left = self.guests * sum(of_host == cluster for of_host in self._cluster_of_host)
            while left:
                count = min(left, GUESTS_AT_ONCE)
                many = {"min_count": count, "max_count": count}
                try:
                    await self.client.post("/compute/v2.1/servers", {"server": wanted | place | many})
                except Unavailable:  # more wait than are built
                    await asyncio.sleep(LOOK_S)
                    continue
                left -= count
        async with asyncio.timeout(BUILT_S):
            while (built := len((await self.reported())["power"])) < self.hosts * self.guests:
                say(f"{built} guests of {self.hosts * self.guests}")
                await asyncio.sleep(BUILD_LOOK_S)

    async def _network(self, cluster: str) -> str:
        network = {"name": cluster, "availability_zone_hints": [cluster]}
        made = str((await self.client.post("/network/v2.0/networks", {"network": network}))["network"]["id"])
        subnet = {"network_id": made, "cidr": CIDR, "ip_version": 4}
        await self.client.post("/network/v2.0/subnets", {"subnet": subnet})
        return made

    async def fleets_say(self, *words: str) -> list[Answer]:
        """What each answers."""
        return await asyncio.gather(*(fleet.tell(*words) for fleet in self.fleets))

    async def reported(self) -> dict[str, Any]:
        """What there is to know, of all processes together."""
        fleets = await self.fleets_say("report")
        sums = ("changes", "resyncs", "connections", "unsent", "lost", "cpu_s")
        return {what: sum(one[what] for one in fleets) for what in sums} | {
            "stands": {store: at for one in fleets for store, at in one["stands"].items()},
            "power": {guest: power for one in fleets for guest, power in one["power"].items()},
            "centre": await self.centre.tell("report"),
        }

    async def connected(self) -> int:
        """How many hosts have a connection."""
        return sum(one["connected"] for one in await self.fleets_say("connected"))

    def write_down(self, stands: dict[str, list[Any]]) -> str:
        """The file in which it stands how far hosts have written, for the centre to compare."""
        file = self.folder / "stands.json"
        file.write_text(json.dumps({store: [self._cluster_of[store], *at] for store, at in stands.items()}))
        return str(file)

    async def behind(self, file: str) -> int:
        """For how many hosts some reader of the centre has read less than this, or another history."""
        behind: int = (await self.centre.tell("behind", file))["behind"]
        return behind

    async def explain(self, file: str) -> None:
        """Says of the last hosts that aren't read why that may be."""
        for store, readers in (await self.centre.tell("behind", file))["some"].items():
            told = [one for one in await self.fleets_say("look", store) if one]
            say(f"  {store}: {', '.join(readers)}; {told}")

    async def all_read(self, deadline_s: float) -> float:
        """Seconds until every reader has what each host has written by now. Raises TimeoutError."""
        began_s, written = time.monotonic(), self.write_down((await self.reported())["stands"])
        async with asyncio.timeout(deadline_s):
            while await self.behind(written):
                await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s

    async def differences(self) -> int:
        """Guests whose status in the API isn't how they are."""
        statuses = {"running": "ACTIVE", "paused": "PAUSED"}
        shown: dict[str, str] = {}
        marker = ""
        while True:
            page = await self.client.get(f"/compute/v2.1/servers/detail?all_tenants=1&limit=1000{marker}")
            shown |= {one["id"]: one["status"] for one in page["servers"]}
            if len(page["servers"]) < 1000:
                break
            marker = f"&marker={page['servers'][-1]['id']}"
        power = (await self.reported())["power"]
        return sum(shown.get(guest) != statuses.get(is_) for guest, is_ in power.items()) + len(shown.keys() ^ power)


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


@asynccontextmanager
async def cloud(hosts: int, clusters: int, guests: int) -> AsyncIterator[Cloud]:
    """One that runs, in memory (/dev/shm): what is measured with it is the bus, not the disk."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-cloud-", dir="/dev/shm"))
    try:
        async with AsyncExitStack() as stack:
            made = Cloud(folder, hosts, clusters, guests)
            await made.open(stack)
            await made.all_read(BUILT_S)
            if guests:
                await made.build()
                await made.all_read(BUILT_S)
            yield made
    finally:
        shutil.rmtree(folder)
