"""The process is killed at any moment of any build, and started again: nothing is lost, doubled or orphaned."""

import asyncio
import json
import os
import random
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission, Stage
from tests.scenarios.cloud import Cloud, Reply, simulated, until

BUILDS = 20
BOOT_S = 0.2
KILLED_WITHIN_S = 0.6
"""Of the POST: a build takes about half of that."""


@pytest.mark.timeout(400)
async def test_twenty_builds_survive_twenty_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("FREEHOLD_TEST_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"FREEHOLD_TEST_SEED={seed}")
    chance = random.Random(seed)
    async with simulated(tmp_path, simulated_boot_s=BOOT_S) as cloud:
        image, network = await cloud.new_image(), await cloud.network()
        guests = [await build_under_fire(cloud, number, image, network, chance) for number in range(BUILDS)]
        assert len(set(guests)) == BUILDS
        await all_active(cloud, guests)
        addresses = [address_of(server) for server in await cloud.servers()]
        assert len(set(addresses)) == BUILDS
        await quota_is_used(cloud, BUILDS)
        assert await cloud.stop() == 0
        owners_agree(cloud, guests, addresses)
        no_orphans(cloud, guests)


async def build_under_fire(cloud: Cloud, number: int, image: str, network: str, chance: random.Random) -> str:
    """One guest: asked for, the process killed at some moment after that, asked for again. Every answer names it."""
    posted = asyncio.create_task(post(cloud, number, image, network))
    await asyncio.sleep(chance.uniform(0.0, KILLED_WITHIN_S))
    await cloud.kill()
    if number % 5 == 4:  # and once more, while it starts
        await cloud.launch()
        await asyncio.sleep(chance.uniform(0.0, 2.0))
        await cloud.kill()
    first = await posted
    await cloud.start()
    again = await post(cloud, number, image, network)
    assert again is not None
    if first is not None:
        assert first.json["server"]["id"] == again.json["server"]["id"]
    return str(again.json["server"]["id"])


async def post(cloud: Cloud, number: int, image: str, network: str) -> Reply | None:
    """The answer to a create; None if the process died before it answered."""
    try:
        reply = await cloud.create(f"guest-{number}", image, network, key=f"key-{number}")
    except aiohttp.ClientError:
        return None
    assert reply.status == 202, reply.body
    return reply


async def all_active(cloud: Cloud, guests: list[str]) -> None:
    shown: list[tuple[str, str]] = []

    async def so() -> bool:
        shown[:] = [(server["id"], server["status"]) for server in await cloud.servers()]
        return all(status == "ACTIVE" for _, status in shown)

    await until(so, 60, lambda: f"{shown}\n{cloud.last_lines()}")
    assert sorted(guest for guest, _ in shown) == sorted(guests)


def address_of(server: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    ((address,),) = server["addresses"].values()
    return address["addr"]


async def quota_is_used(cloud: Cloud, instances: int) -> None:
    limits = (await cloud.get("/compute/v2.1/limits"))["limits"]["absolute"]
    assert limits["totalInstancesUsed"] == instances
    assert limits["totalRAMUsed"] == instances * 128


def owners_agree(cloud: Cloud, guests: list[str], addresses: list[str]) -> None:
    """Each guest runs on one host, with one port, whose address is the one that was shown; the ledger says the same."""
    held = cloud.host_rows(Guest)
    assert Counter(guest.id for _, guest in held) == Counter(guests)
    assert {guest.state for _, guest in held} == {GuestState.RUNNING}
    ports = {port.id: port for port in cloud.rows("network", Port)}
    assert len(ports) == len(guests)
    for _, guest in held:
        (wiring,) = guest.ports
        port = ports[wiring.port]
        assert port.device == guest.id
        assert port.mac == wiring.mac
        assert tuple(fixed.address for fixed in port.addresses) == wiring.addresses
    assert sorted(fixed.address for port in ports.values() for fixed in port.addresses) == sorted(addresses)
    assert len({port.mac for port in ports.values()}) == len(ports)
    admissions = {admission.guest: admission for admission in cloud.rows("registrar", Admission)}
    assert admissions.keys() == set(guests)
    for _, guest in held:
        deed = admissions[guest.id].deed
        assert deed is not None
        assert (deed.number, admissions[guest.id].stage) == (guest.deed, Stage.ACTIVE)


def no_orphans(cloud: Cloud, guests: list[str]) -> None:
    """What hypervisors and fabrics have is what the hosts' own rows say, host by host, and each guest booted once."""
    for number in ("0", "1"):
        mine = [guest for host, guest in cloud.host_rows(Guest) if host == number]
        world = cloud.state / "simulated" / number
        files = {path.stem: json.loads(path.read_text()) for path in (world / "guests").glob("*.json")}
        assert files.keys() == {guest.id for guest in mine}
        assert all(file["boots"] == 1 for file in files.values())
        plugged = {path.stem for path in (world / "fabric" / "ports").glob("*.json")}
        assert plugged == {wiring.port for guest in mine for wiring in guest.ports}
