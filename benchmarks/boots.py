"""What a boot costs the whole control plane, from ``POST /servers`` to ACTIVE in the API's view; and how that grows.

    python -m benchmarks.boots --hosts 1000 --clusters 10 --projects 20 --guests 1000 --rounds 5

A whole region in one process (benchmarks/region.py), with real HTTP from another. In each round `--guests` guests are
made, spread over the projects, with so many POSTs at once. CPU is that of the region's process: every role, and the
simulated machines, but not the client.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from itertools import cycle, islice
from typing import Any, Final

import aiohttp

from benchmarks.children import Child
from benchmarks.record import growth, record

IMAGE_BYTES: Final = 1 << 16
CIDR: Final = "10.64.0.0/10"
AGAIN_S: Final = 0.1
SERVERS: Final = "/compute/v2.1/servers"


class Tenant:
    """A project, and what its guests are made of."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self.url = session, url
        self.headers = {"X-Auth-Token": token}
        self.body: dict[str, Any] = {}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What is answered; asked again while nobody can answer yet."""
        while True:
            async with self._session.request(method, self.url + path, json=body, headers=self.headers) as answer:
                if answer.status not in (429, 503):
                    assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
                    return await answer.json() if answer.content_type == "application/json" else None
            await asyncio.sleep(AGAIN_S)

    async def settle_in(self, project: str, cluster: str, image: str, flavor: str) -> None:
        """Quotas without end, and a network of the cluster."""
        quota = {"instances": -1, "cores": -1, "ram": -1}
        await self.ask("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": quota})
        await self.ask("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1}})
        wanted = {"name": "n", "availability_zone_hints": [cluster]}
        network = (await self.ask("POST", "/network/v2.0/networks", {"network": wanted}))["network"]
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": CIDR}
        await self.ask("POST", "/network/v2.0/subnets", {"subnet": subnet})
        server = {"name": "g", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network["id"]}]}
        self.body = {"server": server}

    async def boot(self, answers: Counter[int]) -> None:
        """A guest, asked for until it is promised."""
        while True:
            async with self._session.post(self.url + SERVERS, json=self.body, headers=self.headers) as answer:
                await answer.read()
            answers[answer.status] += 1
            if answer.status == 202:
                return
            await asyncio.sleep(float(answer.headers.get("Retry-After", AGAIN_S)))

    async def settled(self) -> None:
        """Waits until no guest of the project is being built any more."""
        while (await self.ask("GET", f"{SERVERS}?status=BUILD&limit=1"))["servers"]:
            await asyncio.sleep(AGAIN_S)

    async def upload(self, image: str) -> None:
        """The bytes of an image."""
        headers = self.headers | {"Content-Type": "application/octet-stream"}
        url = f"{self.url}/image/v2/images/{image}/file"
        async with self._session.put(url, data=bytes(IMAGE_BYTES), headers=headers) as answer:
            assert answer.status == 204, await answer.text()


async def tenants(session: aiohttp.ClientSession, url: str, password: str, count: int, clusters: int) -> list[Tenant]:
    """So many projects of the admin's, each with a network in one of the clusters by turns."""
    token, admin = await _token(session, url, {"password": {"user": _ADMIN | {"password": password}}}, "admin")
    first = Tenant(session, url, token)
    public = {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    image = (await first.ask("POST", "/image/v2/images", public))["id"]
    await first.upload(image)
    flavor = (await first.ask("GET", "/compute/v2.1/flavors"))["flavors"][0]["id"]
    (role,) = (await first.ask("GET", "/identity/v3/roles?name=admin"))["roles"]
    made = []
    for number in range(count):
        project = (await first.ask("POST", "/identity/v3/projects", {"project": {"name": f"p{number}"}}))["project"]
        grant = f"/identity/v3/projects/{project['id']}/users/{admin['user']['id']}/roles/{role['id']}"
        await first.ask("PUT", grant)
        scoped, _ = await _token(session, url, {"token": {"id": token}}, project["name"])
        tenant = Tenant(session, url, scoped)
        cluster = f"default-{number % clusters}" if clusters > 1 else "default"
        await tenant.settle_in(project["id"], cluster, image, flavor)
        made.append(tenant)
    return made


_ADMIN: Final = {"name": "admin", "domain": {"id": "default"}}


async def _token(session: aiohttp.ClientSession, url: str, how: dict[str, Any], project: str) -> tuple[str, Any]:
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": list(how), **how}, "scope": scope}}
    async with session.post(f"{url}/identity/v3/auth/tokens", json=body) as answer:
        assert answer.status == 201, await answer.text()
        return answer.headers["X-Subject-Token"], (await answer.json())["token"]


async def booted(there: list[Tenant], guests: int, at_once: int) -> Counter[int]:
    """Creates so many, so many POSTs at once, and waits until all are ACTIVE."""
    answers: Counter[int] = Counter()
    turns = islice(cycle(there), guests)

    async def some() -> None:
        for tenant in turns:
            await tenant.boot(answers)

    await asyncio.gather(*(some() for _ in range(at_once)))
    for tenant in there[:guests]:
        await tenant.settled()
    return answers


async def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.started("benchmarks.region", folder, str(asked.hosts), str(asked.clusters))
        told = await child.answer()
        curve = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            there = await tenants(session, told["url"], told["password"], asked.projects, asked.clusters)
            await booted(there, min(asked.guests, asked.projects), asked.at_once)  # what is done once is done
            for _ in range(asked.rounds):
                before, began = await child.tell("count"), time.perf_counter()
                answers = await booted(there, asked.guests, asked.at_once)
                took_s, after = time.perf_counter() - began, await child.tell("count")
                curve.append(per_boot(before, after, asked.guests, took_s) | {"answers": dict(answers)})
        await child.close()
    return {
        "hosts": asked.hosts,
        "clusters": asked.clusters,
        "projects": asked.projects,
        "guests_a_round": asked.guests,
        "cpu_exponent": growth(range(1, len(curve) + 1), [one["cpu_ms"] for one in curve]),
        "curve": curve,
    }


def per_boot(before: dict[str, Any], after: dict[str, Any], guests: int, took_s: float) -> dict[str, Any]:
    """What was done between two counts, for each guest."""

    def each(name: str, digits: int = 2) -> float:
        count: float = (after[name] - before[name]) / guests
        return round(count, digits)

    kinds = {kind: (count - before["messages"].get(kind, 0)) / guests for kind, count in after["messages"].items()}
    return {
        "guests_there": after["guests"],
        "cpu_ms": round(1000 * each("cpu_s", 7), 3),
        "cpu_ms_of_commits": round(1000 * each("commit_cpu_s", 7), 3),
        "per_s": round(guests / took_s, 1),
        "messages": round(sum(kinds.values()), 2),
        "messages_by_kind": {kind: round(count, 2) for kind, count in kinds.items() if count >= 0.005},
        "commits": each("commits"),
        "commits_together": each("commits_together", 3),
        "transactions": each("transactions"),
        "changes": each("changes"),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--name", default="boots")
    asked = parser.parse_args()
    record(asked.name, asyncio.run(measured(asked)))


if __name__ == "__main__":
    main()
