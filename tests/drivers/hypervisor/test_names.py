"""Plans that must not reach a command line."""

import pytest

from freehold.drivers.hypervisor.interface import Nic, Plan
from freehold.drivers.hypervisor.names import check_disk_size, check_plan
from freehold.vocabulary.errors import BadRequest

GUEST = "0cca1991-394f-430f-bed5-f0ca5be05779"
MAC, TAP, MTU = "fa:16:3e:00:00:01", "fh01234567890ab", 1500


def plan(mac: str, tap: str, mtu: int) -> Plan:
    return Plan(guest=GUEST, name="x", vcpus=1, ram_mib=64, nics=(Nic(port="p", mac=mac, tap=tap, mtu=mtu),))


def test_a_good_plan_passes() -> None:
    check_plan(plan(MAC, TAP, MTU))


@pytest.mark.parametrize(
    ("mac", "tap", "mtu"),
    [
        (MAC + ",romfile=/etc/shadow", TAP, MTU),
        ("01:00:5e:00:00:01", TAP, MTU),  # a group's address
        (MAC, "a,script=/bin/sh", MTU),
        (MAC, "..", MTU),
        (MAC, "sixteen-letters-", MTU),
        (MAC, TAP, 0),
        (MAC, TAP, 1 << 20),
    ],
)
def test_an_interface_that_is_none_is_refused(mac: str, tap: str, mtu: int) -> None:
    with pytest.raises(BadRequest):
        check_plan(plan(mac, tap, mtu))


def test_a_disk_that_is_too_small_says_how_large_it_must_be() -> None:
    check_disk_size(2, 2 << 30)
    with pytest.raises(BadRequest, match="needs 3 GiB"):
        check_disk_size(2, (2 << 30) + 1)
