"""A region of simulated machines in one process: they share a disk, and those of a cluster what they read of it."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.cli.client import Client
from freehold.config import read as read_settings
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from tests.test_assemble import client, running

SERVERS = "/compute/v2.1/servers"


async def an_image(asked: Client) -> str:
    """That guests can be made of."""
    made = await asked.post("/image/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"})
    await asked.put(f"/image/v2/images/{made['id']}/file", aiohttp.BytesPayload(bytes(4096)))
    return str(made["id"])


async def a_guest(asked: Client, image: str, cluster: str) -> dict[str, Any]:
    """One on a network of a cluster, when it runs."""
    body = {"name": cluster, "availability_zone_hints": [cluster]}
    network = (await asked.post("/network/v2.0/networks", {"network": body}))["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.1.0.0/24"}
    await asked.post("/network/v2.0/subnets", {"subnet": subnet})
    server = {"name": cluster, "imageRef": image, "flavorRef": "1", "networks": [{"uuid": network["id"]}]}
    made = (await asked.post(SERVERS, {"server": server}))["server"]
    async with asyncio.timeout(20):
        while True:
            found: dict[str, Any] = (await asked.get(f"{SERVERS}/{made['id']}"))["server"]
            if found["status"] == "ACTIVE":
                return found


async def status(asked: Client, guest: str) -> str:
    """What a guest's is, once its host has looked at its machine."""
    async with asyncio.timeout(20):
        while (found := (await asked.get(f"{SERVERS}/{guest}"))["server"]["status"]) == "ACTIVE":
            pass
    return str(found)


async def test_guests_run_on_hosts_of_their_cluster_and_all_stores_are_one_file(tmp_path: Path) -> None:
    given: dict[str, Any] = {"hosts": 9, "clusters": 3, "one_disk": True}
    async with running(tmp_path, **given) as cloud, client(cloud, password := cloud.new_password) as asked:
        hosts = {host["name"]: host for host in (await asked.get("/freehold/v1/hosts"))["hosts"]}
        clusters = {name: host["cluster"] for name, host in hosts.items()}
        assert clusters == {f"sim-{number}": f"default-{number % 3}" for number in range(9)}
        image = await an_image(asked)
        for cluster in ("default-0", "default-2"):
            guest = await a_guest(asked, image, cluster)
            assert clusters[guest["OS-EXT-SRV-ATTR:host"]] == cluster
    async with running(tmp_path, **given) as cloud, client(cloud, password) as asked:
        again = {host["name"]: host["id"] for host in (await asked.get("/freehold/v1/hosts"))["hosts"]}
        assert again == {name: host["id"] for name, host in hosts.items()}
        assert await status(asked, guest["id"]) == "ERROR", "its guests end with the process"
    assert sorted(path.name for path in tmp_path.glob("*host*")) == ["hosts.db", "hosts.db.lock"]


async def test_what_a_project_may_have_of_networks_holds_in_every_cluster(tmp_path: Path) -> None:
    async with running(tmp_path, hosts=2, clusters=2) as cloud, client(cloud, cloud.new_password) as asked:
        project = (await asked.get("/identity/v3/projects?name=admin"))["projects"][0]["id"]
        await asked.put_json(f"/network/v2.0/quotas/{project}", {"quota": {"network": 1}})

        async def make(cluster: str) -> None:
            await asked.post("/network/v2.0/networks", {"network": {"name": "n", "availability_zone_hints": [cluster]}})

        for cluster in ("default-0", "default-1"):
            await make(cluster)
            with pytest.raises(Conflict, match="quota"):
                await make(cluster)
        await asked.delete(f"/network/v2.0/quotas/{project}")
        for cluster in ("default-0", "default-1"):
            await make(cluster)
        with pytest.raises(NotFound, match="quota"):
            await asked.delete(f"/network/v2.0/quotas/{project}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hypervisor": "qemu", "clusters": 2}, "for simulated hosts"),
        ({"hypervisor": "qemu", "one_disk": True}, "for simulated hosts"),
        ({"clusters": 3, "hosts": 2}, "1 to the number of hosts, 2"),
        ({"one_disk": True, "backup": "folder:/b"}, "can't be backed up"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_settings(None, **{"state": tmp_path, "hypervisor": "simulated"} | given)
