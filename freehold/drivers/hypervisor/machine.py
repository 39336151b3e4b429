"""What a machine has to give to guests."""

import os
import socket
from pathlib import Path

from freehold.drivers.hypervisor.interface import Plan
from freehold.vocabulary.errors import Broken


def vcpus(overcommit: float) -> int:
    """Processors this process may use, times `overcommit`."""
    return max(1, int(len(os.sched_getaffinity(0)) * overcommit))


def ram_mib(overcommit: float, reserved_mib: int) -> int:
    """The machine's memory in MiB without `reserved_mib` for itself, times `overcommit`."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return max(0, int((int(line.split()[1]) // 1024 - reserved_mib) * overcommit))
    return 0


def disk_gib(folder: Path) -> int:
    """GiB that guests in `folder` can have: what its file system has free and what their disks already take of it."""
    state = os.statvfs(folder)
    taken = sum(path.stat().st_blocks * 512 for path in folder.glob("*/disk.qcow2"))
    return (state.f_bavail * state.f_frsize + taken) >> 30


def check_taps(plan: Plan) -> None:
    """Raises Broken unless every tap is there: QEMU would make one itself, on no bridge and behind no filter."""
    there = {name for _, name in socket.if_nameindex()}
    for nic in plan.nics:
        if nic.tap not in there:
            raise Broken(f"The tap {nic.tap} of guest {plan.guest} isn't there.")
