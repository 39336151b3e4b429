"""What a boot costs the whole control plane, from ``POST /servers`` to ACTIVE in the API's view.

python -m benchmarks.boots --guests 2000 --hosts 100 --at-once 50
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from typing import Any

import aiohttp

from benchmarks.children import Child

IMAGE_BYTES = 1 << 16
CIDR = "10.64.0.0/10"


async def measured(guests: int, hosts: int, at_once: int, rounds: int) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.started("benchmarks.region", folder, str(hosts), "1")
        told = await child.answer()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            user = User(session, told["url"])
            await user.sign_in(told["password"])
            body = await user.prepare()
            curve = []
            for number in range(rounds):
                before = await child.tell("count")
                began = time.perf_counter()
                statuses = await user.boot(body, guests, at_once, (number + 1) * guests)
                took_s = time.perf_counter() - began
                after = await child.tell("count")
                curve.append(_per_boot(before, after, guests, took_s) | {"answers": statuses})
                print(json.dumps(curve[-1]), flush=True)
        await child.close()
        return {"hosts": hosts, "guests": guests, "curve": curve}


class User:
    """The admin, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url
        self._headers: dict[str, str] = {}

    async def sign_in(self, password: str) -> None:
        who = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
        async with self._session.post(f"{self._url}/identity/v3/auth/tokens", json=auth) as answer:
            assert answer.status == 201, await answer.text()
            self._headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
            token = (await answer.json())["token"]
            self.project = token["project"]["id"]

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        while True:
            async with self._session.request(
                method, self._url + path, json=body, headers=self._headers, **more
            ) as answer:
                if answer.status not in (429, 503):
                    assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
                    return await answer.json() if answer.content_type == "application/json" else None
            await asyncio.sleep(0.2)

    async def prepare(self) -> dict[str, Any]:
        """An image, quotas without end; the body of a create."""
        quota = {"instances": -1, "cores": -1, "ram": -1}
        await self.ask("PUT", f"/compute/v2.1/os-quota-sets/{self.project}", {"quota_set": quota})
        await self.ask("PUT", f"/network/v2.0/quotas/{self.project}", {"quota": {"port": -1}})
        image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
        made = await self.ask("POST", "/image/v2/images", image)
        headers = self._headers | {"Content-Type": "application/octet-stream"}
        url = f"{self._url}/image/v2/images/{made['id']}/file"
        async with self._session.put(url, data=bytes(IMAGE_BYTES), headers=headers) as answer:
            assert answer.status == 204, await answer.text()
        network = (await self.ask("POST", "/network/v2.0/networks", {"network": {"name": "n"}}))["network"]
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": CIDR}
        await self.ask("POST", "/network/v2.0/subnets", {"subnet": subnet})
        flavors = (await self.ask("GET", "/compute/v2.1/flavors"))["flavors"]
        server = {"name": "g", "imageRef": made["id"], "flavorRef": flavors[0]["id"]}
        return {"server": server | {"networks": [{"uuid": network["id"]}]}}

    async def boot(self, body: Any, guests: int, at_once: int, total: int) -> dict[str, int]:
        """Creates so many, so many POSTs at once, and waits until all there are are ACTIVE."""
        answers: dict[str, int] = {}
        left = iter(range(guests))

        async def one() -> None:
            for _ in left:
                url = f"{self._url}/compute/v2.1/servers"
                while True:
                    async with self._session.post(url, json=body, headers=self._headers) as answer:
                        await answer.read()
                        answers[str(answer.status)] = answers.get(str(answer.status), 0) + 1
                        if answer.status == 202:
                            break
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(one() for _ in range(at_once)))
        while (await self.ask("GET", "/compute/v2.1/servers?status=BUILD&limit=1"))["servers"]:
            await asyncio.sleep(0.2)
        return answers


def _per_boot(before: dict[str, Any], after: dict[str, Any], guests: int, took_s: float) -> dict[str, Any]:
    kinds = {
        kind: round((count - before["messages"].get(kind, 0)) / guests, 2) for kind, count in after["messages"].items()
    }
    cpu_of_commits_s = after["commit_cpu_s"] - before["commit_cpu_s"]
    return {
        "commit_cpu_ms": round(1000 * cpu_of_commits_s / guests, 3),
        "entries": round((after["entries"] - before["entries"]) / guests, 2),
        "cpu_ms": round(1000 * (after["cpu_s"] - before["cpu_s"]) / guests, 3),
        "per_s": round(guests / took_s, 1),
        "messages": round(sum(kinds.values()), 2),
        "by_kind": kinds,
        "transactions": round((after["transactions"] - before["transactions"]) / guests, 2),
        "commits": round((after["commits"] - before["commits"]) / guests, 2),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guests", type=int, default=2000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    figures = asyncio.run(measured(asked.guests, asked.hosts, asked.at_once, asked.rounds))
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    print(json.dumps({"figure": "boots", **figures, "machine": machine}))


if __name__ == "__main__":
    main()
