"""A guest's disk and config drive, made so that a crash leaves either the whole one or none.

``qemu-img`` is told every format (without, a disk's own bytes would choose, and could name any file of this machine),
and never opens the base image at all: its size is read by `base_image`.
"""

import asyncio
import errno
import os

from freehold.drivers.hypervisor.base_image import virtual_size
from freehold.drivers.hypervisor.config_drive import config_drive
from freehold.drivers.hypervisor.guest_folder import DiskOrigin, GuestFolder, write_whole
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan
from freehold.drivers.hypervisor.names import check_disk_size
from freehold.vocabulary.errors import BadRequest, Broken, FreeholdError, NoRoom

TOOL_S = 60.0
"""How long ``qemu-img`` may take: it writes a header."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


async def make_overlay(tool: str, folder: GuestFolder, plan: DiskPlan) -> None:
    """Makes the root disk of a guest that has none. `tool`: the program ``qemu-img``. Raises as
    Hypervisor.make_disk."""
    if not plan.base.is_absolute():
        raise BadRequest("The path of a base image must be absolute.")
    check_disk_size(plan.size_gib, virtual_size(plan.base, plan.base_format))
    new = folder.disk.with_name("disk.qcow2.new")
    try:
        origin = DiskOrigin(base=str(plan.base), base_format=plan.base_format, size_gib=plan.size_gib)
        await asyncio.to_thread(folder.keep_origin, origin)
        base = ("-u", "-b", str(plan.base), "-F", plan.base_format)
        await _run(tool, "create", "-q", "-f", "qcow2", *base, str(new), f"{plan.size_gib}G")
        await asyncio.to_thread(_sync, str(new))
        new.replace(folder.disk)
        await asyncio.to_thread(_sync, str(folder.path))
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


def trouble(what: str, error: OSError) -> FreeholdError:
    """What an error of the file system means: NoRoom on a full disk, else Broken."""
    if error.errno in _FULL:
        return NoRoom(f"{what} can't be made: the disk of the machine is full.")
    return Broken(f"{what} can't be made: {error.strerror or error}.")


async def _run(program: str, *arguments: str) -> None:
    """Raises NoRoom or Broken with what the program complained of."""
    try:
        child = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise Broken(f"The program {program} isn't installed (Debian's package qemu-utils has it).") from error
    try:
        async with asyncio.timeout(TOOL_S):
            _, complaint = await child.communicate()
    except TimeoutError as error:
        raise Broken(f"{program} didn't finish in {TOOL_S:.0f} seconds.") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise _refusal(program, complaint.decode(errors="replace").strip()[-300:])


def _refusal(program: str, complaint: str) -> FreeholdError:
    if any(os.strerror(number) in complaint for number in _FULL):
        return NoRoom("The disk can't be made: the disk of the machine is full.")
    return Broken(f"{program} failed: {complaint or 'it said nothing'}.")


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
