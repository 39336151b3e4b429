"""What a real host runs guests with."""

from pathlib import Path
from typing import Final

from freehold.config import Settings
from freehold.drivers.fabric.beyond import beyond_of
from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.fabric.linux import LinuxFabric
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import Offload

SOME_HOST: Final = "00000000-0000-4000-8000-000000000000"
"""For a machine that is only to be probed."""


def machine(settings: Settings, folder: Path, host: str, offload: Offload) -> tuple[Hypervisor, Fabric]:
    """This machine's hypervisor and fabric, over a state folder."""
    fabric = LinuxFabric(host, folder / "fabric", offload, beyond=beyond_of(settings))
    return QemuHypervisor(folder / "guests", SystemClock()), fabric
