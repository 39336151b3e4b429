"""QEMU's command line: pure, from the plan to its arguments.

Everything is named and nothing is guessed: a versioned machine, so that a guest keeps its hardware when QEMU is
upgraded; every disk with its format, so that no bytes of a tenant choose how they are read; no default devices, no
configuration of the user's. Paths are relative to the guest's folder, where the process is started, unless they lead
out of it.
"""

import json
import re
from typing import Any

from freehold.drivers.hypervisor import volume_disks
from freehold.drivers.hypervisor.guest_folder import DiskOrigin
from freehold.drivers.hypervisor.interface import Nic, Plan
from freehold.drivers.hypervisor.names import DISKS_MAX
from freehold.vocabulary.word import Word

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
SPARE_PORTS = DISKS_MAX
"""PCIe ports for volumes, and for what else is plugged in while the guest runs."""
TRANSLATION_MIB = 128
"""TCG's cache of translated code. Its default is an eighth of the machine's memory for each guest. Where it is too
small it is emptied and filled anew: with 32 MiB a small guest's boot took a third more CPU time, with 128 a tenth.
"""
_PORTS_SLOT = 8
"""The first slot of the root complex that holds PCIe ports, eight to a slot."""


class Platform(Word, frozen=True, kw_only=True):
    """What a machine runs its guests with."""

    accelerator: str
    """``kvm`` or ``tcg``."""
    machine: str
    """Versioned, such as ``pc-q35-7.2``."""


def accelerator_arguments(accelerator: str) -> list[str]:
    """The accelerator and the CPU that goes with it: the machine's own, or all that can be emulated."""
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", f"tcg,thread=multi,tb-size={TRANSLATION_MIB}", "-cpu", "max"]


def arguments(platform: Platform, plan: Plan, disk: DiskOrigin, *, config_drive: bool, monitor: int) -> list[str]:
    """All arguments after the program's name. `monitor`: the inherited descriptor of the monitor's listening socket.

    The guest's name stays out: it is a tenant's text, and anybody on the machine can read a command line.
    """
    return [
        *("-name", f"guest={plan.guest},debug-threads=on", "-uuid", plan.guest),
        # The product's name is how cloud-init knows that there is an OpenStack metadata service.
        *("-smbios", f"type=1,manufacturer=Freehold,product=OpenStack Compute,uuid={plan.guest}"),
        *("-machine", f"{platform.machine},usb=off,vmport=off,dump-guest-core=off"),
        *accelerator_arguments(platform.accelerator),
        *("-smp", f"cpus={plan.vcpus}", "-m", f"size={plan.ram_mib}M", "-rtc", "base=utc,driftfix=slew"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-shutdown", "-boot", "menu=off,strict=on"),
        *("-sandbox", SANDBOX),
        *("-chardev", f"socket,id=monitor,fd={monitor},server=on,wait=off", "-mon", "chardev=monitor,mode=control"),
        *("-chardev", "socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on"),
        *("-serial", "chardev:console"),
        *(_root_disk(disk) if disk.base else []),
        *(_config_drive() if config_drive else []),
        *("-device", "virtio-rng-pci,id=rng,bus=pcie.0,addr=0x4"),
        *("-device", "virtio-balloon-pci,id=balloon,bus=pcie.0,addr=0x5"),
        *pluggable_ports(len(plan.nics) + SPARE_PORTS),
        *(argument for number, nic in enumerate(plan.nics) for argument in _nic(number, nic)),
        *volume_disks.arguments(plan.disks, len(plan.nics)),
    ]


def _root_disk(disk: DiskOrigin) -> list[str]:
    base: dict[str, Any] = {
        "driver": disk.base_format,
        "node-name": "base",
        "read-only": True,
        "file": {"driver": "file", "filename": disk.base, "read-only": True},
    }
    if disk.base_format == "qcow2":
        base["backing"] = None  # whatever its header says
    root = {
        "driver": "qcow2",
        "node-name": "root",
        "discard": "unmap",
        "file": {"driver": "file", "filename": "disk.qcow2", "discard": "unmap", "locking": "auto"},
        "backing": base,
    }
    device = "virtio-blk-pci,id=disk,drive=root,bus=pcie.0,addr=0x2,bootindex=1,serial=root"
    return ["-blockdev", json.dumps(root), "-device", device]


def _config_drive() -> list[str]:
    node = {
        "driver": "raw",
        "node-name": "config",
        "read-only": True,
        "file": {"driver": "file", "filename": "config.iso", "read-only": True},
    }
    return ["-blockdev", json.dumps(node), "-device", "virtio-blk-pci,id=config-drive,drive=config,bus=pcie.0,addr=0x3"]


def pluggable_ports(count: int) -> list[str]:
    """PCIe ports, named port0 and on: only what sits behind one can be plugged and unplugged while the guest runs."""
    ports: list[str] = []
    for number in range(count):
        slot, function = _PORTS_SLOT + number // 8, number % 8
        address = f"bus=pcie.0,addr={slot:#x}.{function:#x},multifunction=on"
        ports += ["-device", f"pcie-root-port,id=port{number},chassis={number + 1},{address}"]
    return ports


def _nic(number: int, nic: Nic) -> list[str]:
    # No boot from the network: the ROM would only cost time.
    identity = f"id=nic{number},netdev=net{number},bus=port{number},mac={nic.mac}"
    device = f"virtio-net-pci,{identity},host_mtu={nic.mtu},romfile="
    return ["-netdev", f"tap,id=net{number},ifname={nic.tap},script=no,downscript=no", "-device", device]


def newest_machine(listing: str) -> str | None:
    """The machine to give guests, from the output of ``-machine help``: q35 of 7.2, else the newest; None without any.

    7.2 is what a guest can be moved with between machines of different age.
    """
    matches = re.finditer(r"^pc-q35-(\d+\.\d+)(?=\s)", listing, re.MULTILINE)
    found = {match.group(1): match.group(0) for match in matches}
    if "7.2" in found:
        return found["7.2"]
    newest = max(found, key=lambda version: tuple(int(part) for part in version.split(".")), default=None)
    return found[newest] if newest else None
