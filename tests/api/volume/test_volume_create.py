"""What may be asked for, and what comes of it."""

from typing import Any

from freehold.vocabulary.volume import SIZE_GIB_MAX
from tests.api.asgi import Reply
from tests.api.conftest import Api
from tests.api.volume.conftest import V3, VolumeCloud

NOBODY = "00000000-0000-4000-8000-000000000000"


def said(reply: Reply) -> str:
    (fault,) = reply.json.values()
    return str(fault["message"])


FIELDS: list[tuple[Any, int]] = [
    ({}, 202),
    ({"size": "2"}, 202),
    ({"size": 0}, 400),
    ({"size": -1}, 400),
    ({"size": 1.5}, 400),
    ({"size": "1.5"}, 400),
    ({"size": True}, 400),
    ({"size": None}, 400),
    ({"size": SIZE_GIB_MAX + 1}, 400),
    ({"size": 10**300}, 400),
    ({"size": "9" * 5000}, 400),
    ({"name": None, "description": None, "metadata": None, "volume_type": None}, 202),
    ({"display_name": "old", "display_description": "client"}, 202),
    ({"name": "a\nb"}, 400),
    ({"name": "x" * 256}, 400),
    ({"metadata": {"a": None}}, 400),
    ({"metadata": {str(n): "" for n in range(129)}}, 413),
    ({"availability_zone": "nowhere"}, 400),
    ({"availability_zone": "north"}, 202),
    ({"volume_type": "fast"}, 404),
    ({"snapshot_id": NOBODY}, 404),
    ({"source_volid": NOBODY}, 404),
    ({"source_volid": "../.."}, 404),
    ({"imageRef": NOBODY}, 400),
    ({"imageRef": NOBODY, "snapshot_id": NOBODY}, 400),
    ({"multiattach": False}, 202),
    ({"multiattach": True}, 400),
    ({"multiattach": "perhaps"}, 400),
    ({"backup_id": NOBODY}, 400),
    ({"group_id": NOBODY}, 400),
    ({"consistencygroup_id": None, "backup_id": None, "snapshot_id": None, "source_volid": None}, 202),
    ({"OS-SCH-HNT:scheduler_hints": {"same_host": [NOBODY]}}, 400),
    ({"status": "creating", "attach_status": "detached", "user_id": None, "project_id": None}, 202),
    ({"host": "pool"}, 400),
]


async def test_what_may_be_said_of_a_new_volume(volumes: VolumeCloud) -> None:
    await volumes.admin.put(f"{V3}/os-quota-sets/{volumes.api.project}", {"quota_set": {"volumes": -1}})
    for fields, status in FIELDS:
        reply = await volumes.asked(**fields)
        assert reply.status == status, (fields, reply.body)


async def test_a_body_that_isn_t_one_is_refused(volumes: VolumeCloud) -> None:
    bodies: list[Any] = [{}, {"volume": None}, {"volume": []}, [], {"volume": {"size": 1}, "more": 1}, "x", b"{", b""]
    for body in bodies:
        reply = await volumes.member.post(f"{V3}/volumes", body)
        assert (reply.status, list(reply.json)) == (400, ["badRequest"]), body


async def test_hints_beside_the_volume_are_refused_as_well(volumes: VolumeCloud) -> None:
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"query": "x"}}
    assert (await volumes.member.post(f"{V3}/volumes", body)).status == 400
    body["OS-SCH-HNT:scheduler_hints"] = {}
    assert (await volumes.member.post(f"{V3}/volumes", body)).status == 202


async def test_the_quota_is_held(volumes: VolumeCloud) -> None:
    path = f"{V3}/os-quota-sets/{volumes.api.project}"
    limits = {"quota_set": {"volumes": 2, "gigabytes": 5, "per_volume_gigabytes": 3}}
    assert (await volumes.admin.put(path, limits)).status == 200
    too_large = await volumes.asked(size=4)
    assert (too_large.status, list(too_large.json)) == (413, ["overLimit"])
    await volumes.create(size=3)
    assert "gigabytes" in said(await volumes.asked(size=3))
    await volumes.create(size=1)
    reply = await volumes.asked(size=1)
    assert reply.status == 413 and "volumes" in said(reply)
    assert (await volumes.asked(volumes.other, size=4)).status == 202


async def test_a_request_with_a_key_is_done_once(volumes: VolumeCloud) -> None:
    key, body = {"idempotency-key": "k"}, {"volume": {"size": 1}}
    first, again = [await volumes.member.ask("POST", f"{V3}/volumes", body, key) for _ in range(2)]
    assert (first.status, again.status) == (202, 202)
    assert first.json["volume"]["id"] == again.json["volume"]["id"]
    assert first.headers["x-openstack-request-id"] == again.headers["x-openstack-request-id"]
    other = await volumes.member.ask("POST", f"{V3}/volumes", {"volume": {"size": 2}}, key)
    assert (other.status, list(other.json)) == (409, ["conflictingRequest"])
    assert (await volumes.other.ask("POST", f"{V3}/volumes", {"volume": {"size": 2}}, key)).status == 202
    assert len(await volumes.ids()) == 1
    too_long = {"idempotency-key": "k" * 256}
    assert (await volumes.member.ask("POST", f"{V3}/volumes", body, too_long)).status == 400


async def test_a_volume_that_no_pool_has_room_for_is_in_error(volumes: VolumeCloud) -> None:
    volume = await volumes.create(size=500)
    assert (await volumes.settled(volume, "error"))["size"] == 500


async def test_a_zone_is_kept_to(volumes: VolumeCloud) -> None:
    volume = await volumes.made(availability_zone="north")
    assert (await volumes.shown(volume))["availability_zone"] == "north"


async def test_who_is_signed_in_for_no_project_makes_no_volume(volumes: VolumeCloud, api: Api) -> None:
    unscoped = api.nobody.with_token(await api.sign_in("maria", "correct horse", None))
    assert (await unscoped.post(f"{V3}/volumes", {"volume": {"size": 1}})).status == 403
    assert (await api.nobody.post(f"{V3}/volumes", {"volume": {"size": 1}})).status == 401


async def test_a_reader_reads(volumes: VolumeCloud, api: Api) -> None:
    await api.new_user("rita", "lib", "reader")
    reader = api.nobody.with_token(await api.sign_in("rita", "correct horse", "lib"))
    assert (await reader.post(f"{V3}/volumes", {"volume": {"size": 1}})).status == 403
    assert (await reader.get(f"{V3}/volumes/detail")).json == {"volumes": []}
