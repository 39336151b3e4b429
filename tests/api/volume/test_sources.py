"""Volumes that are copies of images, snapshots and volumes."""

from typing import Any

from tests.api.image.making import made_image, patched, uploaded
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_volume_create import said


async def image_of(volumes: VolumeCloud, **fields: Any) -> str:
    image = await made_image(volumes.api.member, **fields)
    assert (await uploaded(volumes.api.member, image["id"])).status == 204
    return str(image["id"])


async def test_a_volume_from_an_image_can_be_booted_and_says_of_which(volumes: VolumeCloud) -> None:
    image = await image_of(volumes, hw_disk_bus="virtio", long="x" * 256)
    for field in ("imageRef", "image_id"):
        volume = await volumes.shown(await volumes.made(None, **{field: image}), volumes.member)
        noted = volume["volume_image_metadata"]
        assert volume["bootable"] == "true"
        assert (noted["image_id"], noted["image_name"], noted["disk_format"]) == (image, "tiny", "raw")
        assert (noted["hw_disk_bus"], noted["size"], noted["min_disk"]) == ("virtio", "1048576", "0")
        assert "long" not in noted


async def test_an_image_s_minimum_and_size_are_kept_to(volumes: VolumeCloud) -> None:
    image = await image_of(volumes, min_disk=3)
    reply = await volumes.asked(imageRef=image, size=2)
    assert reply.status == 400 and "minDisk size 3GB" in said(reply)
    assert "volume_image_metadata" in await volumes.shown(await volumes.made(imageRef=image, size=3))
    assert (await volumes.asked(imageRef=image, size=None)).status == 400


async def test_an_image_must_be_the_project_s_to_see_and_whole(volumes: VolumeCloud) -> None:
    image = await image_of(volumes)
    hidden = await volumes.asked(volumes.other, imageRef=image)
    assert (hidden.status, said(hidden)[:13]) == (400, "Invalid image")
    empty = await made_image(volumes.api.member)
    reply = await volumes.asked(imageRef=empty["id"])
    assert reply.status == 400 and "not active" in said(reply)
    await patched(volumes.api.member, image, {"op": "replace", "path": "/visibility", "value": "community"})
    await volumes.made(volumes.other, imageRef=image)


async def test_a_copy_has_the_size_the_image_and_the_pool_of_what_it_is_a_copy_of(volumes: VolumeCloud) -> None:
    image = await image_of(volumes)
    volume = await volumes.made(imageRef=image, size=2, availability_zone="north")
    snapshot = await volumes.taken(volume)
    for field, source in (("source_volid", volume), ("snapshot_id", snapshot)):
        copy = await volumes.shown(await volumes.made(None, **{field: source, "size": None}))
        assert (copy["size"], copy["availability_zone"], copy["bootable"]) == (2, "north", "true")
        assert (copy[field], copy["volume_image_metadata"]["image_id"]) == (source, image)
        larger = await volumes.shown(await volumes.made(None, **{field: source, "size": 3}))
        assert larger["size"] == 3
        smaller = await volumes.asked(None, **{field: source, "size": 1})
        assert smaller.status == 400 and "cannot be smaller" in said(smaller)
        elsewhere = await volumes.asked(None, **{field: source, "size": 2, "availability_zone": "default"})
        assert elsewhere.status == 400 and "north" in said(elsewhere)


async def test_what_isn_t_available_isn_t_copied(volumes: VolumeCloud) -> None:
    volumes.pools[0].hold()
    volume = await volumes.create()
    reply = await volumes.asked(source_volid=volume)
    assert reply.status == 400 and "creating" in said(reply)
    taken = await volumes.member.post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume}})
    assert taken.status == 400 and "creating" in said(taken)
    volumes.pools[0].go_on()
    await volumes.settled(volume)
    volumes.pools[0].hold()
    reply = await volumes.member.post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume}})
    assert (await volumes.asked(snapshot_id=reply.json["snapshot"]["id"])).status == 400
    volumes.pools[0].go_on()


async def test_an_admin_doesn_t_copy_another_project_s_into_his_own(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    assert (await volumes.asked(volumes.admin, source_volid=volume)).status == 404
