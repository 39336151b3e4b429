"""Snapshots: taken, shown, changed, listed and deleted."""

from typing import Any

from tests.api.volume.conftest import V3, VolumeCloud

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_snapshot_is_taken_changed_and_deleted(volumes: VolumeCloud) -> None:
    volume = await volumes.made(size=2)
    body = {"snapshot": {"volume_id": volume, "name": "before", "description": "it", "metadata": {"a": "b"}}}
    reply = await volumes.member.post(f"{V3}/snapshots", body)
    assert reply.status == 202, reply.body
    snapshot = await volumes.settled(reply.json["snapshot"]["id"], noun="snapshot")
    assert (snapshot["name"], snapshot["volume_id"], snapshot["size"]) == ("before", volume, 2)
    assert snapshot["os-extended-snapshot-attributes:project_id"] == volumes.api.project
    path = f"{V3}/snapshots/{snapshot['id']}"
    reply = await volumes.member.put(path, {"snapshot": {"name": "after", "description": ""}})
    assert (reply.status, reply.json["snapshot"]["name"], reply.json["snapshot"]["description"]) == (200, "after", None)
    assert (await volumes.member.get(f"{path}/metadata")).json == {"metadata": {"a": "b"}}
    used = (await volumes.member.get(f"{V3}/limits")).json["limits"]["absolute"]
    assert (used["totalSnapshotsUsed"], used["totalGigabytesUsed"]) == (1, 4)
    assert (await volumes.member.delete(path)).status == 202
    await volumes.gone(snapshot["id"], "snapshot")
    assert await volumes.ids(noun="snapshots") == []


async def test_a_snapshot_is_its_project_s_alone(volumes: VolumeCloud) -> None:
    snapshot = await volumes.taken(await volumes.made())
    path = f"{V3}/snapshots/{snapshot}"
    for reply in (
        await volumes.other.get(path),
        await volumes.other.delete(path),
        await volumes.other.put(path, {"snapshot": {"name": "mine"}}),
        await volumes.other.get(f"{path}/metadata"),
        await volumes.asked(volumes.other, snapshot_id=snapshot),
    ):
        assert reply.status == 404
    assert await volumes.ids(client=volumes.other, noun="snapshots") == []
    assert await volumes.ids("?all_tenants=1", volumes.admin, "snapshots") == [snapshot]


async def test_what_may_be_said_of_a_snapshot(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    given: list[tuple[Any, int]] = [
        ({"volume_id": volume, "force": True}, 202),
        ({"volume_id": volume, "force": "true", "name": None, "description": None, "metadata": None}, 202),
        ({"volume_id": volume, "force": False}, 400),
        ({"volume_id": volume, "force": "perhaps"}, 400),
        ({"volume_id": volume, "size": 3}, 400),
        ({"volume_id": volume, "name": 7}, 400),
        ({"volume_id": NOBODY}, 404),
        ({"volume_id": ""}, 400),
        ({}, 400),
    ]
    for fields, status in given:
        reply = await volumes.member.post(f"{V3}/snapshots", {"snapshot": fields})
        assert reply.status == status, (fields, reply.body)
    unforced = {"snapshot": {"volume_id": volume, "force": False}}
    assert (await volumes.at("3.65").post(f"{V3}/snapshots", unforced)).status == 202


async def test_the_quota_counts_snapshots(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    path = f"{V3}/os-quota-sets/{volumes.api.project}"
    await volumes.admin.put(path, {"quota_set": {"snapshots": 1}})
    await volumes.taken(volume)
    reply = await volumes.member.post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume}})
    assert (reply.status, list(reply.json)) == (413, ["overLimit"])


async def test_an_operator_says_what_state_it_is_in(volumes: VolumeCloud) -> None:
    snapshot = await volumes.taken(await volumes.made())
    path = f"{V3}/snapshots/{snapshot}/action"
    assert (await volumes.member.post(path, {"os-reset_status": {"status": "error"}})).status == 403
    assert (await volumes.admin.post(path, {"os-reset_status": {"status": "error"}})).status == 202
    assert (await volumes.shown(snapshot, noun="snapshot"))["status"] == "error"
    assert (await volumes.admin.post(path, {"os-update_snapshot_status": {"status": "error"}})).status == 400
    assert (await volumes.member.post(path, {"os-force_delete": None})).status == 403
    assert (await volumes.admin.post(path, {"os-force_delete": None})).status == 202
    await volumes.gone(snapshot, "snapshot")


async def test_later_versions_say_more(volumes: VolumeCloud) -> None:
    snapshot = await volumes.taken(await volumes.made())
    path = f"{V3}/snapshots/{snapshot}"
    first, last = [(await volumes.at(version).get(path)).json["snapshot"] for version in ("3.0", "3.71")]
    assert set(last) - set(first) == {"user_id", "group_snapshot_id", "consumes_quota"}
