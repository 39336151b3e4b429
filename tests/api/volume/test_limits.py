"""Limits."""

from tests.api.volume.conftest import V3, VolumeCloud


async def test_limits_are_quota_and_use_in_one(volumes: VolumeCloud) -> None:
    await volumes.made(size=3)
    limits = (await volumes.member.get(f"{V3}/limits")).json["limits"]
    assert limits["rate"] == []
    absolute = limits["absolute"]
    assert (absolute["maxTotalVolumes"], absolute["totalVolumesUsed"]) == (10, 1)
    assert (absolute["maxTotalVolumeGigabytes"], absolute["totalGigabytesUsed"]) == (1000, 3)


async def test_an_admin_asks_for_another_project_s(volumes: VolumeCloud) -> None:
    await volumes.made()
    path = f"{V3}/limits?project_id={volumes.api.project}"
    assert (await volumes.admin.get(path)).json["limits"]["absolute"]["totalVolumesUsed"] == 1
    assert (await volumes.at("3.38", volumes.admin).get(path)).json["limits"]["absolute"]["totalVolumesUsed"] == 0
    assert (await volumes.other.get(path)).status == 403
