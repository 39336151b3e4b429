"""Pools, as Cinder's scheduler tells of them."""

from tests.api.conftest import Api
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.pools import CAPACITY_GIB


async def test_pools_are_listed_with_their_room(volumes: VolumeCloud) -> None:
    await volumes.made(size=5)
    path = f"{V3}/scheduler-stats/get_pools"
    first, second = (await volumes.admin.get(f"{path}?detail=True")).json["pools"]
    assert first["name"].endswith("#pool-default") and first["name"].startswith("pool-default@")
    room = first["capabilities"]
    assert (room["total_capacity_gb"], room["free_capacity_gb"], room["allocated_capacity_gb"]) == (
        *(CAPACITY_GIB, CAPACITY_GIB - 5, 5),
    )
    assert second["capabilities"]["free_capacity_gb"] == CAPACITY_GIB
    assert list((await volumes.admin.get(path)).json["pools"][0]) == ["name"]
    assert (await volumes.member.get(path)).status == 403


async def test_a_cloud_without_pools_has_no_volumes_and_says_so_quickly(api: Api) -> None:
    for path, noun in (
        ("volumes/detail", "volumes"),
        ("snapshots", "snapshots"),
        ("os-availability-zone", "availabilityZoneInfo"),
    ):
        assert (await api.member.get(f"{V3}/{path}")).json == {noun: []}
    assert (await api.admin.get(f"{V3}/os-services")).json == {"services": []}
    assert (await api.member.get(f"{V3}/volumes/none")).status == 404
    body = {"volume": {"size": 1, "availability_zone": "default"}}
    assert (await api.member.post(f"{V3}/volumes", body)).status == 400
