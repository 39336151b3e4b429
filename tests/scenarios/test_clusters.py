"""Clusters with a server of the bus each, linked to the centre's: one that is cut off works on, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.vocabulary.guest import Guest, GuestState
from tests.forwarder import Wire, wire_to
from tests.nats_server import free_port
from tests.scenarios.cloud import Cloud, until
from tests.scenarios.test_enrolled import CONTROL, said

CLUSTERS = ("c1", "c2")


class Region:
    """A control machine with a server, and two clusters, each with a server, a network worker and two hosts."""

    def __init__(self, folder: Path, links: dict[str, Wire], port: int, link_port: int) -> None:
        at, given = f"127.0.0.1:{port}", {"log_level": "warning", "hypervisor": "simulated"}
        self.links = links
        self.control = Cloud(
            folder / "control",
            roles=["broker", *CONTROL],
            bus=f"nats://{at}",
            broker_listen=at,
            broker_link_listen=f"127.0.0.1:{link_port}",
            broker_link_advertised=f"127.0.0.1:{free_port()}",  # nobody is there: the wires are the only way
            **given,
        )
        self.clusters = {name: self._cluster(folder, name, **given) for name in CLUSTERS}

    def _cluster(self, folder: Path, name: str, **given: Any) -> Cloud:
        at = f"127.0.0.1:{free_port()}"
        hub = f"nats://127.0.0.1:{self.links[name].here}"
        served: dict[str, Any] = {"bus": f"nats://{at}", "broker_listen": at, "broker_hub": hub}
        cloud = Cloud(folder / name, cluster=name, roles=["broker", "network", "host"], hosts=2, **served, **given)
        cloud.token = "nobody signs in here"
        return cloud

    async def start(self) -> None:
        await self.control.start()
        for name, cluster in self.clusters.items():
            roles = [word for role in ("broker", "network", "host") for word in ("--role", role)]
            invitation = await said(self.control, "machine", "invite", f"{name}-m", "--cluster", name, *roles)
            config = str(cluster.state.with_suffix(".toml"))
            await said(cluster, "enroll", "--from", self.control.url, "--invitation", invitation, "--config", config)
        await asyncio.gather(*(cluster.start() for cluster in self.clusters.values()))
        await until(lambda: self.hosts_are({"c1": "heard", "c2": "heard"}), 30, self.tell)

    async def hosts_are(self, states: dict[str, str]) -> bool:
        """Whether both hosts of every cluster are shown so."""
        shown = [(host["cluster"], host["state"]) for host in (await self.control.get("/freehold/v1/hosts"))["hosts"]]
        self.shown = shown
        return sorted(shown) == sorted([*states.items()] * 2)

    async def network_in(self, cluster: str) -> str:
        """A network of a cluster."""

        async def known() -> bool:
            asked = {"network": {"name": cluster, "shared": True, "availability_zone_hints": [cluster]}}
            reply = await self.control.call("POST", "/network/v2.0/networks", asked)
            if reply.status == 201:
                made.append(str(reply.json["network"]["id"]))
            return bool(made)

        made: list[str] = []
        await until(known, 30, self.tell)
        cidr = f"10.{CLUSTERS.index(cluster) + 1}.0.0/24"
        subnet = {"network_id": made[0], "cidr": cidr, "ip_version": 4}
        await self.control.well("POST", "/network/v2.0/subnets", {"subnet": subnet})
        return made[0]

    def tell(self) -> str:
        return str(self.shown) + "\n".join(one.last_lines() for one in (self.control, *self.clusters.values()))

    async def end(self) -> None:
        for one in (*self.clusters.values(), self.control):
            if one.process is not None:
                await one.kill()


@asynccontextmanager
async def region(folder: Path) -> AsyncIterator[Region]:
    link_port = free_port()
    async with wire_to(link_port) as first, wire_to(link_port) as second:
        running = Region(folder, {"c1": first, "c2": second}, free_port(), link_port)
        try:
            await running.start()
            yield running
        finally:
            await running.end()


@pytest.mark.timeout(400)
async def test_a_cluster_that_is_cut_off_works_on_and_comes_back(tmp_path: Path) -> None:
    async with region(tmp_path) as cloud:
        control, c1 = cloud.control, cloud.clusters["c1"]
        image = await control.new_image()
        networks = {name: await cloud.network_in(name) for name in CLUSTERS}
        guests = {n: await control.created(n, image, networks[n], availability_zone=n) for n in CLUSTERS}
        for guest in guests.values():
            await control.becomes(guest, "ACTIVE")

        await has_a_group_of_its_own(control, image, networks)

        cloud.links["c1"].cut()
        code, text = await c1.command("guest", "stop", guests["c1"])
        assert code == 0, text
        await until(lambda: stopped(c1, guests["c1"]), 10, c1.last_lines)
        assert (await control.server(guests["c1"]))["status"] == "ACTIVE", "what was last known"
        late = await control.created("late", image, networks["c1"], availability_zone="c1")
        assert (await control.act(guests["c2"], "reboot", {"type": "HARD"})).status == 202

        await until(lambda: cloud.hosts_are({"c1": "silent", "c2": "heard"}), 40, cloud.tell)
        ages = {host["cluster"]: host["age_s"] for host in (await control.get("/freehold/v1/hosts"))["hosts"]}
        assert ages["c1"] > 10 > ages["c2"]
        anywhere = [await elsewhere(control, f"any-{number}", image) for number in range(4)]
        for guest in anywhere:
            shown = await control.becomes(guest, "ACTIVE")
            assert shown["OS-EXT-AZ:availability_zone"] == "c2"
        assert (await control.server(late))["status"] == "BUILD"

        cloud.links["c1"].mend()
        await control.becomes(guests["c1"], "SHUTOFF", 15)
        await until(lambda: agree(cloud), 15, cloud.tell)
        await control.becomes(late, "ACTIVE", 90)
        await until(lambda: agree(cloud), 15, cloud.tell)
        assert await denied(cloud) == []
        for one in (*cloud.clusters.values(), control):
            assert await one.stop() == 0


async def has_a_group_of_its_own(control: Cloud, image: str, networks: dict[str, str]) -> None:
    """A cluster's guest has a group of the cluster; its changes reach the worker that has it."""
    v2, fields = "/network/v2.0", {"name": "web", "availability_zone_hints": ["c1"]}
    group = (await control.well("POST", f"{v2}/security-groups", {"security_group": fields}))["security_group"]
    assert group["availability_zones"] == ["c1"]
    wanted = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 80}
    body = {"security_group_rule": wanted | {"port_range_max": 80}}
    rule = (await control.well("POST", f"{v2}/security-group-rules", body))["security_group_rule"]["id"]
    with_it = {"security_groups": [{"name": "web"}]}
    guest = await control.created("web", image, networks["c1"], availability_zone="c1", **with_it)
    await control.becomes(guest, "ACTIVE")
    shown = (await control.get(f"{v2}/ports?device_id={guest}"))["ports"][0]
    assert shown["security_groups"] == [group["id"]]
    refused = await control.create("x", image, networks["c2"], availability_zone="c2", **with_it)
    assert refused.status == 400 and b"availability_zone_hints c2" in refused.body
    await control.well("DELETE", f"{v2}/security-group-rules/{rule}")
    renamed = {"security_group": {"name": "www"}}
    await control.well("PUT", f"{v2}/security-groups/{group['id']}", renamed)
    await control.well("DELETE", f"/compute/v2.1/servers/{guest}")
    await control.goes(guest)
    await control.well("DELETE", f"{v2}/security-groups/{group['id']}")
    assert all(one["id"] != group["id"] for one in (await control.get(f"{v2}/security-groups"))["security_groups"])


SHOWN = {GuestState.RUNNING: "ACTIVE", GuestState.STOPPED: "SHUTOFF"}


async def agree(cloud: Region) -> bool:
    """Whether the API shows of every guest what its host has on disk."""
    owned = {row.id: SHOWN.get(row.state) for one in cloud.clusters.values() for _, row in one.host_rows(Guest)}
    shown = {server["id"]: server["status"] for server in await cloud.control.servers() if server["status"] != "BUILD"}
    return owned == shown


async def stopped(cluster: Cloud, guest: str) -> bool:
    return any(row.id == guest and row.state is GuestState.STOPPED for _, row in cluster.host_rows(Guest))


async def elsewhere(control: Cloud, name: str, image: str) -> str:
    """A guest of no network, for whom any cluster will do."""
    server = {"name": name, "imageRef": image, "flavorRef": "1", "networks": "none"}
    return str((await control.well("POST", "/compute/v2.1/servers", {"server": server}))["server"]["id"])


async def denied(cloud: Region) -> list[str]:
    """What somebody wanted to say or hear, and no ticket allows; what somebody said, and nobody takes."""
    words = ("denies this machine", "a message was refused")
    logs = [one.log.read_text() for one in (cloud.control, *cloud.clusters.values())]
    return [line for log in logs for line in log.splitlines() if any(word in line for word in words)]
