"""Volumes as QEMU is told of them."""

import json
from typing import Any

import pytest

from freehold.drivers.hypervisor import volume_disks
from freehold.drivers.hypervisor.interface import Plan
from freehold.drivers.hypervisor.names import DISKS_MAX, check_disk, check_plan
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import BadRequest

GUEST = "11111111-2222-4333-8444-555555555555"


def a_disk(number: int = 1, **fields: Any) -> RemoteDisk:
    given: dict[str, Any] = {
        "attachment": f"00000000-0000-4000-8000-0000000003{number:02}",
        "volume": f"abcdef01-2345-4789-8abc-0000000000{number:02}",
        "size_bytes": 1 << 30,
        "host": "192.0.2.7",
        "port": 10809,
        "export": f"volume.{number}",
        "server_name": "pool-one",
        "credentials": "/var/lib/keys",
    }
    return RemoteDisk(**{**given, **fields})


def test_everything_of_a_volume_is_named_after_its_attachment_and_found_by_that() -> None:
    disk = a_disk()
    device = volume_disks.device_of(disk.attachment)
    assert volume_disks.attachment_of(device) == disk.attachment
    assert len(volume_disks.node_of(disk.attachment)) <= 31
    for other in ("disk", "nic0", "d-", "d-nonsense", "config-drive", "rng"):
        assert volume_disks.attachment_of(other) is None


def test_a_guest_that_begins_with_volumes_has_each_in_a_port_of_its_own_behind_its_interfaces() -> None:
    words = volume_disks.arguments((a_disk(1), a_disk(2)), 3)
    objects, nodes, devices = ([json.loads(words[at + 1]) for at, w in enumerate(words) if w == o] for o in OPTIONS)
    assert [device["bus"] for device in devices] == ["port3", "port4"]
    assert [device["serial"] for device in devices] == ["abcdef01-2345-4789-8", "abcdef01-2345-4789-8"]
    assert [device["drive"] for device in devices] == [node["node-name"] for node in nodes]
    assert [node["tls-creds"] for node in nodes] == [one["id"] for one in objects]
    assert all(one["verify-peer"] and one["endpoint"] == "client" for one in objects)
    assert {node["tls-hostname"] for node in nodes} == {"pool-one"}
    assert {(device["rerror"], device["werror"]) for device in devices} == {("stop", "stop")}


OPTIONS = ("-object", "-blockdev", "-device")


def test_the_first_port_that_has_nothing_in_it_is_free() -> None:
    def port(number: int, *devices: str) -> dict[str, Any]:
        return {"qdev_id": f"port{number}", "pci_bridge": {"devices": [{"qdev_id": one} for one in devices]}}

    buses = [{"bus": 0, "devices": [{"qdev_id": "rng"}, port(10), port(9), port(0, "nic0"), port(1, "d-x")]}]
    assert volume_disks.free_port(buses) == "port9"
    assert volume_disks.free_port([{"bus": 0, "devices": [port(0, "nic0")]}]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"attachment": "x"},
        {"volume": "../v"},
        {"export": "v,1"},
        {"host": "a b"},
        {"host": "a,server=b"},
        {"server_name": ""},
        {"port": 0},
        {"credentials": "relative"},
        {"credentials": "/a,b"},
    ],
)
def test_what_no_pool_would_say_is_refused(fields: dict[str, Any]) -> None:
    check_disk(a_disk())
    with pytest.raises(BadRequest):
        check_disk(a_disk(**fields))


def test_a_guest_has_no_more_than_it_has_ports_for() -> None:
    disks = tuple(a_disk(number) for number in range(DISKS_MAX + 1))
    check_plan(Plan(guest=GUEST, name="", vcpus=1, ram_mib=64, nics=(), disks=disks[1:]))
    with pytest.raises(BadRequest, match="at most"):
        check_plan(Plan(guest=GUEST, name="", vcpus=1, ram_mib=64, nics=(), disks=disks))
