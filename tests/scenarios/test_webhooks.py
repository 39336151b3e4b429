"""Others are told what happens: by a whole cloud, over HTTP, past kills of the cloud and of the receiver."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as Xml

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.scenarios.cloud import Cloud, free_port, simulated, until

pytestmark = pytest.mark.timeout(240)
HOOKS, FEEDS, HUB = "/freehold/v1/webhooks", "/freehold/v1/feeds", "/freehold/v1/hub"
ATOM = "{http://www.w3.org/2005/Atom}"
INSIDE = {"notify_networks": ["127.0.0.0/8"]}


@dataclass
class Receiver:
    """Takes webhooks, whose signatures it verifies, and what a hub sends."""

    port: int
    secret: str = ""
    status: int = 204
    events: list[Any] = field(default_factory=list)
    documents: list[tuple[str, bytes]] = field(default_factory=list)
    """(X-Hub-Signature, body)."""
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = Webhook(self.secret).verify(body, dict(request.headers))
        if self.status < 300 and event["id"] not in [known["id"] for known in self.events]:
            self.events.append(event)
        return web.Response(status=self.status)

    async def asked(self, request: web.Request) -> web.Response:
        self.was_asked.set()
        return web.Response(text=request.query["hub.challenge"])

    async def told(self, request: web.Request) -> web.Response:
        self.documents.append((request.headers["X-Hub-Signature"], await request.read()))
        return web.Response(status=200)

    def types(self, guest: str) -> list[str]:
        """The types of what it was told of a guest."""
        return [one["type"].removeprefix("freehold.") for one in self.events if one["data"].get("id") == guest]

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """While it runs."""
        app = web.Application()
        app.router.add_post("/hook", self.hook)
        app.router.add_get("/websub", self.asked)
        app.router.add_post("/websub", self.told)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()


async def test_a_receiver_is_told_of_a_guests_life_past_kills(tmp_path: Path) -> None:
    receiver = Receiver(free_port())
    async with simulated(tmp_path, **INSIDE) as cloud:
        image, network = await cloud.new_image(), await cloud.network()
        made = await cloud.well("POST", HOOKS, {"webhook": {"url": f"http://127.0.0.1:{receiver.port}/hook"}})
        receiver.secret, hook = made["webhook"]["secret"], made["webhook"]["id"]
        guest = await cloud.created("one", image, network)
        await cloud.becomes(guest, "ACTIVE")
        async with receiver.up():  # it wasn't there until now
            await told(cloud, receiver, guest, ["guest.addressed", "guest.building", "guest.active"])
            await cloud.kill()
            await cloud.start()
            assert (await cloud.act(guest, "os-stop")).status == 202
            await told(cloud, receiver, guest, ["guest.stopping", "guest.stopped"])
        await cloud.well("DELETE", f"/compute/v2.1/servers/{guest}")
        await cloud.goes(guest)
        await cloud.kill()
        await cloud.start()
        async with receiver.up():
            await told(cloud, receiver, guest, ["guest.deleting", "guest.deleted"])
            attempt = (await cloud.well("POST", f"{HOOKS}/{hook}/ping"))["attempt"]
            assert attempt["taken"] and attempt["status"] == 204


async def told(cloud: Cloud, receiver: Receiver, guest: str, types: list[str]) -> None:
    """Waits until the receiver was told of these; those of one owner in this order."""

    async def so() -> bool:
        return set(types) <= set(receiver.types(guest))

    await until(so, 60, lambda: f"{receiver.types(guest)}\n{cloud.last_lines()}")
    of_host = [one for one in receiver.types(guest) if one in types and one != "guest.addressed"]
    assert of_host == [one for one in types if one != "guest.addressed"]


async def test_a_subscriber_of_a_feed_is_told(tmp_path: Path) -> None:
    receiver = Receiver(free_port())
    async with simulated(tmp_path, **INSIDE) as cloud, receiver.up():
        image, network = await cloud.new_image(), await cloud.network()
        feed = (await cloud.well("POST", FEEDS, {"feed": {}}))["feed"]
        reply = await cloud.call("GET", feed["atom_url"].removeprefix(cloud.url))
        links = {link.get("rel"): link.get("href") for link in Xml.fromstring(reply.body).findall(f"{ATOM}link")}
        form = {
            "hub.mode": "subscribe",
            "hub.topic": links["self"],
            "hub.callback": f"http://127.0.0.1:{receiver.port}/websub",
            "hub.secret": "shared",
        }
        asked = urlencode(form).encode()
        reply = await cloud.call("POST", HUB, asked, Content_Type="application/x-www-form-urlencoded")
        assert reply.status == 202 and links["hub"] == f"{cloud.url}{HUB}", reply.body
        await receiver.was_asked.wait()  # what happens before isn't told
        guest = await cloud.created("one", image, network)

        async def so() -> bool:
            return any(f"guest/{guest}".encode() in body and b"guest.active" in body for _, body in receiver.documents)

        await until(so, 60, cloud.last_lines)
        for signature, body in receiver.documents:
            assert signature == f"sha256={hmac.new(b'shared', body, hashlib.sha256).hexdigest()}"
        reply = await cloud.call("GET", feed["json_url"].removeprefix(cloud.url))
        assert any(guest in item["title"] or "one" in item["title"] for item in reply.json["items"])


async def test_a_receiver_inside_is_never_reached_unless_it_is_allowed(tmp_path: Path) -> None:
    receiver = Receiver(free_port())
    async with simulated(tmp_path) as cloud, receiver.up():
        for host in ("127.0.0.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"):
            wanted = {"webhook": {"url": f"http://{host}:{receiver.port}/hook"}}
            assert (await cloud.call("POST", HOOKS, wanted)).status == 400
        wanted = {"webhook": {"url": f"http://localhost:{receiver.port}/hook"}}
        hook = (await cloud.well("POST", HOOKS, wanted))["webhook"]  # a name is judged when it is resolved
        attempt = (await cloud.well("POST", f"{HOOKS}/{hook['id']}/ping"))["attempt"]
        assert not attempt["taken"] and "this machine" in attempt["reason"]
    assert receiver.events == []
