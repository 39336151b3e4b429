"""Every role in a process of its own, over a real nats-server, and each of them killed: nothing is lost or doubled."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission
from tests.nats_server import NatsServer, nats_server
from tests.scenarios.cloud import ROOT, Cloud, Reply, until

BUILDS = 16


class Processes:
    """One process for each role, but two for the API, and the server that they talk over."""

    def __init__(self, folder: Path, server: NatsServer, code: Path = ROOT) -> None:
        self.server = server
        given = {"bus": server.url, "log_level": "warning", "hypervisor": "simulated", "simulated_boot_s": 0.2}

        def part(name: str, role: str, **more: object) -> Cloud:
            one = Cloud(folder / name, role, **given, **more)
            one.code = code
            return one

        self.apis = [part("api-0", "api"), part("api-1", "api")]
        self.host = part("host", "host", hosts=3)
        self.registrar = part("registrar", "registrar", public_url=self.apis[0].url)
        self.network = part("network", "network")
        others = [part("image", "image"), part("scheduler", "scheduler")]
        self.all = [self.registrar, self.network, *others, self.host, *self.apis]

    async def start(self) -> None:
        await asyncio.gather(*(one.start() for one in self.all))
        token = await self.apis[0].sign_in("admin", self.registrar.password(), "admin")
        for api in self.apis:
            api.token = token

    async def end(self) -> None:
        for one in self.all:
            if one.process is not None:
                await one.kill()


@asynccontextmanager
async def processes(folder: Path, code: Path = ROOT) -> AsyncIterator[Processes]:
    """All of them, as the version whose code lies in `code`."""
    async with nats_server() as server:
        running = Processes(folder, server, code)
        try:
            await running.start()
            yield running
        finally:
            await running.end()


@pytest.mark.timeout(400)
async def test_each_process_and_the_server_are_killed_under_builds_and_deletes(tmp_path: Path) -> None:
    async with processes(tmp_path) as cloud:
        first, second = cloud.apis
        image, network = await first.new_image(), await a_network(first)
        keys = [f"key-{number}" for number in range(BUILDS)]
        asking = [asyncio.create_task(sure(cloud, key, image, network)) for key in keys[: BUILDS // 2]]
        for one in cloud.all:
            await one.kill()
            await one.start()
        asking += [asyncio.create_task(sure(cloud, key, image, network)) for key in keys[BUILDS // 2 :]]
        await cloud.server.kill()
        await cloud.server.start()
        guests = [await one for one in asking]
        assert len(set(guests)) == BUILDS
        await until(lambda: all_show(cloud, Counter({"ACTIVE": BUILDS})), 90, second.last_lines)
        for guest in guests[:4]:
            assert (await second.call("DELETE", f"/compute/v2.1/servers/{guest}")).status == 204
        await cloud.host.kill()
        await cloud.host.start()
        await until(lambda: all_show(cloud, Counter({"ACTIVE": BUILDS - 4})), 90, second.last_lines)
        for one in cloud.all:
            assert await one.stop() == 0
        owners_agree(cloud, guests[4:])


async def a_network(api: Cloud) -> str:
    made = await api.well("POST", "/network/v2.0/networks", {"network": {"name": "default", "shared": True}})
    network = str(made["network"]["id"])
    subnet = {"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}
    await api.well("POST", "/network/v2.0/subnets", {"subnet": subnet})
    return network


async def sure(cloud: Processes, key: str, image: str, network: str) -> str:
    """A guest, asked for at both APIs by turns until one answers."""
    for api in cloud.apis * 60:
        try:
            reply: Reply = await api.create(key, image, network, key=key)
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(0.2)
            continue
        if reply.status == 202:
            return str(reply.json["server"]["id"])
        assert reply.status == 503, reply.body
        await asyncio.sleep(0.2)
    raise AssertionError(f"nobody has answered for {key}")


async def all_show(cloud: Processes, wanted: Counter[str]) -> bool:
    try:
        shown = [Counter(server["status"] for server in await api.servers()) for api in cloud.apis]
    except (AssertionError, aiohttp.ClientError):  # an answer that isn't a success, as long as not all is up again
        return False
    return all(one == wanted for one in shown)


def owners_agree(cloud: Processes, guests: list[str]) -> None:
    held = cloud.host.host_rows(Guest)
    assert Counter(guest.id for _, guest in held) == Counter(guests)
    assert {guest.state for _, guest in held} == {GuestState.RUNNING}
    assert {admission.guest for admission in cloud.registrar.rows("registrar", Admission)} == set(guests)
    ports = cloud.network.rows("network", Port)
    assert Counter(port.device for port in ports) == Counter(guests)
    assert len({fixed.address for port in ports for fixed in port.addresses}) == len(guests)
