"""Volumes one by one, and whose they are."""

from typing import Any

from tests.api.volume.conftest import V3, VolumeCloud


async def test_a_volume_is_asked_for_made_changed_and_deleted(volumes: VolumeCloud) -> None:
    reply = await volumes.asked(name="disk", description="for data", metadata={"a": "b"})
    assert reply.status == 202, reply.body
    asked = reply.json["volume"]
    assert (asked["status"], asked["size"], asked["name"]) == ("creating", 1, "disk")
    volume = await volumes.settled(asked["id"])
    assert (volume["description"], volume["metadata"], volume["bootable"]) == ("for data", {"a": "b"}, "false")
    assert (volume["availability_zone"], volume["attachments"], volume["encrypted"]) == ("default", [], False)
    path = f"{V3}/volumes/{volume['id']}"
    reply = await volumes.member.put(path, {"volume": {"name": "other", "description": None}})
    assert (reply.status, reply.json["volume"]["name"], reply.json["volume"]["description"]) == (200, "other", None)
    assert (await volumes.member.get(path)).json["volume"]["metadata"] == {"a": "b"}
    assert (await volumes.member.delete(path)).status == 202
    await volumes.gone(volume["id"])
    assert await volumes.ids() == []
    assert (await volumes.member.delete(path)).status == 404


async def test_a_volume_is_its_project_s_and_an_admin_s_alone(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    path = f"{V3}/volumes/{volume}"
    asked = [
        await volumes.other.get(path),
        await volumes.other.put(path, {"volume": {"name": "mine"}}),
        await volumes.other.delete(path),
        await volumes.other.get(f"{path}/metadata"),
        await volumes.other.post(f"{path}/metadata", {"metadata": {"a": "b"}}),
        await volumes.act(volume, "os-extend", {"new_size": 2}, volumes.other),
        await volumes.other.post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume}}),
        await volumes.asked(volumes.other, source_volid=volume),
    ]
    assert {reply.status for reply in asked} == {404}
    assert await volumes.ids("/detail", volumes.other) == []
    assert (await volumes.admin.get(path)).status == 200
    as_member = (await volumes.member.get(path)).json["volume"]
    assert "os-vol-host-attr:host" not in as_member
    assert (await volumes.shown(volume))["os-vol-host-attr:host"].startswith("pool-default@")
    assert (await volumes.admin.delete(path)).status == 202
    await volumes.gone(volume)


async def test_what_is_being_deleted_says_so_until_its_pool_says_it_is_gone(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    volumes.pools[0].hold()
    first = await volumes.member.delete(f"{V3}/volumes/{volume}")
    again = await volumes.member.delete(f"{V3}/volumes/{volume}")
    assert (first.status, again.status) == (202, 202)
    assert (await volumes.shown(volume))["status"] == "deleting"
    volumes.pools[0].go_on()
    await volumes.gone(volume)


async def test_a_volume_that_is_still_being_made_can_be_deleted(volumes: VolumeCloud) -> None:
    volumes.pools[0].hold()
    volume = await volumes.create()
    assert (await volumes.member.delete(f"{V3}/volumes/{volume}")).status == 202
    volumes.pools[0].go_on()
    await volumes.gone(volume)


async def test_a_volume_with_snapshots_stays(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    snapshot = await volumes.taken(volume)
    for query in ("", "?cascade=true"):
        reply = await volumes.member.delete(f"{V3}/volumes/{volume}{query}")
        assert reply.status == 400 and "snapshots" in reply.json["badRequest"]["message"]
    assert (await volumes.shown(volume))["status"] == "available"
    await volumes.member.delete(f"{V3}/snapshots/{snapshot}")
    await volumes.gone(snapshot, "snapshot")
    assert (await volumes.member.delete(f"{V3}/volumes/{volume}?cascade=true")).status == 202
    await volumes.gone(volume)


async def test_only_an_admin_forces_a_delete(volumes: VolumeCloud) -> None:
    path = f"{V3}/volumes/{await volumes.made()}?force=true"
    assert (await volumes.member.delete(path)).status == 403
    assert (await volumes.at("3.22").delete(f"{path}&cascade=nonsense")).status == 400
    assert (await volumes.admin.delete(path)).status == 202


CHANGES: list[Any] = [
    {},
    {"volume": {}},
    {"volume": None},
    {"volume": {"name": 7}},
    {"volume": {"name": "x" * 256}},
    {"volume": {"name": "a\0b"}},
    {"volume": {"size": 2}},
    {"volume": {"name": "a"}, "more": 1},
    {"volume": {"metadata": {"": "b"}}},
    {"volume": {"metadata": {"a": "b" * 256}}},
    {"volume": {"metadata": {"a": 1}}},
]


async def test_what_can_t_be_changed_is_refused(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    for body in CHANGES:
        reply = await volumes.member.put(f"{V3}/volumes/{volume}", body)
        assert (reply.status, list(reply.json)) == (400, ["badRequest"]), body


async def test_nothing_is_changed_before_a_pool_has_it(volumes: VolumeCloud) -> None:
    reply = await volumes.asked(availability_zone="north", size=201)
    volume = reply.json["volume"]["id"]
    await volumes.settled(volume, "error")
    reply = await volumes.member.put(f"{V3}/volumes/{volume}", {"volume": {"name": "other"}})
    assert (reply.status, reply.json["conflictingRequest"]["code"]) == (409, 409)
    assert (await volumes.member.delete(f"{V3}/volumes/{volume}")).status == 202
    await volumes.gone(volume)


async def test_a_name_in_the_place_of_an_id_is_missed_cleanly(volumes: VolumeCloud) -> None:
    for name in ("disk", "../../etc", "%00", "%F0%9F%92%BE", "x" * 500):
        for noun in ("volumes", "snapshots", "types"):
            reply = await volumes.member.get(f"{V3}/{noun}/{name}")
            assert reply.status == 404 and reply.json["itemNotFound"]["code"] == 404, name


async def test_later_versions_say_more(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    first, last = [(await volumes.at(mv).get(f"{V3}/volumes/{volume}")).json["volume"] for mv in ("3.0", "3.71")]
    assert set(last) - set(first) == {
        *("group_id", "shared_targets", "service_uuid", "volume_type_id", "consumes_quota"),
    }
