"""What every server of the bus promises (see freehold/drivers/busserver/interface.py)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.busserver.interface import CONFIGURATION, BusServer
from freehold.drivers.busserver.nats_server import NatsServer
from freehold.drivers.busserver.simulated import SimulatedBusServer
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.secret import Secret
from tests.nats_server import free_port


@pytest.fixture(params=["simulated", "nats_server"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusServer]:
    made: BusServer = SimulatedBusServer() if request.param == "simulated" else NatsServer(tmp_path / "broker")
    yield made
    await made.close()


def files(port: int, *more: str) -> dict[str, Secret]:
    return {CONFIGURATION: Secret("\n".join((f'listen: "127.0.0.1:{port}"', *more)))}


async def test_it_runs_until_it_is_ended(server: BusServer) -> None:
    await server.start(files(free_port()))
    ended = asyncio.create_task(server.ended())
    await asyncio.sleep(0)
    assert not ended.done()
    await server.close()
    ended.cancel()


async def test_it_goes_on_with_other_files(server: BusServer) -> None:
    port = free_port()
    await server.start(files(port))
    await server.change(files(port, "max_payload: 2048"))
    await server.change(files(port, "max_payload: 4096"))


async def test_files_that_it_doesnt_take_are_told_and_it_goes_on(server: BusServer) -> None:
    port = free_port()
    await server.start(files(port))
    with pytest.raises(Broken, match="nonsense"):
        await server.change(files(port, "nonsense: 1"))
    await server.change(files(port, "max_payload: 2048"))


async def test_one_that_doesnt_run_says_why(server: BusServer) -> None:
    with pytest.raises(Broken, match="nonsense"):
        await server.start(files(free_port(), "nonsense: 1"))
    await server.start(files(free_port()))
