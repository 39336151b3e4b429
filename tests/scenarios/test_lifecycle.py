"""What people do to guests, against a whole cloud of simulated hosts in a process of its own."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.vocabulary.guest import Guest
from freehold.vocabulary.network import Port
from tests.scenarios.cloud import END_S, Cloud, simulated, until

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

BOOT_S = 1.0
"""Long enough to do something to a guest while it is built."""
HOST_RAM_MIB = 1024
NO_SUCH_GUEST = "00000000-0000-4000-8000-000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Cloud, str, str]]:
    """One cloud of two small hosts for the whole file, with an image and a network."""
    folder = tmp_path_factory.mktemp("lifecycle")
    async with simulated(folder, simulated_boot_s=BOOT_S, simulated_ram_mib=HOST_RAM_MIB) as cloud:
        yield cloud, await cloud.new_image(), await cloud.network()


def ports_of(cloud: Cloud, guest: str) -> list[Port]:
    return [port for port in cloud.rows("network", Port) if port.device == guest or _made_for(port) == guest]


def _made_for(port: Port) -> str:
    return port.made_for.guest if port.made_for else ""


async def removed(cloud: Cloud, guest: str) -> None:
    """Deletes a guest, and waits until no owner has anything of it."""
    await cloud.well("DELETE", f"/compute/v2.1/servers/{guest}")
    await cloud.goes(guest)
    await nothing_is_left(cloud, guest)


async def nothing_is_left(cloud: Cloud, guest: str) -> None:
    async def nothing() -> bool:
        held = any(row.id == guest for _, row in cloud.host_rows(Guest))
        files = list((cloud.state / "simulated").glob(f"*/guests/{guest}*"))
        return not held and not files and not ports_of(cloud, guest)

    await until(nothing, 15, lambda: f"left of {guest}: {ports_of(cloud, guest)}\n{cloud.last_lines()}")


async def test_no_room_anywhere_ends_in_an_error_that_says_so(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("giant", image, network, flavor="3")  # 2048 MiB
    shown = await cloud.becomes(guest, "ERROR")
    assert "host" in shown["fault"]["message"].lower(), shown["fault"]
    assert shown["fault"]["code"] == 500
    assert shown["addresses"] == {}
    await nothing_is_left(cloud, guest)
    await removed(cloud, guest)


async def test_a_guest_can_be_deleted_while_it_is_built(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("brief", image, network)
    assert (await cloud.server(guest))["status"] == "BUILD"
    await removed(cloud, guest)


async def test_power(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("powerful", image, network)
    await cloud.becomes(guest, "ACTIVE")
    for kind in ("SOFT", "HARD"):
        reply = await cloud.act(guest, "reboot", {"type": kind})
        assert reply.status == 202, reply.body
        assert (await cloud.server(guest))["status"] in ("REBOOT", "HARD_REBOOT", "ACTIVE")
        await cloud.becomes(guest, "ACTIVE")
    assert (await cloud.act(guest, "os-start")).status == 409
    assert (await cloud.act(guest, "os-stop")).status == 202
    await cloud.becomes(guest, "SHUTOFF")
    assert (await cloud.act(guest, "reboot", {"type": "SOFT"})).status == 409
    assert (await cloud.act(guest, "os-start")).status == 202
    await cloud.becomes(guest, "ACTIVE")
    reply = await cloud.act(guest, "os-getConsoleOutput", {"length": 10})
    assert "powerful ready" in reply.json["output"]
    await removed(cloud, guest)


async def test_a_deleted_guest_stays_deleted(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("gone", image, network)
    await cloud.becomes(guest, "ACTIVE")
    await removed(cloud, guest)
    assert guest not in {server["id"] for server in await cloud.servers()}
    await cloud.kill()
    await cloud.start()
    assert guest not in {server["id"] for server in await cloud.servers()}
    assert (await cloud.call("DELETE", f"/compute/v2.1/servers/{guest}")).status == 404


async def test_an_idempotency_key_is_one_guest(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("once", image, network, key="a-key")
    assert await cloud.created("once", image, network, key="a-key") == guest
    other = await cloud.create("other", image, network, key="a-key")
    assert other.status == 409, other.body
    assert [server["name"] for server in await cloud.servers()].count("once") == 1
    await removed(cloud, guest)


async def test_a_guest_is_nobody_elses(shared: tuple[Cloud, str, str]) -> None:
    cloud, image, network = shared
    guest = await cloud.created("mine", image, network)
    await cloud.becomes(guest, "ACTIVE")
    someone = await cloud.newcomer("otto")
    path = f"/compute/v2.1/servers/{guest}"
    unknown = await cloud.call("GET", f"/compute/v2.1/servers/{NO_SUCH_GUEST}", token=someone)
    known = await cloud.call("GET", path, token=someone)
    assert (unknown.status, known.status) == (404, 404)
    assert known.body.replace(guest.encode(), NO_SUCH_GUEST.encode()) == unknown.body
    for method, more, body in (("DELETE", "", None), ("POST", "/action", {"os-stop": None})):
        assert (await cloud.call(method, path + more, body, token=someone)).status == 404
    assert await cloud.servers(token=someone) == []
    (port,) = ports_of(cloud, guest)
    assert (await cloud.call("GET", f"/network/v2.0/ports/{port.id}", token=someone)).status == 404
    assert (await cloud.server(guest))["status"] == "ACTIVE"
    await removed(cloud, guest)


async def test_members_are_no_admins(shared: tuple[Cloud, str, str]) -> None:
    cloud, _, _ = shared
    someone = await cloud.newcomer("maria")
    flavor = {"flavor": {"name": "huge", "vcpus": 1, "ram": 1, "disk": 1}}
    for method, path, body in (
        ("POST", "/identity/v3/projects", {"project": {"name": "mine"}}),
        ("POST", "/compute/v2.1/flavors", flavor),
        ("GET", "/freehold/v1/owners", None),
        ("GET", "/compute/v2.1/servers/detail?all_tenants=1", None),
    ):
        assert (await cloud.call(method, path, body, token=someone)).status == 403, path
    assert (await cloud.call("GET", "/compute/v2.1/servers", token="nonsense")).status == 401


async def test_the_operators_commands(tmp_path: Path) -> None:
    async with simulated(tmp_path) as cloud:
        guest = await cloud.created("told", await cloud.new_image(), await cloud.network())
        await cloud.becomes(guest, "ACTIVE")
        code, said = await cloud.command("status")
        assert code == 0, said
        for part in ("registrar", "image", "network", "sim-0", "sim-1", "s ago", "128 of"):
            assert part in said, said
        code, told = await cloud.command("story", guest)
        assert code == 0, told
        stages = [
            "stage=admitted",
            "stage=scheduled",
            "state=fetching_image",
            "state=launching",
            "state=running",
            "stage=active",
        ]
        places = [told.find(stage) for stage in stages]
        assert -1 not in places, told
        assert places == sorted(places), told
        assert "urn:freehold:request:" in told
        code, said = await cloud.command("story", NO_SUCH_GUEST)
        assert code == 1
        assert "Traceback" not in said

        began = time.monotonic()
        assert await cloud.stop() == 0
        assert time.monotonic() - began < END_S
        assert "Traceback" not in cloud.last_lines()
        code, said = await cloud.command("status")
        assert code == 1
        assert "is `freehold up` running?" in said


async def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    async with simulated(tmp_path) as cloud:
        first = cloud.process
        second = await cloud.launch()
        cloud.process = first
        assert await second.wait() == 1
        assert "open in another process" in cloud.last_lines()
        assert (await cloud.call("GET", "/compute/v2.1/servers")).status == 200
