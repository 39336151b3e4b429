"""The bus over a real nats-server that is killed, paused, left behind and found again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from freehold.bus import nats
from freehold.bus.interface import BODY_BYTES_MAX
from freehold.bus.nats import IN_FLIGHT_S, NatsBus, NatsPlace
from freehold.bus.passports import Identity
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.errors import Broken, NoAnswer
from tests.nats_server import NatsServer, free_port, nats_server
from tests.owners import until


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with nats_server() as running:
        yield running


@asynccontextmanager
async def bus_at(*urls: str) -> AsyncIterator[NatsBus]:
    bus = NatsBus(NatsPlace(urls), SystemClock(), SystemChance())
    bus.open()
    yield bus
    await bus.close()


async def echo(_subject: str, body: bytes) -> bytes:
    return body


async def test_who_wants_to_know_is_told_of_each_connection_and_since_when_there_was_none(server: NatsServer) -> None:
    told: list[tuple[str, float]] = []
    async with bus_at(server.url) as bus:
        bus.on_connect(lambda lost_s: told.append(("first", lost_s)))
        closed = bus.on_connect(lambda lost_s: told.append(("second", lost_s)))
        await until(lambda: told == [("first", 0.0), ("second", 0.0)])
        await closed.close()
        before_s = time.monotonic()
        await server.kill()
        await until(lambda: not bus.is_connected)
        await server.start()
        await until(lambda: len(told) == 3)
        who, lost_s = told[2]
        assert who == "first"
        assert 0 < lost_s <= time.monotonic() - before_s + IN_FLIGHT_S


async def test_what_others_say_is_heard_as_soon_as_a_subscription_is_made(server: NatsServer) -> None:
    heard: list[bytes] = []

    async def listener(_subject: str, body: bytes) -> None:
        heard.append(body)

    async with bus_at(server.url) as bus, bus_at(server.url) as other:
        await bus.connected()
        await other.connected()
        for number in range(1000):
            await bus.subscribe(f"a.{number}", listener)
            await other.publish(f"a.{number}", b"%d" % number)
        await other.publish("a.0", b"last")
        await until(lambda: b"last" in heard)
    assert heard[:-1] == [b"%d" % number for number in range(1000)]


async def test_what_is_subscribed_is_heard_again_after_the_server_was_killed(server: NatsServer) -> None:
    heard: list[bytes] = []

    async def listener(_subject: str, body: bytes) -> None:
        heard.append(body)

    async with bus_at(server.url) as bus, bus_at(server.url) as other:
        await bus.subscribe("a.*", listener)  # before there is a connection, perhaps
        await bus.answer("q", echo, group="g")
        await bus.connected()
        await other.connected()
        assert await other.ask("q", b"1", 5) == b"1"
        await server.kill()
        await until(lambda: not (bus.is_connected or other.is_connected))
        await server.start()
        await until(lambda: bus.is_connected and other.is_connected)
        await other.publish("a.b", b"again")
        assert await other.ask("q", b"2", 5) == b"2"
        await until(lambda: bool(heard))
        assert heard == [b"again"]
        assert bus.connections == 2


async def test_a_question_in_progress_ends_with_its_connection(server: NatsServer) -> None:
    asked = asyncio.Event()

    async def never(_subject: str, _body: bytes) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b""

    async with bus_at(server.url) as bus, bus_at(server.url) as other:
        await bus.answer("q", never, group="g")
        await bus.connected()
        asking = asyncio.create_task(other.ask("q", b"", 3600))
        await asyncio.wait_for(asked.wait(), 10)
        await server.kill()
        with pytest.raises(NoAnswer, match="ended before"):
            await asyncio.wait_for(asking, 10)


async def test_what_is_published_without_a_connection_is_lost_and_nobody_waits(server: NatsServer) -> None:
    async with bus_at(server.url) as bus:
        await bus.connected()
        await server.kill()
        await until(lambda: not bus.is_connected)
        for _ in range(1000):
            await bus.publish("a", bytes(100_000))
        assert bus.unsent == 1000


async def test_a_question_waits_for_the_connection_until_its_deadline(server: NatsServer) -> None:
    async with bus_at(server.url) as bus, bus_at(server.url) as other:
        await other.answer("q", echo, group="g")
        await bus.connected()
        await server.kill()
        await until(lambda: not (bus.is_connected or other.is_connected))
        with pytest.raises(NoAnswer, match="within"):
            await bus.ask("q", b"", 0.05)
        await server.start()
        await other.connected()
        assert await bus.ask("q", b"1", 20) == b"1"


async def test_a_server_that_hangs_is_left_for_another(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats, "PING_S", 0.1)
    async with nats_server() as second:
        async with bus_at(server.url, second.url) as bus:
            await bus.connected()
            hanging = server if bus.server.endswith(str(server.port)) else second
            hanging.pause()
            await until(lambda: bus.connections == 2 and bus.is_connected, 30)
            assert not bus.server.endswith(str(hanging.port))
        hanging.go_on()


async def test_a_bus_that_was_never_connected_can_be_closed() -> None:
    async with bus_at(f"nats://127.0.0.1:{free_port()}") as bus:
        await bus.subscribe("a", lambda subject, body: asyncio.sleep(0))
        asking = asyncio.create_task(bus.ask("q", b"", 3600))
        await asyncio.sleep(0)
    with pytest.raises(NoAnswer, match="closed"):
        await asyncio.wait_for(asking, 5)


async def test_a_connection_that_ends_while_something_is_to_be_sent_is_left_all_the_same(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library breaks off its own farewell then, and tells nobody that the connection has ended."""
    monkeypatch.setattr(nats, "LOOK_S", 0.05)

    def refuses(_data: object) -> None:
        raise ConnectionResetError("the other end is gone")

    async with bus_at(server.url) as bus:
        await bus.connected()
        assert bus._connection is not None
        client: Any = bus._connection.client
        monkeypatch.setattr(client._transport, "writelines", refuses)
        client._pending, client._pending_data_size = [b"PUB a 1\r\nx\r\n"], 12
        await server.kill()
        await until(lambda: not bus.is_connected)
        await server.start()
        await bus.answer("q", echo, group="g")
        assert await bus.ask("q", b"1", 10) == b"1"
        assert bus.connections == 2


async def test_pauses_between_tries_grow_to_a_bound_and_are_drawn() -> None:
    longest: list[float] = []

    class Drawn(SystemChance):
        def uniform(self, low: float, high: float) -> float:
            longest.append(high)
            return 0.0

    bus = NatsBus(NatsPlace((f"nats://127.0.0.1:{free_port()}",)), SystemClock(), Drawn())
    bus.open()
    await until(lambda: len(longest) >= 8)
    await bus.close()
    assert longest[:8] == sorted(longest[:8]) and longest[0] < 1.0
    assert max(longest) == nats.PAUSE_S_MAX


async def test_an_answer_that_is_too_large_is_told_as_broken(server: NatsServer) -> None:
    async def large(_subject: str, _body: bytes) -> bytes:
        return bytes(BODY_BYTES_MAX + 1)

    async with bus_at(server.url) as bus:
        await bus.answer("q", large, group="g")
        await bus.connected()
        with pytest.raises(Broken):
            await bus.ask("q", b"", 10)
        assert bus.is_connected, "the server was sent nothing that it refuses"


async def test_a_question_can_be_broken_off(server: NatsServer) -> None:
    async def never(_subject: str, _body: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with bus_at(server.url) as bus:
        await bus.answer("q", never, group="g")
        await bus.connected()
        asking = asyncio.create_task(bus.ask("q", b"", 3600))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_server_gets_no_signature_over_what_it_likes() -> None:
    """It chooses what is to be signed; a message of this machine, say, that it would like to send."""
    said: list[bytes] = []
    message = "\0\0\0\0\0\0\0\x12freehold message 1"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "version": "2.9.10", "proto": 1, "headers": True, "max_payload": 1048576}
        info |= {"auth_required": True, "nonce": nonces[0]}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        said.append(await reader.read(4096))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    identity = Identity(b"", SigningKey(bytes(32)), "ticket")
    for nonce, answered in (("aB0_-aB0_-aB0_-", True), (message, False), ("a.b.c.d.e.f", False), ("a" * 65, False)):
        nonces, before = [nonce], len(said)
        place = NatsPlace((f"nats://127.0.0.1:{listening.sockets[0].getsockname()[1]}",), identity=identity)
        bus = NatsBus(place, SystemClock(), SystemChance())
        bus.open()
        await until(lambda before=before: len(said) > before)
        await bus.close()
        assert (b'"sig"' in said[-1]) is answered
    listening.close()
