"""A client's connection, as bytes: what is refused at the gate, and that everything else goes on as before."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from freehold.api import backlog, connection
from freehold.api.caller import Caller, Tokens
from freehold.api.listen import Listener
from freehold.api.server import Server
from tests.api.asgi import Reply
from tests.api.conftest import Api

SERVERS = "/compute/v2.1/servers"
BODY = json.dumps({"server": {"name": "g"}}).encode()


@dataclass
class Wire:
    """A connection of a client, which sends what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    def head(self, method: str, path: str, *more: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: here", f"X-Auth-Token: {self.token}", *more]
        return "\r\n".join([*lines, "", ""]).encode()

    def post(self, path: str = SERVERS, body: bytes = BODY, *more: str) -> bytes:
        return self.head("POST", path, f"Content-Length: {len(body)}", *more) + body

    async def send(self, *parts: bytes) -> None:
        """Sends each part by itself, and lets the server read it before the next."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def reply(self) -> Reply:
        async with asyncio.timeout(10):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(first.split()[1]), headers, body)

    async def ask(self, *parts: bytes) -> Reply:
        await self.send(*parts)
        return await self.reply()

    async def ended(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


@dataclass
class Served:
    """An API that listens, and a connection of the member's to it."""

    api: Api
    server: Server
    wire: Wire
    listener: Listener
    checked: list[str]
    """Tokens that were looked at."""

    def connections(self) -> list[Any]:
        return list(self.listener._server.server_state.connections)


@pytest.fixture
async def served(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """The registrar has said that it takes no more guests."""
    monkeypatch.setattr(backlog, "PAUSE_S", 3600.0)
    api.cloud.backlog.has_room(0, 0)
    server, check = api.nobody.app, Tokens.caller
    assert isinstance(server, Server)
    checked: list[str] = []

    async def noted(tokens: Tokens, text: str) -> Caller:
        checked.append(text)
        return await check(tokens, text)

    monkeypatch.setattr(Tokens, "caller", noted)
    listener = Listener(lambda _port: server, "127.0.0.1", 0)
    port = await listener.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Served(api, server, Wire(reader, writer, api.member.headers["x-auth-token"]), listener, checked)
    writer.close()
    await listener.close()


def refused(reply: Reply) -> bool:
    return reply.status == 503 and int(reply.headers["retry-after"]) >= 1 and "serviceUnavailable" in reply.json


async def test_a_refusal_costs_no_look_at_the_token_and_the_connection_goes_on(served: Served) -> None:
    for number in range(3):
        reply = await served.wire.ask(served.wire.post())
        assert refused(reply) and "connection" not in reply.headers
        assert (served.server.gate.refused, served.checked) == (number + 1, [])
    assert (await served.wire.ask(served.wire.head("GET", SERVERS))).status == 200
    assert len(served.checked) == 1 and served.server.gate.refused == 3


async def test_what_is_cheap_or_frees_something_is_answered_meanwhile(served: Served) -> None:
    wire = served.wire
    assert refused(await wire.ask(wire.post()))
    assert (await wire.ask(wire.head("GET", f"{SERVERS}/detail"))).status == 200
    assert (await wire.ask(wire.head("DELETE", f"{SERVERS}/none"))).status == 404
    assert (await wire.ask(wire.post("/identity/v3/auth/tokens", b"{}"))).status == 400
    assert (await wire.ask(wire.post("/network/v2.0/networks", b'{"network": {}}'))).status == 201
    assert served.server.gate.refused == 1


async def test_a_body_in_pieces_is_answered_once_when_it_is_whole(served: Served) -> None:
    wire, whole = served.wire, served.wire.post()
    assert refused(await wire.ask(whole[:20], whole[20:-10], whole[-10:-3], whole[-3:]))
    assert refused(await wire.ask(whole))
    assert served.server.gate.refused == 2


async def test_requests_one_behind_the_other_are_answered_in_their_order(served: Served) -> None:
    wire = served.wire
    get, post = wire.head("GET", SERVERS), wire.post()
    await wire.send(post + get + post + post + get)
    assert [(await wire.reply()).status for _ in range(5)] == [503, 200, 503, 503, 200]


@pytest.mark.parametrize(
    ("more", "body", "status"),
    [
        (("Transfer-Encoding: chunked",), b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 503),
        (("Connection: close", f"Content-Length: {len(BODY)}"), BODY, 503),
        (("Content-Length: 0",), b"", 503),
        (("Content-Length: 2000000",), b"", 413),
    ],
)
async def test_unusual_requests_are_refused_the_usual_way(
    served: Served, more: tuple[str, ...], body: bytes, status: int
) -> None:
    reply = await served.wire.ask(served.wire.head("POST", SERVERS, *more) + body)
    assert reply.status == status
    if "Connection: close" in more:
        assert await served.wire.ended()


async def test_who_waits_to_be_told_to_send_the_body_is_refused_without_it(served: Served) -> None:
    head = served.wire.head("POST", SERVERS, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    first = await served.wire.ask(head)
    assert first.status in (100, 503)
    if first.status == 100:
        assert refused(await served.wire.ask(BODY))
    assert served.server.gate.refused == 0


async def test_a_body_that_doesnt_come_is_waited_for_so_long(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_DEADLINE_S", 0.05)
    wire = served.wire
    assert refused(await wire.ask(wire.post()[:-1]))
    assert await wire.ended()


async def test_a_client_that_goes_away_amid_its_body_leaves_nothing(served: Served) -> None:
    wire = served.wire
    await wire.send(wire.post()[:-1])
    wire.writer.close()
    await wire.writer.wait_closed()
    reader, writer = await asyncio.open_connection(*wire.writer.get_extra_info("peername"))
    again = Wire(reader, writer, wire.token)
    assert refused(await again.ask(again.post()))
    writer.close()


async def test_a_kept_connection_is_closed_when_it_isnt_used(served: Served) -> None:
    """Also if the last thing that it was told was a refusal."""
    (here,) = served.connections()
    here.timeout_keep_alive = 0.05
    assert refused(await served.wire.ask(served.wire.post()))
    assert await served.wire.ended()


async def test_a_call_behind_a_refusal_isnt_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: the connection is in use."""
    (here,) = served.connections()
    here.timeout_keep_alive = 0.02
    check = Tokens.caller

    async def slow(tokens: Tokens, text: str) -> Caller:
        await asyncio.sleep(0.2)
        return await check(tokens, text)

    monkeypatch.setattr(Tokens, "caller", slow)
    await served.wire.send(served.wire.post() + served.wire.head("GET", SERVERS))
    assert [(await served.wire.reply()).status for _ in range(2)] == [503, 200]


async def test_after_the_moment_one_is_let_through_and_hears_how_much_room_there_is(served: Served) -> None:
    wire = served.wire
    assert refused(await wire.ask(wire.post()))
    served.api.clock.waited_s += backlog.PAUSE_S
    reply = await wire.ask(wire.post())
    assert reply.status == 400 and len(served.checked) == 1, "it is looked at as any other"
    assert refused(await wire.ask(wire.post()))
