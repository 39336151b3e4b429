"""A process that launches a guest and then waits to be killed: `qemu_child.py FOLDER GUEST IMAGE`."""

import asyncio
import sys
from pathlib import Path

from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Plan
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.secret import Secret


async def main(folder: Path, guest: str, image: Path) -> None:
    """Launches the guest, says ``launched`` and holds its monitor."""
    driver = QemuHypervisor(folder, SystemClock())
    await driver.make_disk(DiskPlan(guest=guest, base=image, base_format="qcow2", size_gib=1))
    meta_data = Secret(f'{{"uuid": "{guest}", "hostname": "orchard"}}')
    await driver.make_config_drive(ConfigDrive(guest=guest, files={"openstack/latest/meta_data.json": meta_data}))
    await driver.launch(Plan(guest=guest, name="orchard", vcpus=1, ram_mib=128, nics=()))
    print("launched", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
