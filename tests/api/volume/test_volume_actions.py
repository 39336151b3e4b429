"""What can be done to a volume, and what can't yet."""

from typing import Any

from freehold.api.volume.volume_actions import NOT_OFFERED
from freehold.vocabulary.volume import SIZE_GIB_MAX
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_volume_create import said


async def test_a_volume_is_extended(volumes: VolumeCloud) -> None:
    volume = await volumes.made(size=2)
    volumes.pools[0].hold()
    assert (await volumes.act(volume, "os-extend", {"new_size": 5})).status == 202
    assert (await volumes.shown(volume))["status"] == "extending"
    again = await volumes.act(volume, "os-extend", {"new_size": 6})
    assert again.status == 400 and "extending" in said(again)
    volumes.pools[0].go_on()
    assert (await volumes.settled(volume))["size"] == 5
    used = (await volumes.member.get(f"{V3}/limits")).json["limits"]["absolute"]["totalGigabytesUsed"]
    assert used == 5


async def test_a_volume_isn_t_extended_to_what_it_can_t_have(volumes: VolumeCloud) -> None:
    volume = await volumes.made(size=2)
    sizes: list[Any] = [2, 1, 0, -1, SIZE_GIB_MAX + 1, "x", 2.5, None, True, 10**40]
    for size in sizes:
        reply = await volumes.act(volume, "os-extend", {"new_size": size})
        assert (reply.status, list(reply.json)) == (400, ["badRequest"]), size
    assert (await volumes.act(volume, "os-extend", {"new_size": 999})).status == 409  # no room in its pool
    assert (await volumes.act(volume, "os-extend", {"new_size": 2000})).status == 413  # nor in the quota
    volume = await volumes.shown(volume)
    assert (volume["status"], volume["size"]) == ("available", 2)


async def test_a_volume_is_made_bootable_and_plain_again(volumes: VolumeCloud) -> None:
    volume = await volumes.made(metadata={"a": "b"})
    given: list[tuple[Any, str]] = [(True, "true"), ("False", "false"), ("1", "true")]
    for value, shown in given:
        assert (await volumes.act(volume, "os-set_bootable", {"bootable": value})).status == 200
        assert (await volumes.shown(volume))["bootable"] == shown
    assert (await volumes.act(volume, "os-set_bootable", {"bootable": "perhaps"})).status == 400
    assert (await volumes.shown(volume))["metadata"] == {"a": "b"}


async def test_what_is_noted_of_an_image_is_changed(volumes: VolumeCloud) -> None:
    volume = await volumes.made(metadata={"a": "b"})
    reply = await volumes.act(volume, "os-set_image_metadata", {"metadata": {"hw_disk_bus": "scsi", "x": "y"}})
    assert (reply.status, reply.json) == (200, {"metadata": {"hw_disk_bus": "scsi", "x": "y"}})
    assert (await volumes.act(volume, "os-unset_image_metadata", {"key": "x"})).status == 200
    assert (await volumes.act(volume, "os-unset_image_metadata", {"key": "x"})).status == 404
    reply = await volumes.act(volume, "os-show_image_metadata")
    assert reply.json == {"metadata": {"hw_disk_bus": "scsi"}}
    shown = await volumes.shown(volume)
    assert (shown["volume_image_metadata"], shown["metadata"]) == ({"hw_disk_bus": "scsi"}, {"a": "b"})
    assert (await volumes.act(volume, "os-set_bootable", {"bootable": True})).status == 200
    assert (await volumes.shown(volume))["volume_image_metadata"] == {"hw_disk_bus": "scsi"}
    too_much = {"metadata": {str(n): "" for n in range(128)}}
    assert (await volumes.act(volume, "os-set_image_metadata", too_much)).status == 413


async def test_an_operator_says_what_state_it_is_in(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    assert (await volumes.act(volume, "os-reset_status", {"status": "error"})).status == 403
    assert (await volumes.act(volume, "os-reset_status", {"status": "error"}, volumes.admin)).status == 202
    assert (await volumes.shown(volume))["status"] == "error"
    assert (await volumes.act(volume, "os-extend", {"new_size": 3})).status == 400
    assert (await volumes.act(volume, "os-reset_status", {"status": "available"}, volumes.admin)).status == 202
    assert (await volumes.shown(volume))["status"] == "available"
    refused: list[Any] = [{}, None, {"status": "in-use"}, {"status": 1}, {"attach_status": "attached"}, {"more": 1}]
    for given in refused:
        assert (await volumes.act(volume, "os-reset_status", given, volumes.admin)).status == 400, given
    told = {"attach_status": "detached", "migration_status": "none"}
    assert (await volumes.act(volume, "os-reset_status", told, volumes.admin)).status == 202


async def test_only_an_admin_deletes_by_force(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    assert (await volumes.act(volume, "os-force_delete")).status == 403
    volumes.pools[0].hold()
    await volumes.act(volume, "os-extend", {"new_size": 3})
    refused = await volumes.member.delete(f"{V3}/volumes/{volume}")
    assert refused.status == 400 and "extended" in said(refused)
    assert (await volumes.act(volume, "os-force_delete", {}, volumes.admin)).status == 202
    volumes.pools[0].go_on()
    await volumes.gone(volume)


async def test_other_actions_are_refused_by_name(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    for action in sorted(NOT_OFFERED):
        reply = await volumes.act(volume, action, {})
        assert reply.status == 400 and action in said(reply)
    path = f"{V3}/volumes/{volume}/action"
    bodies: list[Any] = [{}, {"os-nonsense": {}}, {"os-extend": {"new_size": 3}, "revert": {}}, [], {"os-extend": []}]
    for body in (*bodies, {"os-force_delete": 1}, {"os-extend": {"new_size": 3, "more": 1}}):
        assert (await volumes.admin.post(path, body)).status == 400, body
