"""How a process comes onto its bus, and what it says if it can't."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from freehold.bus.local import LocalBus
from freehold.bus.signed import SignedBus
from freehold.config import read
from freehold.drivers.busserver.simulated import SimulatedBusServer
from freehold.joining import Joining
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import offload_inline
from freehold.store.identity import KeptIdentity, keep_identity, read_identity
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Means
from tests.broker import Authority, Someone
from tests.nats_server import free_port
from tests.owners import HandClock, means_of, until


class Process:
    """One process that joins, with a server that does nothing."""

    def __init__(self, stack: AsyncExitStack, state: Path, **given: Any) -> None:
        self.settings = read(None, state=state, hypervisor="simulated", **given)
        self.server, self.said = SimulatedBusServer(), list[str]()
        self.clock, self.chance = HybridClock(HandClock()), means_of().chance
        self.joining = Joining(self.settings, self.clock, self.chance, offload_inline, stack)

    async def join(self) -> Any:
        return await self.joining.bus(self.server, self.said.append)


def known(state: Path, someone: Someone, authority: Authority, **more: Any) -> None:
    key = Secret(someone.secret.hex())
    passport, ticket = someone.identity.passport, someone.identity.ticket
    fields = {"passport": passport, "ticket": ticket, "authority": authority.key.public} | more
    keep_identity(state, KeptIdentity(key=key, **fields))


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of a bus that isn't there, for which nobody waits."""
    monkeypatch.setattr("freehold.bus.connect.WAIT_S", 0.01)
    return {"bus": f"nats://127.0.0.1:{free_port()}"}


async def test_a_cloud_in_one_process_has_a_bus_of_its_own(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        process = Process(stack, tmp_path)
        assert isinstance(await process.join(), LocalBus)
        assert process.server.starts == 0
        with pytest.raises(BadRequest, match="needs no broker"):
            process.joining.broker(Means(LocalBus(), process.clock, process.chance, offload_inline))


async def test_the_control_machine_lets_itself_in_and_has_its_server_at_once(
    tmp_path: Path, away: dict[str, Any]
) -> None:
    async with AsyncExitStack() as stack:
        process = Process(stack, tmp_path, roles=("broker", "directory"), **away)
        bus = await process.join()
        assert isinstance(bus, SignedBus) and process.joining.directory is not None
        kept = read_identity(tmp_path)
        assert kept is not None and kept.roll is not None and process.server.starts == 1
        assert kept.roll.charter in process.server.files["server.conf"]
        assert any("not encrypted" in line for line in process.said)
    assert not process.server.runs


async def test_a_broker_that_nobody_has_invited_says_what_to_do(tmp_path: Path, away: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(BadRequest, match="--role broker --cluster c1"):
            await Process(stack, tmp_path, roles=("broker",), cluster="c1", **away).join()
        authority = Authority()
        known(tmp_path, authority.machine("h", "host"), authority)
        with pytest.raises(BadRequest, match="--role broker"):
            await Process(stack, tmp_path, roles=("broker",), **away).join()


async def test_a_broker_is_its_own_clusters(tmp_path: Path, away: dict[str, Any]) -> None:
    authority = Authority()
    keys = authority.keys()
    known(tmp_path, authority.machine("b", "broker", cluster="c1"), authority, roll=keys.roll, route=keys.route)
    async with AsyncExitStack() as stack:
        with pytest.raises(BadRequest, match="cluster c1"):
            await Process(stack, tmp_path, roles=("broker",), cluster="c2", **away).join()
        hub = {"broker_hub": "nats://127.0.0.1:1"}
        process = Process(stack, tmp_path, roles=("broker",), cluster="c1", **hub, **away)
        await process.join()
        assert "remotes" in process.server.files["server.conf"] and "credentials" in process.server.files


async def test_a_passport_of_another_authority_isnt_shown(tmp_path: Path, away: dict[str, Any]) -> None:
    authority = Authority()
    known(tmp_path, authority.machine("h", "host"), Authority())
    async with AsyncExitStack() as stack:
        with pytest.raises(Broken, match="enroll it again"):
            await Process(stack, tmp_path, roles=("host",), **away).join()


async def test_a_renewed_passport_is_shown_by_the_broker_too(tmp_path: Path, away: dict[str, Any]) -> None:
    authority = Authority()
    keys = authority.keys()
    first, second = (authority.machine("b", "broker", cluster="c1") for _ in range(2))
    known(tmp_path, first, authority, roll=keys.roll, route=keys.route)
    async with AsyncExitStack() as stack:
        hub = {"broker_hub": "nats://127.0.0.1:1"}
        process = Process(stack, tmp_path, roles=("broker",), cluster="c1", **hub, **away)
        bus = await process.join()
        worker = process.joining.broker(Means(bus, process.clock, process.chance, offload_inline))
        await worker.open()
        stack.push_async_callback(worker.close)
        known(tmp_path, second, authority, roll=keys.roll, route=keys.route)
        assert process.joining.membership is not None
        process.joining.membership._renewed(second.identity)
        await until(lambda: process.server.changes == 1)
        assert second.identity.ticket in process.server.files["credentials"]
