"""What this machine can run guests with, found out by booting something.

That ``/dev/kvm`` opens says little: inside some virtual machines it opens, QEMU starts, and the guest hangs before its
kernel says a word. So a boot sector does what a kernel does on its way up (its source: `probe_sector.S`), with a
deadline. It takes a third of a second, seconds where it fails, and is remembered until the machine, its kernel or QEMU
changes.
"""

import asyncio
import base64
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from freehold.drivers.hypervisor.qemu_command import SANDBOX, Platform, accelerator_arguments, newest_machine
from freehold.drivers.qemu.records import write_whole
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

BOOT_S = {"kvm": 4.0, "tcg": 20.0}
"""How long the boot sector may take. Emulation is slow on a busy machine and can't hang; KVM needs milliseconds."""
LISTING_S = 20.0
_PASSED = 33
_DEVICE = Path("/dev/kvm")

SECTOR = (
    base64.b64decode(
        "+vwxwI7YjsCO0Ga8AHwAAL8AELkAGPOrxwYAEAMgxwYAIAMwxwYAMIMAZrgAEAAADyLYDyDgDCAPIuBmuYAAAMAPMoDMAQ8wDwEW"
        "CH1muAEAAIAPIsDqW3wIAGa4EACO2I7AjtC/AEIAALjkfAAAZokHZsdHAggAZsdHBACOZsdHBgAASMdHCAAAAAAPARwlDn0AALAR"
        "5iCwIOYhsATmIbAB5iGw/uYhsDTmQ7Cc5kCwLuZAMdu5AC0xAQEMJQBgAABr0R8xFCUIYAAA/8l16/v0g/sFcvpmuvQAuBAAAADv"
        "9Ov9/8OwIOYgSM8PH0AAAAAAAAAAAAD//wAAAJqvAP//AAAAks8AFwDwfAAADwIAQA=="
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


class Found(Word, frozen=True, kw_only=True):
    """The outcome of a probe."""

    platform: Platform
    reason: str
    """Why that accelerator: a sentence."""
    version: str
    """QEMU's, such as ``7.2.22``."""
    valid_for: str = ""
    """What it was found on."""


def boot_id() -> str:
    """The machine's boot id: another one after each start."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def find_platform(program: str, folder: Path, wanted: str) -> Found:
    """What to run guests with. `folder`: keeps the outcome. `wanted`: ``auto``, ``kvm`` or ``tcg``.

    Raises Broken, saying what to install, if guests can't be run.
    """
    path = shutil.which(program)
    if path is None:
        raise Broken(f"The program {program} isn't installed (Debian's package qemu-system-x86 has it).")
    memory = folder / "probe.json"
    valid_for = _valid_for(Path(path), wanted)
    known = _recall(memory)
    if known is not None and known.valid_for == valid_for:
        return known
    found = await _find(path, folder, wanted)
    found = msgspec.structs.replace(found, valid_for=valid_for)
    write_whole(memory, msgspec.json.encode(found))
    return found


def _valid_for(program: Path, wanted: str) -> str:
    """Changes with anything that may change the outcome."""
    state = program.resolve().stat()
    device = os.access(_DEVICE, os.R_OK | os.W_OK)
    return f"{boot_id()} {os.uname().release} {program} {state.st_size} {state.st_mtime_ns} {device} {wanted}"


def _recall(memory: Path) -> Found | None:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Found)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None  # found out anew


async def _find(program: str, folder: Path, wanted: str) -> Found:
    _, version = await _output(program, "--version")
    machine = newest_machine((await _output(program, "-machine", "help"))[1])
    if machine is None:
        raise Broken(f"{program} has no q35 machine; a QEMU for x86-64 of at least 4.0 is needed.")
    words = version.split()
    number = words[words.index("version") + 1] if "version" in words else version[:40]
    accelerator, reason = await _accelerator(program, folder, machine, wanted)
    return Found(platform=Platform(accelerator=accelerator, machine=machine), reason=reason, version=number)


async def _accelerator(program: str, folder: Path, machine: str, wanted: str) -> tuple[str, str]:
    """The accelerator and why."""
    why_not = "TCG was asked for." if wanted == "tcg" else await _try_kvm(program, folder, machine)
    if not why_not:
        return "kvm", "A probe booted under KVM."
    if wanted == "kvm":
        raise Broken(f"KVM was asked for, and can't be used. {why_not}")
    trouble = await boot(program, folder, machine, "tcg")
    if trouble:
        raise Broken(f"Guests can't be run: the probe's boot under TCG {trouble}")
    return "tcg", why_not


async def _try_kvm(program: str, folder: Path, machine: str) -> str:
    """Why KVM can't be used; empty if it can."""
    if not os.access(_DEVICE, os.F_OK):
        return f"There is no {_DEVICE}: guests are emulated, which is slow."
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} may not be opened (is this user in the group kvm?): guests are emulated, which is slow."
    trouble = await boot(program, folder, machine, "kvm")
    return f"{_DEVICE} opens, but a probe's boot under KVM {trouble}" if trouble else ""


async def boot(program: str, folder: Path, machine: str, accelerator: str) -> str:
    """Boots the boot sector. What went wrong, to follow "the boot"; empty if it came up."""
    with tempfile.TemporaryDirectory(prefix="probe.", dir=folder) as scratch:
        disk = Path(scratch) / "disk.raw"
        disk.write_bytes(SECTOR.ljust(1 << 20, b"\0"))  # the BIOS doesn't boot a disk of one sector
        try:
            status, text = await _output(program, *_arguments(machine, accelerator, disk), wait_s=BOOT_S[accelerator])
        except TimeoutError:
            return f"hung for {BOOT_S[accelerator]:.0f} seconds."
    if status == _PASSED:
        return ""
    complaint = text.strip().splitlines()[0] if text.strip() else "without a word"
    return f"failed with status {status} ({complaint.removeprefix('qemu-system-x86_64: ')})."


def _arguments(machine: str, accelerator: str, disk: Path) -> list[str]:
    return [
        *("-machine", machine, *accelerator_arguments(accelerator), "-m", "32", "-sandbox", SANDBOX),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-blockdev", f"driver=raw,node-name=probe,read-only=on,file.driver=file,file.filename={disk}"),
        *("-device", "virtio-blk-pci,drive=probe,bootindex=1"),
    ]


async def _output(program: str, *arguments: str, wait_s: float = LISTING_S) -> tuple[int, str]:
    """The exit status and all output of a program. Raises TimeoutError, having killed it."""
    child = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(wait_s):
            output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, output.decode(errors="replace")
