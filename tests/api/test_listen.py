"""The API's HTTP server within somebody else's loop."""

import asyncio
import socket

import aiohttp
import pytest
import uvloop
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from freehold.api import listen
from freehold.api.call import Answer, Call, Door, Route
from freehold.api.faults import nova
from freehold.api.listen import Listener
from freehold.api.server import Server
from freehold.vocabulary.errors import Unavailable
from tests.api.conftest import Api


def app_that_says_its_port(port: int) -> ASGIApp:
    return PlainTextResponse(str(port))


async def test_a_free_port_is_found_and_told_to_the_app() -> None:
    listener = Listener(app_that_says_its_port, "127.0.0.1", 0)
    port = await listener.open()
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert await answer.text() == str(port)
    finally:
        await listener.close()


def test_connections_are_taken_as_fast_as_they_are_opened() -> None:
    """However slowly a loop turns: one at a turn would take as many turns as there are clients."""

    async def taken_in_turns(count: int) -> int:
        listener = Listener(app_that_says_its_port, "127.0.0.1", 0)
        port, turns = await listener.open(), 0
        opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        while len(listener._server.server_state.connections) < count:
            await asyncio.sleep(0)
            turns += 1
        for one in opened:
            one.close()
        await listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        return turns

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(taken_in_turns(100)) < 50


async def test_a_port_in_use_is_a_sentence() -> None:
    first = Listener(app_that_says_its_port, "127.0.0.1", 0)
    port = await first.open()
    try:
        with pytest.raises(Unavailable, match="in use"):
            await Listener(app_that_says_its_port, "127.0.0.1", port).open()
    finally:
        await first.close()


async def test_a_call_that_the_end_of_the_process_breaks_off_is_told_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server waits for calls for a while, and then ends them."""
    monkeypatch.setattr(listen, "CLOSE_S", 0)
    begun = asyncio.Event()

    async def never(_call: Call) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    door = Door("compute", {("GET", "/"): Route(never, "discover")}, nova)
    listener = Listener(lambda _port: Server(api.cloud, (door,)), "127.0.0.1", 0)
    port = await listener.open()
    async with aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.get(f"http://127.0.0.1:{port}/compute"))
        await begun.wait()
        await listener.close()
        async with await asking as answer:
            told = await answer.json()
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert "being stopped" in told["serviceUnavailable"]["message"]
