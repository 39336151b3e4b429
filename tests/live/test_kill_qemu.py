"""kill -9 over real guests: they go on, are found again, and nothing is left of them when they are deleted."""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.scenarios.cloud import Cloud, cloud, until

GUEST_S = 120.0
CIDR = "10.90.7.0/24"
"""Another range than that of a demo that may be running on this machine."""
ROOT = Path(__file__).parents[2]

POWERS_ITSELF_OFF = "#!/bin/sh\nsleep 2\npoweroff -f\n"


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    """The demo image, built once."""
    told = subprocess.run([str(ROOT / "scripts" / "demo-image")], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return (Path.home() / ".cache" / "freehold" / "demo.qcow2").read_bytes()


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Cloud]:
    """A cloud of this machine's own host; whatever a failed test leaves is wiped."""
    state = tmp_path / "cloud"
    try:
        async with cloud(state, hypervisor="qemu", network_cidr=CIDR) as running:
            yield running
    finally:
        wiping = ["-m", "freehold", "admin", "wipe", "--yes", "--state", str(state)]
        await asyncio.to_thread(
            subprocess.run, [str(ROOT / ".venv" / "bin" / "python"), *wiping], cwd=ROOT, check=False
        )


def made_on_this_machine() -> set[str]:
    """Names of the interfaces, namespaces and rule tables that a Freehold makes."""
    told = ""
    for command in (["ip", "-br", "link"], ["ip", "netns"], ["nft", "list", "tables"]):
        told += subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {word.split("@")[0] for word in told.split()}
    return {name for name in names if name.startswith(("fh", "freehold_"))}


def runs(guest: str) -> bool:
    """Whether a process has the guest's id on its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"qemu-system" in (line := path.read_bytes()) and guest.encode() in line:
                return True
        except OSError:
            continue  # it ended while we looked
    return False


async def answers(address: str) -> None:
    """Waits for the guest's own greeting over HTTP."""

    async def greeted() -> bool:
        timeout = aiohttp.ClientTimeout(total=2)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"http://{address}/") as answer:
                return (await answer.text()).startswith("hello from ")
        except (aiohttp.ClientError, TimeoutError):
            return False

    await until(greeted, GUEST_S)


async def opened(running: Cloud) -> None:
    """Lets HTTP into the default group."""
    groups = (await running.get("/network/v2.0/security-groups?name=default"))["security_groups"]
    rule = {"security_group_id": groups[0]["id"], "direction": "ingress", "protocol": "tcp"}
    ports = {"port_range_min": 80, "port_range_max": 80}
    await running.well("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule | ports})


def address_of(server: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    """The one address of a server."""
    (rows,) = server["addresses"].values()
    (row,) = rows
    return row["addr"]


async def test_guests_outlive_the_cloud_and_leave_nothing(real: Cloud, image: bytes) -> None:
    before = await asyncio.to_thread(made_on_this_machine)
    picture, network = await real.new_image(image, "demo"), await real.network()
    await opened(real)
    first = await real.created("first", picture, network)
    address = address_of(await real.becomes(first, "ACTIVE", GUEST_S))
    await answers(address)

    await real.kill()
    await answers(address)
    await real.start()
    assert address_of(await real.becomes(first, "ACTIVE", GUEST_S)) == address
    await answers(address)

    user_data = base64.b64encode(POWERS_ITSELF_OFF.encode()).decode()
    second = await real.created("second", picture, network, user_data=user_data)
    await real.kill()
    await real.start()
    await real.becomes(second, "SHUTOFF", GUEST_S)
    servers = {server["id"]: server for server in await real.servers()}
    assert set(servers) == {first, second}
    assert address_of(servers[second]) != address_of(servers[first]) == address
    assert runs(first)

    for guest in (first, second):
        assert (await real.call("DELETE", f"/compute/v2.1/servers/{guest}")).status == 204
        await real.goes(guest, GUEST_S)
    assert await real.stop() == 0
    assert not runs(first)
    assert not runs(second)
    assert await asyncio.to_thread(made_on_this_machine) == before
