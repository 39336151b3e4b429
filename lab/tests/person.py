"""Who uses the laboratory's cloud: over HTTP, through the balancer, with a token of a project."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from freehold.cli.credentials import read_admin
from lab.cloud import URL, Lab

SERVERS: Final = "/compute/v2.1/servers"
TRIES: Final = 200
PAUSE_S: Final = 0.5
DEADLINE_S: Final = 30.0


@dataclass(slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    token: str = ""

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Person:
    """A user with a token."""

    def __init__(self, session: aiohttp.ClientSession, token: str = "", url: str = URL) -> None:
        self._session, self.token, self._url = session, token, url

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One answer. Raises aiohttp.ClientError or TimeoutError where there is none."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"X-Auth-Token": self.token, "OpenStack-API-Version": "compute 2.96"}
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/octet-stream" if raw is body else "application/json")
        async with self._session.request(method, self._url + path, data=raw, headers=sent) as answer:
            return Reply(answer.status, await answer.read(), answer.headers.get("x-subject-token", ""))

    async def well(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The body of a success: asked for again while there is no answer, or one that says to ask again."""
        said = "nothing"
        for _ in range(TRIES):
            try:
                reply = await self.call(method, path, body, **headers)
            except (aiohttp.ClientError, TimeoutError) as error:
                said = repr(error)
            else:
                if reply.status < 300:
                    return reply.json if reply.body[:1] in (b"{", b"[") else reply.body
                if reply.status == 404 and method == "DELETE":
                    return None  # it was deleted by a call whose answer was lost
                assert reply.status in (503, 504), f"{method} {path}: {reply.status} {reply.body!r}"
                said = f"{reply.status} {reply.body!r}"
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{method} {path} wasn't answered: {said}")

    async def signed_in(self, user: str, password: str, project: str) -> "Person":
        """Somebody with a token for a project."""
        who = {"name": user, "domain": {"id": "default"}, "password": password}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": {"id": "default"}}}
        reply = await self.call("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        assert reply.status == 201, reply.body
        return Person(self._session, reply.token, self._url)

    async def newcomer(self, name: str) -> "Person":
        """A member of a new project, both called `name`; asked for by the admin."""
        project = (await self.well("POST", "/identity/v3/projects", {"project": {"name": name}}))["project"]["id"]
        someone = {"user": {"name": name, "password": "correct horse"}}
        user = (await self.well("POST", "/identity/v3/users", someone))["user"]["id"]
        role = (await self.well("GET", "/identity/v3/roles?name=member"))["roles"][0]["id"]
        await self.well("PUT", f"/identity/v3/projects/{project}/users/{user}/roles/{role}")
        return await self.signed_in(name, "correct horse", name)

    async def raise_quota(self, guests: int) -> None:
        """Lets the admin's own project have so many guests, each with a port."""
        project = (await self.well("GET", "/identity/v3/projects?name=admin"))["projects"][0]["id"]
        quota = {"instances": guests, "cores": guests, "ram": guests * 1024}
        await self.well("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": quota})
        await self.well("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": guests}})

    async def image(self, content: bytes) -> str:
        """A public image with these bytes; asked for by the admin."""
        kind = "qcow2" if content.startswith(b"QFI\xfb") else "raw"
        record = {"name": "guest", "disk_format": kind, "container_format": "bare", "visibility": "public"}
        image = (await self.well("POST", "/image/v2/images", record))["id"]
        await self.well("PUT", f"/image/v2/images/{image}/file", content)
        return str(image)

    async def network(self, name: str, cluster: str, cidr: str, **more: Any) -> str:
        """A network of a cluster with one subnet."""
        asked = {"name": name, "availability_zone_hints": [cluster]} | more
        network = (await self.well("POST", "/network/v2.0/networks", {"network": asked}))["network"]["id"]
        subnet = {"network_id": network, "cidr": cidr, "ip_version": 4}
        await self.well("POST", "/network/v2.0/subnets", {"subnet": subnet})
        return str(network)

    async def create(self, name: str, image: str, networks: list[dict[str, str]], script: str = "", **more: Any) -> str:
        """The id of a guest that runs `script` when it is up. Asked for under its name as the idempotency key."""
        server = {"name": name, "imageRef": image, "flavorRef": "1", "networks": networks}
        if script:
            server["user_data"] = base64.b64encode(script.encode()).decode()
        hints = {"os:scheduler_hints": {"group": more.pop("group")}} if "group" in more else {}
        body = {"server": server | more, **hints}
        return str((await self.well("POST", SERVERS, body, Idempotency_Key=name))["server"]["id"])

    async def server(self, guest: str) -> Any:
        """A guest, as it is shown."""
        return (await self.well("GET", f"{SERVERS}/{guest}"))["server"]

    async def becomes(self, guest: str, status: str, within_s: float) -> Any:
        """Waits until a guest is shown so, and gives it."""
        shown: dict[str, Any] = {}

        async def so() -> bool:
            shown.update(await self.server(guest))
            return bool(shown["status"] == status)

        await until(so, within_s, lambda: f"{guest} should be {status}, and is {shown}")
        return shown

    async def says(self, guest: str) -> str:
        """What a guest has written on its console."""
        path, body = f"{SERVERS}/{guest}/action", {"os-getConsoleOutput": {"length": 200}}
        return str((await self.well("POST", path, body))["output"])

    async def delete(self, guest: str) -> None:
        """Deletes a guest."""
        await self.well("DELETE", f"{SERVERS}/{guest}")


@asynccontextmanager
async def admin(lab: Lab) -> AsyncIterator[Person]:
    """The cloud's admin."""
    found = read_admin(lab.control.state)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
        yield await Person(session).signed_in("admin", found.password.reveal(), "admin")


def demo_image() -> bytes:
    """A small guest that serves HTTP, answers pings, and runs a script."""
    return (Path.home() / ".cache" / "freehold" / "demo.qcow2").read_bytes()


async def until(holds: Callable[[], Awaitable[bool]], within_s: float, tell: Callable[[], str] = str) -> None:
    """Waits until `holds`. Raises AssertionError with what `tell` says."""
    try:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s. {tell()}") from None
