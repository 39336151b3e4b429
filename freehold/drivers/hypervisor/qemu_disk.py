"""A guest's disk and config drive, made so that a crash leaves either the whole one or none.

``qemu-img`` is told every format (without, a disk's own bytes would choose, and could name any file of this machine),
and never opens the base image at all: its size is read by `base_image`.
"""

import asyncio
from pathlib import Path

from freehold.drivers.hypervisor.base_image import virtual_size
from freehold.drivers.hypervisor.config_drive import config_drive
from freehold.drivers.hypervisor.guest_folder import DiskOrigin, GuestFolder
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan
from freehold.drivers.hypervisor.names import check_disk_size
from freehold.drivers.qemu.records import sync, write_whole
from freehold.drivers.qemu.tool import run, trouble
from freehold.vocabulary.errors import BadRequest


async def make_without_disk(folder: GuestFolder) -> None:
    """Writes down that a guest boots from a volume. Raises as Hypervisor.make_disk."""
    try:
        await asyncio.to_thread(folder.keep_origin, DiskOrigin(base="", base_format="", size_gib=0))
    except OSError as error:
        raise trouble("What there is of the guest", error) from error


async def make_overlay(tool: str, folder: GuestFolder, plan: DiskPlan, base_image: Path) -> None:
    """Makes the root disk of a guest that has none. `tool`: the program ``qemu-img``. Raises as
    Hypervisor.make_disk."""
    if not base_image.is_absolute():
        raise BadRequest("The path of a base image must be absolute.")
    check_disk_size(plan.size_gib, virtual_size(base_image, plan.base_format))
    new = folder.disk.with_name("disk.qcow2.new")
    try:
        origin = DiskOrigin(base=str(base_image), base_format=plan.base_format, size_gib=plan.size_gib)
        await asyncio.to_thread(folder.keep_origin, origin)
        base = ("-u", "-b", str(base_image), "-F", plan.base_format)
        arguments = ("create", "-q", "-f", "qcow2", *base, str(new), f"{plan.size_gib}G")
        await run(tool, *arguments, what="The disk")
        await asyncio.to_thread(sync, new)
        new.replace(folder.disk)
        await asyncio.to_thread(sync, folder.path)
    except OSError as error:
        raise trouble("The disk", error) from error
    finally:
        new.unlink(missing_ok=True)
        if not folder.disk.exists():
            folder.discard_origin()


async def make_drive(folder: GuestFolder, drive: ConfigDrive) -> None:
    """Makes the config drive, replacing one that is there. Raises as Hypervisor.make_config_drive."""
    try:
        await asyncio.to_thread(lambda: write_whole(folder.config_drive, config_drive(drive.files)))
    except OSError as error:
        raise trouble("The config drive", error) from error
