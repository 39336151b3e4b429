"""QEMU's command line."""

import itertools
import json

from freehold.drivers.hypervisor.guest_folder import DiskOrigin
from freehold.drivers.hypervisor.interface import Nic, Plan
from freehold.drivers.hypervisor.names import DISKS_MAX
from freehold.drivers.hypervisor.qemu_command import Platform, arguments, newest_machine

GUEST = "0cca1991-394f-430f-bed5-f0ca5be05779"
NIC = Nic(port="p", mac="fa:16:3e:00:00:01", tap="fh0", mtu=1450)
PLAN = Plan(guest=GUEST, name="evil,path=/etc/shadow", vcpus=2, ram_mib=512, nics=(NIC,))
TCG = Platform(accelerator="tcg", machine="pc-q35-7.2")
QCOW2 = DiskOrigin(base="/images/a,b", base_format="qcow2", size_gib=1)


def words(plan: Plan = PLAN, disk: DiskOrigin = QCOW2, *, drive: bool = False, platform: Platform = TCG) -> list[str]:
    return arguments(platform, plan, disk, config_drive=drive, monitor=7)


def values(option: str, command: list[str]) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


def test_no_format_is_left_to_be_guessed() -> None:
    for disk in (QCOW2, DiskOrigin(base="/images/raw", base_format="raw", size_gib=1)):
        (root,) = (json.loads(node) for node in values("-blockdev", words(disk=disk)))
        assert (root["driver"], root["file"]["filename"]) == ("qcow2", "disk.qcow2")
        base = root["backing"]
        assert (base["driver"], base["file"]["filename"], base["read-only"]) == (disk.base_format, disk.base, True)
        assert (disk.base_format != "qcow2") or base["backing"] is None


def test_the_name_that_a_tenant_gave_stays_out() -> None:
    assert not [word for word in words() if "evil" in word]


def test_a_config_drive_is_read_only() -> None:
    assert len(values("-blockdev", words())) == 1
    drive = json.loads(values("-blockdev", words(drive=True))[1])
    assert drive["read-only"] and drive["driver"] == "raw"


def test_kvm_gives_the_machines_own_processor_and_tcg_a_small_cache() -> None:
    assert values("-cpu", words(platform=Platform(accelerator="kvm", machine="pc-q35-9.0"))) == ["host"]
    assert values("-accel", words()) == ["tcg,thread=multi,tb-size=128"]


def test_the_process_is_closed_in() -> None:
    command = words()
    assert values("-sandbox", command) == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    assert "-nodefaults" in command and "-no-user-config" in command and "-daemonize" not in command


def test_each_interface_has_its_tap_its_mtu_and_a_port_of_its_own() -> None:
    nics = tuple(Nic(port="p", mac=f"fa:16:3e:00:00:{n:02x}", tap=f"fh{n}", mtu=1400 + n) for n in range(20))
    command = words(Plan(guest=GUEST, name="", vcpus=1, ram_mib=64, nics=nics))
    devices = [device for device in values("-device", command) if device.startswith("virtio-net-pci")]
    assert len(devices) == len(nics) == len({device.split("bus=")[1].split(",")[0] for device in devices})
    assert "mac=fa:16:3e:00:00:13" in devices[19] and "host_mtu=1419" in devices[19]
    assert "tap,id=net19,ifname=fh19,script=no,downscript=no" in values("-netdev", command)
    ports = [device for device in values("-device", command) if device.startswith("pcie-root-port")]
    addresses = {device.split("addr=")[1].split(",")[0] for device in ports}
    assert len(ports) == len(addresses) == 20 + DISKS_MAX


def test_the_machine_is_versioned() -> None:
    listing = "pc-q35-{} Standard PC\nq35 Standard PC (alias of pc-q35-9.1)\npc-q35-8.2 Standard PC\n"
    assert newest_machine(listing.format("10.0")) == "pc-q35-10.0"
    assert newest_machine(listing.format("7.2")) == "pc-q35-7.2"
    assert newest_machine("microvm microvm\n") is None
