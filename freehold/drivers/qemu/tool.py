"""QEMU's tools that end by themselves, such as ``qemu-img``: in a minimal environment, and bounded.

They read bytes that strangers made, so besides the time that they may take they have a bound on memory, write no core
file, and see none of our environment. Who calls them states every format.
"""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Final

from freehold.drivers.qemu.records import FULL
from freehold.vocabulary.errors import Broken, FreeholdError, NoRoom

HEADER_S: Final = 60.0
"""How long a tool may take that only reads or writes headers."""
MEMORY_BYTES: Final = 4 << 30
"""What a tool may have of addresses. It needs some hundred MiB, most of which it never touches."""


def environment() -> dict[str, str]:
    """All that QEMU's programs are told of ours."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


async def run(
    program: str, *arguments: str, what: str, patience_s: float = HEADER_S, folder: Path | None = None
) -> bytes:
    """What the tool prints. `what`: what it makes, such as ``The disk``; `folder`: where it works, and by which `left`
    finds it.

    Raises NoRoom or Broken with what it complained of. One that is still there then, or when we are cancelled, is
    killed.
    """
    if shutil.which(program) is None:
        raise Broken(f"The program {program} isn't installed (Debian's package qemu-utils has it).")
    child = await asyncio.create_subprocess_exec(
        *limited(f"--as={MEMORY_BYTES}"),
        program,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        async with asyncio.timeout(patience_s):
            output, complaint = await child.communicate()
    except TimeoutError as error:
        raise Broken(f"{program} didn't finish in {patience_s:.0f} seconds.") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise _refusal(program, what, complaint.decode(errors="replace").strip()[-300:])
    return output


def limited(*limits: str) -> list[str]:
    """What stands before a program so that it runs within limits and leaves no core. None where there is no such tool
    (it belongs to util-linux)."""
    prlimit = shutil.which("prlimit")
    return [prlimit, "--core=0", *limits] if prlimit else []


def left(folder: Path, program: str) -> list[int]:
    """The processes of this program that work in `folder`: those of an earlier process of ours, before any is run."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            word = Path(f"/proc/{entry.name}/cmdline").read_bytes().split(b"\0")[0]
            where = os.readlink(f"/proc/{entry.name}/cwd")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if where == str(folder) and os.path.basename(word.decode(errors="replace")) == os.path.basename(program):
            found.append(int(entry.name))
    return found


def end_left(folder: Path, program: str) -> None:
    """Ends them: what they make is nobody's any more."""
    for pid in left(folder, program):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if pid in left(folder, program):  # it is still the one that was found
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)


def trouble(what: str, error: OSError) -> FreeholdError:
    """What an error of the file system means: NoRoom on a full disk, else Broken."""
    if error.errno in FULL:
        return _no_room(what)
    return Broken(f"{what} can't be made: {error.strerror or error}.")


def _refusal(program: str, what: str, complaint: str) -> FreeholdError:
    if any(os.strerror(number) in complaint for number in FULL):
        return _no_room(what)
    return Broken(f"{program} failed: {complaint or 'it said nothing'}.")


def _no_room(what: str) -> NoRoom:
    return NoRoom(f"{what} can't be made: the disk of the machine is full.")
