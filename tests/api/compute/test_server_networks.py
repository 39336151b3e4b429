"""Where a server's networks lead it: clusters, zones and physical networks."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from freehold.runtime.tasks import ThreadOffload
from freehold.store.database import Store
from freehold.vocabulary.network import Carriage
from freehold.workers.base import Means
from freehold.workers.network.worker import NetworkWorker
from tests.api.asgi import Client, Reply
from tests.api.compute.conftest import V21, Compute, open_host

V2 = "/network/v2.0"


@pytest.fixture
async def two(compute: Compute, tmp_path: Path) -> AsyncIterator[Compute]:
    """A second cluster, west, with a host that is on the physical network public."""
    async with AsyncExitStack() as stack:
        offload, cloud = ThreadOffload(2), compute.api.cloud
        stack.callback(offload.close)
        means = Means(cloud.bus, cloud.clock, cloud.chance, offload)
        place = {"role": "network", "cluster": "west", "clock": means.clock, "chance": means.chance}
        store = await Store.open(tmp_path / "west.db", offload=offload, **place)  # type: ignore[arg-type]
        stack.push_async_callback(store.close)
        worker = NetworkWorker(means, store)
        await worker.open()
        stack.push_async_callback(worker.close)
        carriage = Carriage(physical=(("public", 1500),))
        await open_host(means, tmp_path / "west1", "west1", stack, "west", carriage)
        await open_host(means, tmp_path / "west2", "west2", stack, "west")
        await compute.until(lambda: _zones(compute), lambda zones: zones == {"default", "west"})
        yield compute


async def _zones(compute: Compute) -> set[str]:
    found = (await compute.member.get(f"{V21}/os-availability-zone")).json["availabilityZoneInfo"]
    return {zone["zoneName"] for zone in found}


async def made(client: Client, name: str, zone: str, **fields: Any) -> str:
    """A network with a range in a cluster."""
    body = {"name": name, "availability_zone_hints": [zone], **fields}
    reply = await client.post(f"{V2}/networks", {"network": body})
    assert reply.status == 201, reply.body
    network = str(reply.json["network"]["id"])
    subnet = {"network_id": network, "cidr": "10.30.0.0/24", "ip_version": 4}
    assert (await client.post(f"{V2}/subnets", {"subnet": subnet})).status == 201
    return network


async def asked(compute: Compute, *networks: str, **more: Any) -> Reply:
    wanted = [{"uuid": network} for network in networks] or more.pop("networks", "auto")
    return await compute.member.post(f"{V21}/servers", compute.wanted(networks=wanted, **more))


async def zone_of(compute: Compute, reply: Reply) -> str:
    assert reply.status == 202, reply.body
    server = await compute.settled(str(reply.json["server"]["id"]))
    return str(server["OS-EXT-AZ:availability_zone"])


def sentence(reply: Reply) -> str:
    return str(reply.json["badRequest"]["message"])


async def test_a_server_goes_to_the_cluster_of_its_networks_however_they_are_named(two: Compute) -> None:
    west = await made(two.member, "w", "west")
    for _ in range(3):  # not by luck: the default cluster has as much room
        assert await zone_of(two, await asked(two, west)) == "west"
    port = (await two.member.post(f"{V2}/ports", {"port": {"network_id": west}})).json["port"]["id"]
    assert await zone_of(two, await asked(two, networks=[{"port": port}])) == "west"
    assert await zone_of(two, await asked(two, west, availability_zone="west")) == "west"
    assert await zone_of(two, await asked(two, two.network)) == "default"


async def test_networks_that_no_one_cluster_has_are_refused(two: Compute) -> None:
    west = await made(two.member, "w", "west")
    reply = await asked(two, two.network, west)
    assert (reply.status, "of default and west" in sentence(reply)) == (400, True)
    reply = await asked(two, west, availability_zone="default")
    assert (reply.status, "zone default, but its networks are of west" in sentence(reply)) == (400, True)


async def test_a_zone_chooses_among_the_project_s_networks_when_none_is_named(two: Compute) -> None:
    await made(two.member, "e", "default")
    west = await made(two.member, "w", "west")
    assert (await asked(two)).status == 409  # which one isn't clear
    reply = await asked(two, availability_zone="west")
    assert await zone_of(two, reply) == "west"
    server = await two.server(reply.json["server"]["id"])
    assert list(server["addresses"]) == ["w"]
    assert west in str((await two.member.get(f"{V2}/ports?device_id={server['id']}")).json)
    reply = await asked(two, networks="none", availability_zone="west")
    assert await zone_of(two, reply) == "west"


async def test_security_groups_are_those_of_the_cluster(two: Compute) -> None:
    west = await made(two.member, "w", "west")
    # The default group of each cluster is made with the first port there.
    for network in (west, two.network):
        assert (await two.member.post(f"{V2}/ports", {"port": {"network_id": network}})).status == 201
    assert await zone_of(two, await asked(two, west, security_groups=[{"name": "default"}])) == "west"
    body = {"security_group": {"name": "web"}}
    assert (await two.member.post(f"{V2}/security-groups", body)).status == 201
    reply = await asked(two, west, security_groups=[{"name": "web"}])
    assert (reply.status, "another availability zone" in sentence(reply)) == (400, True)


async def test_a_server_on_a_physical_network_goes_to_a_host_that_is_on_it(two: Compute) -> None:
    provider = {"provider:network_type": "flat", "provider:physical_network": "public", "shared": True}
    public = await made(two.admin, "wan", "west", **provider)
    for _ in range(3):
        reply = await asked(two, public)
        assert await zone_of(two, reply) == "west"
        server = await two.server(reply.json["server"]["id"], two.admin)
        assert server["OS-EXT-SRV-ATTR:host"] == "west1"
    wanted = [{"uuid": public, "fixed_ip": "10.30.0.9"}]
    assert (await asked(two, networks=wanted)).status == 202
    subnet = (await two.admin.get(f"{V2}/subnets?network_id={public}")).json["subnets"][0]["id"]
    pools = {"allocation_pools": [{"start": "10.30.0.100", "end": "10.30.0.199"}]}
    assert (await two.admin.put(f"{V2}/subnets/{subnet}", {"subnet": pools})).status == 200
    wanted = [{"uuid": public, "fixed_ip": "10.30.0.19"}]
    assert (await asked(two, networks=wanted)).status == 403  # it may be a machine's on the wire
    nowhere = {**provider, "provider:physical_network": "lab"}
    reply = await asked(two, await made(two.admin, "lab", "west", **nowhere))
    server = await two.settled(reply.json["server"]["id"], "ERROR")
    assert "on physical network lab" in server["fault"]["message"]
