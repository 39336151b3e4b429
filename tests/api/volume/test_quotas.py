"""Quotas of volumes, beside those of servers."""

from typing import Any

from tests.api.volume.conftest import V3, VolumeCloud

LIMITS = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "per_volume_gigabytes": -1,
    "backups": 0,
    "backup_gigabytes": 0,
    "groups": 0,
}


async def test_quotas_are_shown_set_and_put_back(volumes: VolumeCloud) -> None:
    project = volumes.api.project
    path = f"{V3}/os-quota-sets/{project}"
    assert (await volumes.member.get(path)).json == {"quota_set": {"id": project} | LIMITS}
    changes = {"volumes": 5, "gigabytes": "-1", "backups": 0}
    reply = await volumes.admin.put(path, {"quota_set": changes})
    assert (reply.status, reply.json["quota_set"]) == (200, LIMITS | {"volumes": 5, "gigabytes": -1})
    assert (await volumes.member.get(f"{path}?usage=False")).json["quota_set"]["volumes"] == 5
    assert (await volumes.member.get(f"{path}/defaults")).json == {"quota_set": {"id": project} | LIMITS}
    assert (await volumes.admin.delete(path)).status == 200
    assert (await volumes.member.get(path)).json == {"quota_set": {"id": project} | LIMITS}


async def test_use_is_shown_beside_the_limits(volumes: VolumeCloud) -> None:
    volume = await volumes.made(size=3)
    await volumes.taken(volume)
    await volumes.made(volumes.other, size=7)
    shown = (await volumes.member.get(f"{V3}/os-quota-sets/{volumes.api.project}?usage=True")).json["quota_set"]
    used = {name: shown[name]["in_use"] for name in LIMITS}
    assert used == dict.fromkeys(LIMITS, 0) | {"volumes": 1, "snapshots": 1, "gigabytes": 6}
    assert shown["volumes"] == {"limit": 10, "in_use": 1, "reserved": 0, "allocated": 0}


async def test_quotas_of_servers_stay_as_they_are(volumes: VolumeCloud) -> None:
    project = volumes.api.project
    compute = f"/compute/v2.1/os-quota-sets/{project}"
    before = (await volumes.api.member.get(compute)).json
    await volumes.admin.put(f"{V3}/os-quota-sets/{project}", {"quota_set": {"volumes": 3}})
    assert (await volumes.api.member.get(compute)).json == before
    assert not {"volumes", "snapshots", "gigabytes"} & set(before["quota_set"])
    await volumes.api.admin.put(compute, {"quota_set": {"cores": 7}})
    assert (await volumes.member.get(f"{V3}/os-quota-sets/{project}")).json["quota_set"]["volumes"] == 3
    await volumes.admin.delete(f"{V3}/os-quota-sets/{project}")
    assert (await volumes.api.member.get(compute)).json["quota_set"]["cores"] == 7
    await volumes.made()
    assert (await volumes.api.member.get(f"{compute}/detail")).json["quota_set"]["instances"]["in_use"] == 0


async def test_another_s_quota_is_an_admin_s_to_see_and_to_set(volumes: VolumeCloud) -> None:
    path = f"{V3}/os-quota-sets/{volumes.api.project}"
    assert (await volumes.other.get(path)).status == 403
    assert (await volumes.member.put(path, {"quota_set": {"volumes": 99}})).status == 403
    assert (await volumes.member.delete(path)).status == 403
    assert (await volumes.admin.get(path)).status == 200


async def test_what_can_t_be_a_quota_is_refused(volumes: VolumeCloud) -> None:
    path = f"{V3}/os-quota-sets/{volumes.api.project}"
    given: list[Any] = [{"volumes": -2}, {"volumes": "x"}, {"volumes": 2**40}, {"backups": 1}, {"volumes_fast": 1}]
    for limits in given:
        assert (await volumes.admin.put(path, {"quota_set": limits})).status == 400, limits
    assert (await volumes.admin.put(path, {})).status == 400
    assert (await volumes.admin.put(f"{V3}/os-quota-sets/none", {"quota_set": {"volumes": 1}})).status == 400
