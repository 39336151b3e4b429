"""The metadata server, asked over loopback: here 127.0.0.1 stands for the guest's address."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from freehold.drivers.fabric.interface import Metadata, MetadataAnswer
from freehold.drivers.fabric.metadata import MetadataServer
from freehold.vocabulary.errors import Unavailable


class Desk:
    """A server, and what it answers by."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.ports = {"127.0.0.1": "port-1"}
        self.answer: Metadata | None = self._answer
        self.server = MetadataServer(lambda address: self.ports.get(address), lambda: self.answer)
        self.address = ("", 0)

    async def _answer(self, port: str, path: str) -> MetadataAnswer:
        self.asked.append((port, path))
        return MetadataAnswer(status=200, content_type="application/json", body=b"{}")

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer

    async def status(self, request: bytes) -> int:
        return int((await self.ask(request)).split()[1])


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    desk.address = listener.getsockname()
    await desk.server.open(listener)
    yield desk
    await desk.server.close()


async def test_a_question_is_answered_for_the_port_at_its_source_address(desk: Desk) -> None:
    answer = await desk.ask(b"GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.9\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: application/json" in head
    assert b"Content-Length: 2" in head
    assert body == b"{}"
    assert desk.asked == [("port-1", "/a/b")]


async def test_head_has_no_body_and_old_clients_are_understood(desk: Desk) -> None:
    assert (await desk.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")).endswith(b"\r\n\r\n")
    assert (await desk.ask(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"{}")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_is_no_question_is_refused(desk: Desk, request_bytes: bytes, status: int) -> None:
    assert await desk.status(request_bytes) == status
    assert desk.asked == []


async def test_an_address_of_no_port_is_told_nothing(desk: Desk) -> None:
    desk.ports.clear()
    assert await desk.status(b"GET / HTTP/1.1\r\n\r\n") == 404


async def test_before_somebody_serves_and_when_they_can_not_it_says_try_again(desk: Desk) -> None:
    async def broken(port: str, path: str) -> MetadataAnswer:
        raise Unavailable("the store is closed")

    desk.answer = None
    assert await desk.status(b"GET / HTTP/1.1\r\n\r\n") == 503
    desk.answer = broken
    assert await desk.status(b"GET / HTTP/1.1\r\n\r\n") == 503


async def test_a_guest_that_says_nothing_holds_only_a_few_connections(desk: Desk) -> None:
    idle = [await asyncio.open_connection(*desk.address) for _ in range(8)]
    reader, writer = await asyncio.open_connection(*desk.address)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 3) == b""
    for _, held in idle:
        held.close()
    for reader, _ in idle:
        await asyncio.wait_for(reader.read(), 3)
    assert await desk.status(b"GET / HTTP/1.1\r\n\r\n") == 200
    assert desk.asked == [("port-1", "/")]
    writer.close()
