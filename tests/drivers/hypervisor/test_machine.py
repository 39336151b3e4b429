"""What a machine has to give, and what a guest must find on it."""

from pathlib import Path

import pytest

from freehold.drivers.hypervisor import machine
from freehold.drivers.hypervisor.interface import Nic, Plan
from freehold.vocabulary.errors import Broken


def plan(tap: str) -> Plan:
    nic = Nic(port="p", mac="fa:16:3e:00:00:01", tap=tap, mtu=1500)
    return Plan(guest="0cca1991-394f-430f-bed5-f0ca5be05779", name="", vcpus=1, ram_mib=64, nics=(nic,))


def test_a_tap_that_is_missing_is_not_left_to_qemu_to_make() -> None:
    machine.check_taps(plan("lo"))
    with pytest.raises(Broken, match="nosuchtap"):
        machine.check_taps(plan("nosuchtap"))


def test_overcommit_and_reserve_change_what_is_given_out() -> None:
    assert machine.vcpus(16) == 16 * machine.vcpus(1) > 0
    assert machine.ram_mib(1, 0) - machine.ram_mib(1, 100) == 100
    assert machine.ram_mib(1, 1 << 40) == 0


def test_disks_count_as_room_that_guests_have(tmp_path: Path) -> None:
    before = machine.disk_gib(tmp_path)
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "disk.qcow2").write_bytes(bytes(4 << 20))
    assert abs(machine.disk_gib(tmp_path) - before) <= 1
