"""Servers that boot from volumes, and that are made with some: what is made for them, and what goes again."""

from typing import Any

import pytest

from tests.api.asgi import Reply, until
from tests.api.compute.conftest import V21
from tests.api.compute.test_volume_attachments import Disks, _plugged, disks
from tests.api.volume.conftest import V3

__all__ = ["disks"]


async def create(cloud: Disks, devices: list[dict[str, Any]], image: str = "", **more: Any) -> Reply:
    body = cloud.compute.wanted(**more)
    body["server"] |= {"imageRef": image, "block_device_mapping_v2": devices}
    return await cloud.compute.member.post(f"{V21}/servers", body)


async def running(cloud: Disks, devices: list[dict[str, Any]], image: str = "", **more: Any) -> str:
    reply = await create(cloud, devices, image, **more)
    assert reply.status == 202, reply.body
    guest = str(reply.json["server"]["id"])
    await cloud.compute.settled(guest)
    return guest


def boot(uuid: str | None, source: str = "volume", **more: Any) -> dict[str, Any]:
    return {"boot_index": 0, "source_type": source, "destination_type": "volume", "uuid": uuid} | more


async def volumes(cloud: Disks) -> list[str]:
    return [one["id"] for one in (await cloud.member.get(f"{V3}/volumes")).json["volumes"]]


async def test_a_server_boots_from_a_volume_that_is_there(disks: Disks) -> None:
    volume = await disks.volume(availability_zone="default", imageRef=disks.compute.image)
    guest = await running(disks, [boot(volume)])
    assert disks.plugged(guest) == {volume}
    server = await disks.compute.server(guest)
    assert server["image"] == "" and server["OS-EXT-AZ:availability_zone"] == "default"
    assert server["os-extended-volumes:volumes_attached"] == [{"id": volume, "delete_on_termination": False}]
    shown = await disks.settled(volume, "in-use")
    assert shown["attachments"][0]["device"] == "/dev/vda"
    await disks.compute.act(guest, "reboot", {"type": "HARD"})
    await disks.compute.settled(guest)
    assert disks.plugged(guest) == {volume}
    assert (await create(disks, [boot(volume)])).status == 400, "another server has it"


async def test_a_server_boots_from_a_volume_that_is_made_of_an_image_and_goes_with_it(disks: Disks) -> None:
    device = boot(disks.compute.image, "image", volume_size=2, delete_on_termination=True)
    guest = await running(disks, [device])
    (volume,) = disks.plugged(guest)
    shown = await disks.shown(volume)
    assert (shown["size"], shown["bootable"], shown["status"]) == (2, "true", "in-use")
    assert (await disks.compute.member.delete(f"{V21}/servers/{guest}")).status == 204
    await disks.compute.gone(guest)
    await until(lambda: disks.member.get(f"{V3}/volumes/{volume}"), lambda reply: reply.status == 404)


async def test_a_server_has_more_disks_beside_its_image(disks: Disks) -> None:
    volume = await disks.volume(availability_zone="default")
    image = disks.compute.image
    devices = [
        {"boot_index": 0, "source_type": "image", "destination_type": "local", "uuid": image},
        {"source_type": "volume", "destination_type": "volume", "uuid": volume, "device_name": "/dev/vdq"},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 3},
    ]
    guest = await running(disks, devices, image)
    has = await until(_plugged(disks, guest), lambda has: len(has) == 2)
    assert volume in has and (await disks.compute.server(guest))["image"]["id"] == image
    (blank,) = has - {volume}
    assert (await disks.shown(blank))["size"] == 3
    assert (await disks.settled(volume, "in-use"))["attachments"][0]["device"] == "/dev/vdq"


async def test_each_of_several_servers_has_a_volume_of_its_own(disks: Disks) -> None:
    reply = await create(disks, [boot(disks.compute.image, "image", volume_size=1)], min_count=2)
    assert reply.status == 202, reply.body
    await until(lambda: volumes(disks), lambda made: len(made) == 2)
    volume = await disks.volume(availability_zone="default")
    assert (await create(disks, [boot(volume)], min_count=2)).status == 400


async def test_what_was_made_for_a_server_that_is_not_admitted_goes_again(disks: Disks) -> None:
    quota = {"quota_set": {"instances": 0}}
    project = disks.compute.api.project
    assert (await disks.compute.admin.put(f"{V21}/os-quota-sets/{project}", quota)).status == 200
    reply = await create(disks, [boot(disks.compute.image, "image", volume_size=1)])
    assert reply.status == 403, reply.body
    await until(lambda: volumes(disks), lambda made: made == [])


async def test_no_pool_with_room_is_told_at_once(disks: Disks) -> None:
    reply = await create(disks, [boot(disks.compute.image, "image", volume_size=500)])
    assert reply.status == 400 and b"No pool has room" in reply.body
    await until(lambda: volumes(disks), lambda made: made == [])


@pytest.mark.parametrize(
    ("devices", "image"),
    [
        ([], ""),
        ([{"source_type": "blank", "destination_type": "volume", "volume_size": 1}], ""),
        ([boot(None)], ""),
        ([boot("11111111-2222-4333-8444-555555555555")], ""),
        ([boot("11111111-2222-4333-8444-555555555555", "image", volume_size=1)], ""),
        ([boot("11111111-2222-4333-8444-555555555555", "snapshot")], ""),
        ([boot(None, "blank")], ""),
        ([boot(None, "blank", volume_size=0)], ""),
        ([boot(None, "blank", volume_size=1), boot(None, "blank", volume_size=1)], ""),
        ([boot(None, "blank", volume_size=1, boot_index="first")], ""),
        ([{"source_type": "blank", "destination_type": "local", "volume_size": 1}], "image"),
        ([{"source_type": "tape", "destination_type": "volume", "volume_size": 1}], "image"),
        ([{"source_type": "blank", "destination_type": "volume", "volume_size": 1}] * 17, "image"),
    ],
)
async def test_disks_that_can_not_be_are_refused_and_nothing_is_made(
    disks: Disks, devices: list[dict[str, Any]], image: str
) -> None:
    reply = await create(disks, devices, disks.compute.image if image else "")
    assert reply.status == 400, reply.body
    assert await volumes(disks) == []


async def test_a_volume_in_another_zone_than_the_server_is_refused(disks: Disks) -> None:
    volume = await disks.volume(availability_zone="north")
    reply = await create(disks, [boot(volume)], availability_zone="default")
    assert reply.status == 400 and b"availability zone north" in reply.body
