"""Volume workers as services, and their zones."""

from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_volume_create import said


async def test_volume_workers_are_services_that_are_up_while_they_are_heard(volumes: VolumeCloud) -> None:
    rows = (await volumes.admin.get(f"{V3}/os-services")).json["services"]
    assert [(row["binary"], row["host"].partition("@")[0], row["zone"]) for row in rows] == [
        ("cinder-volume", "pool-default", "default"),
        ("cinder-volume", "pool-north", "north"),
    ]
    assert {(row["status"], row["state"], row["backend_state"]) for row in rows} == {("enabled", "up", "up")}
    volumes.api.clock.waited_s += 60
    rows = (await volumes.admin.get(f"{V3}/os-services?host={rows[0]['host']}&binary=cinder-volume")).json["services"]
    assert [row["state"] for row in rows] == ["down"]
    assert (await volumes.admin.get(f"{V3}/os-services?binary=cinder-backup")).json == {"services": []}
    assert "cluster" not in (await volumes.at("3.6", volumes.admin).get(f"{V3}/os-services")).json["services"][0]
    assert (await volumes.member.get(f"{V3}/os-services")).status == 403


async def test_a_service_isn_t_changed_here(volumes: VolumeCloud) -> None:
    reply = await volumes.admin.put(f"{V3}/os-services/disable", {"host": "pool-default", "binary": "cinder-volume"})
    assert reply.status == 400 and "disable" in said(reply)


async def test_zones_are_the_clusters_that_have_pools(volumes: VolumeCloud) -> None:
    reply = await volumes.member.get(f"{V3}/os-availability-zone")
    assert reply.json["availabilityZoneInfo"] == [
        {"zoneName": "default", "zoneState": {"available": True}},
        {"zoneName": "north", "zoneState": {"available": True}},
    ]
