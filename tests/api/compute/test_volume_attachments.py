"""Volumes of servers, as both APIs show them: attached, in use, detached, and gone with their server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.volume import Pool
from freehold.workers.base import Means
from tests.api.asgi import Client, Reply, until
from tests.api.compute.conftest import V21, Compute
from tests.api.volume.conftest import V3
from tests.api.volume.pools import PoolUnderTest, opened


@dataclass
class Disks:
    """A cloud with servers, and a pool of volumes in their cluster and one in another."""

    compute: Compute
    pool: PoolUnderTest
    elsewhere: PoolUnderTest

    @property
    def member(self) -> Client:
        client = self.compute.member
        return Client(client.app, {**client.headers, "openstack-api-version": "volume 3.71"})

    async def volume(self, **fields: Any) -> str:
        """A volume that is available."""
        reply = await self.member.post(f"{V3}/volumes", {"volume": {"size": 1} | fields})
        assert reply.status == 202, reply.body
        volume = str(reply.json["volume"]["id"])
        await self.settled(volume, "available")
        return volume

    async def shown(self, volume: str) -> Any:
        reply = await self.member.get(f"{V3}/volumes/{volume}")
        assert reply.status == 200, reply.body
        return reply.json["volume"]

    async def settled(self, volume: str, status: str) -> Any:
        return await until(lambda: self.shown(volume), lambda shown: shown["status"] == status)

    async def attach(self, guest: str, volume: str, client: Client | None = None, **fields: Any) -> Reply:
        body = {"volumeAttachment": {"volumeId": volume} | fields}
        return await (client or self.compute.member).post(f"{V21}/servers/{guest}/os-volume_attachments", body)

    async def attached(self, guest: str, volume: str, **fields: Any) -> Any:
        reply = await self.attach(guest, volume, **fields)
        assert reply.status == 200, reply.body
        return reply.json["volumeAttachment"]

    async def detach(self, guest: str, volume: str) -> Reply:
        return await self.compute.member.delete(f"{V21}/servers/{guest}/os-volume_attachments/{volume}")

    async def list(self, guest: str) -> list[str]:
        reply = await self.compute.member.get(f"{V21}/servers/{guest}/os-volume_attachments")
        assert reply.status == 200, reply.body
        return [one["volumeId"] for one in reply.json["volumeAttachments"]]

    def plugged(self, guest: str) -> set[str]:
        """The volumes that the guest itself has."""
        looks = (hypervisor.look(guest) for hypervisor in self.compute.hypervisors)
        return {disk.volume for look in looks if look is not None for disk in look.disks}


@pytest.fixture
async def disks(compute: Compute, tmp_path: Path) -> AsyncIterator[Disks]:
    async with AsyncExitStack() as stack:
        offload = ThreadOffload(2)
        stack.callback(offload.close)
        api = compute.api
        means = Means(api.cloud.bus, api.cloud.clock, api.cloud.chance, offload)
        pool, elsewhere = [await opened(means, tmp_path, cluster, stack) for cluster in ("default", "north")]

        async def known() -> int:
            return sum(1 for one in api.cloud.view.list(Pool) if one.total_gib)

        await until(known, lambda count: count == 2)
        yield Disks(compute, pool, elsewhere)


async def test_a_volume_is_in_use_and_its_server_has_it_at_once_in_both_apis(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    made = await disks.attached(guest, volume)
    assert (made["volumeId"], made["serverId"], made["device"]) == (volume, guest, "/dev/vdb")
    assert "id" not in made and made["attachment_id"] == made["bdm_uuid"]
    assert await disks.list(guest) == [volume]
    shown = await disks.shown(volume)
    assert shown["status"] == "in-use"
    (attachment,) = shown["attachments"]
    assert (attachment["server_id"], attachment["device"], attachment["volume_id"]) == (guest, "/dev/vdb", volume)
    server = await disks.compute.server(guest)
    assert server["os-extended-volumes:volumes_attached"] == [{"id": volume, "delete_on_termination": False}]
    await until(_plugged(disks, guest), lambda has: has == {volume})


def _plugged(disks: Disks, guest: str) -> Any:
    async def look() -> set[str]:
        return disks.plugged(guest)

    return look


async def test_what_is_detached_is_available_again_and_goes_to_another_server(disks: Disks) -> None:
    first, second = await disks.compute.running(), await disks.compute.running()
    volume = await disks.volume(availability_zone="default")
    await disks.attached(first, volume)
    await until(_plugged(disks, first), lambda has: has == {volume})
    assert (await disks.attach(second, volume)).status == 400, "it has another server"
    assert (await disks.detach(first, volume)).status == 202
    await disks.settled(volume, "available")
    assert await disks.list(first) == [] and disks.plugged(first) == set()
    assert not await disks.pool.pool.exports()
    await disks.attached(second, volume)
    await until(_plugged(disks, second), lambda has: has == {volume})
    assert [served.export.number for served in await disks.pool.pool.exports()] == [2]


async def test_a_stopped_server_gets_its_volume_when_it_starts_and_keeps_it_over_reboots(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    await disks.compute.act(guest, "os-stop")
    await disks.compute.settled(guest, "SHUTOFF")
    await disks.attached(guest, volume)
    assert (await disks.shown(volume))["status"] == "in-use"
    await disks.compute.act(guest, "os-start")
    await disks.compute.settled(guest)
    await until(_plugged(disks, guest), lambda has: has == {volume})
    await disks.compute.act(guest, "reboot", {"type": "HARD"})
    await disks.compute.settled(guest)
    assert disks.plugged(guest) == {volume}


async def test_a_volume_goes_with_its_server_if_it_is_to_and_is_free_again_otherwise(disks: Disks) -> None:
    guest = await disks.compute.running()
    goes, stays = [await disks.volume(availability_zone="default") for _ in range(2)]
    assert (await disks.attached(guest, goes, delete_on_termination=True))["delete_on_termination"] is True
    await disks.attached(guest, stays)
    assert (await disks.compute.member.delete(f"{V21}/servers/{guest}")).status == 204
    await disks.compute.gone(guest)
    await disks.settled(stays, "available")
    await until(lambda: disks.member.get(f"{V3}/volumes/{goes}"), lambda reply: reply.status == 404)


async def test_what_is_in_use_is_not_deleted_and_can_be_extended_where_clients_know_of_that(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    await disks.attached(guest, volume)
    assert (await disks.member.delete(f"{V3}/volumes/{volume}")).status == 400
    old = Client(disks.member.app, {**disks.member.headers, "openstack-api-version": "volume 3.41"})
    grow = {"os-extend": {"new_size": 3}}
    assert (await old.post(f"{V3}/volumes/{volume}/action", grow)).status == 400
    assert (await disks.member.post(f"{V3}/volumes/{volume}/action", grow)).status == 202
    await until(lambda: disks.shown(volume), lambda shown: (shown["size"], shown["status"]) == (3, "in-use"))
    await until(_size(disks, guest), lambda size: size == 3 << 30)


def _size(disks: Disks, guest: str) -> Any:
    async def look() -> int:
        looks = (hypervisor.look(guest) for hypervisor in disks.compute.hypervisors)
        return sum(disk.size_bytes for one in looks if one is not None for disk in one.disks)

    return look


async def test_a_snapshot_of_what_is_in_use_is_taken_with_and_without_force(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    await disks.attached(guest, volume)
    old = Client(disks.member.app, {**disks.member.headers, "openstack-api-version": "volume 3.65"})
    for more in ({}, {"force": True}):
        assert (await old.post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume} | more})).status == 202


async def test_a_volume_of_another_zone_is_refused(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="north")
    reply = await disks.attach(guest, volume)
    assert reply.status == 400 and b"availability zone north" in reply.body
    assert (await disks.shown(volume))["status"] == "available"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"volumeAttachment": {"volumeId": "11111111-2222-4333-8444-555555555555"}}, 404),
        ({"volumeAttachment": {"volumeId": "x" * 300}}, 400),
        ({"volumeAttachment": {}}, 400),
        ({"volumeAttachment": {"volumeId": "v", "device": "vdb"}}, 400),
        ({"volumeAttachment": {"volumeId": "v", "more": 1}}, 400),
        ({}, 400),
        (None, 400),
    ],
)
async def test_what_can_not_be_attached_is_refused(disks: Disks, body: Any, status: int) -> None:
    guest = await disks.compute.running()
    reply = await disks.compute.member.post(f"{V21}/servers/{guest}/os-volume_attachments", body)
    assert reply.status == status, reply.body


async def test_another_tenants_volume_is_not_found_and_a_building_server_waits(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    theirs = await disks.compute.running()
    assert (await disks.attach(theirs, volume, disks.compute.other)).status == 404
    assert (await disks.detach(guest, volume)).status == 404
    for cable in disks.compute.cables:
        await cable.cut()
    building = await disks.compute.create()
    assert (await disks.attach(building, volume)).status == 409


async def test_attachments_are_listed_and_shown_and_made_by_servers_alone(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    made = await disks.attached(guest, volume)
    (listed,) = (await disks.member.get(f"{V3}/attachments")).json["attachments"]
    assert listed == {"id": made["attachment_id"], "volume_id": volume, "instance": guest, "status": "attached"}
    shown = (await disks.member.get(f"{V3}/attachments/{listed['id']}")).json["attachment"]
    assert shown["attach_mode"] == "rw" and shown["instance"] == guest
    assert (await disks.member.get(f"{V3}/attachments?instance_id=other")).json["attachments"] == []
    assert (await disks.member.get(f"{V3}/attachments/other")).status == 404
    assert (await disks.member.post(f"{V3}/attachments", {"attachment": {}})).status == 400


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("2.1", {"id", "device"}, {"tag", "delete_on_termination", "attachment_id"}),
        ("2.70", {"id", "tag"}, {"delete_on_termination", "attachment_id"}),
        ("2.79", {"id", "tag", "delete_on_termination"}, {"attachment_id"}),
        ("2.89", {"tag", "delete_on_termination", "attachment_id", "bdm_uuid"}, {"id"}),
    ],
)
async def test_each_version_shows_what_it_knows(disks: Disks, version: str, has: set[str], lacks: set[str]) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    client = disks.compute.at(version)
    reply = await disks.attach(guest, volume, client)
    assert reply.status == 200 and has <= reply.json["volumeAttachment"].keys()
    assert not lacks & reply.json["volumeAttachment"].keys()
    path = f"{V21}/servers/{guest}/os-volume_attachments/{volume}"
    assert (await client.get(path)).json["volumeAttachment"] == reply.json["volumeAttachment"]
    if version == "2.1":
        refused = await disks.attach(guest, volume, client, tag="data")
        assert refused.status == 400 and b"tag" in refused.body


async def test_an_admin_cuts_a_server_off_whose_host_is_away(disks: Disks) -> None:
    guest, volume = await disks.compute.running(), await disks.volume(availability_zone="default")
    made = await disks.attached(guest, volume)
    await until(_plugged(disks, guest), lambda has: has == {volume})
    for cable in disks.compute.cables:
        await cable.cut()
    assert (await disks.detach(guest, volume)).status == 202
    assert (await disks.shown(volume))["status"] == "detaching", "the server may still write"
    admin = disks.compute.admin
    admin = Client(admin.app, {**admin.headers, "openstack-api-version": "volume 3.71"})
    for body, status in (({"attachment_id": "other"}, 400), ({"attachment_id": made["attachment_id"]}, 202)):
        reply = await admin.post(f"{V3}/volumes/{volume}/action", {"os-force_detach": body})
        assert reply.status == status, reply.body
    await disks.settled(volume, "available")
    await until(lambda: disks.pool.pool.exports(), lambda exports: exports == ())
    assert (await disks.member.post(f"{V3}/volumes/{volume}/action", {"os-force_detach": {}})).status == 403
