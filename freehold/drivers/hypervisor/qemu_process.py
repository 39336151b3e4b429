"""QEMU processes: started, found, waited for and ended.

A process is held by a descriptor (pidfd), which stays with this very process: its number may be given to another one,
and a signal never reaches that. Who a process is, is read from its command line after the descriptor was taken.
"""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from freehold.drivers.hypervisor.guest_folder import GuestFolder
from freehold.vocabulary.errors import Broken

ORDERLY_END_S = 5.0
KILL_S = 30.0


class Process:
    """A running QEMU. `gone` is set once it has ended."""

    def __init__(self, pid: int, descriptor: int, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self.gone = asyncio.Event()
        self._descriptor = descriptor
        self._child = child
        self._released = False
        asyncio.get_running_loop().add_reader(descriptor, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._child is not None:
            self._child.poll()  # or it would stay in the process table
        self.gone.set()

    def how_it_ended(self) -> str:
        """For people: its exit status, where we are its parent."""
        status = self._child.returncode if self._child else None
        if status is None:
            return "its process has ended"
        return f"its process was ended by signal {-status}" if status < 0 else f"its process ended with status {status}"

    async def end(self) -> None:
        """Ends it, in order if it can (it closes its disks), and returns when it is gone.

        Raises Broken if the kernel doesn't let it go, as with a disk that doesn't answer.
        """
        for number, patience_s in ((signal.SIGTERM, ORDERLY_END_S), (signal.SIGKILL, KILL_S)):
            if self.gone.is_set():
                return
            self._signal(number)
            try:
                async with asyncio.timeout(patience_s):
                    await self.gone.wait()
            except TimeoutError:
                continue
        if not self.gone.is_set():
            raise Broken(f"Process {self.pid} of a guest can't be ended; it may hang in the machine's storage.")

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            self._ended()  # it went while we asked

    def release(self) -> None:
        """Lets go of it: it runs on."""
        if self._released:
            return
        self._released = True
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # left on purpose: no warning that it still runs


def start(program: str, arguments: list[str], folder: GuestFolder, inherit: int) -> Process:
    """Starts QEMU for a guest, in a session of its own, so that it outlives us.

    Its environment is empty but for what it needs. Raises OSError if it can't be started.
    """
    with open(os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600), "wb") as log:
        child = subprocess.Popen(
            [program, *arguments],
            cwd=folder.path,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[inherit],
            start_new_session=True,
        )
    return Process(child.pid, os.pidfd_open(child.pid), child)


def find(root: Path) -> dict[str, int]:
    """The QEMU processes of guests under `root`: process id by guest.

    Known by their name (``-name guest=<id>``) and by the folder they were started in, so that nothing has to be written
    down in time, and nothing written down can be stale. Costs some 20 µs a process of the machine.
    """
    found: dict[str, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (guest := _guest_of(int(entry.name), root)) is not None:
            found[guest] = int(entry.name)
    return found


def take(pid: int, guest: str, root: Path) -> Process | None:
    """Holds the process `pid` if it is (still) the guest's."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if _guest_of(pid, root) != guest:
        os.close(descriptor)
        return None
    return Process(pid, descriptor)


def _guest_of(pid: int, root: Path) -> str | None:
    """The guest that the process runs; None for other processes, other folders' guests and processes that have
    ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"-name" not in words:
            return None
        name = words[words.index(b"-name") + 1].decode(errors="replace")
        folder = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
        return None
    guest = name.removeprefix("guest=").partition(",")[0]
    return guest if folder == str(root / guest) else None
