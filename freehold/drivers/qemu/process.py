"""Processes that outlive us: started, found, waited for and ended.

A process is held by a descriptor (pidfd), which stays with this very process: its number may be given to another one,
and a signal never reaches that. Who a process is, is read from its command line after the descriptor was taken.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from freehold.drivers.qemu.tool import environment
from freehold.vocabulary.errors import Broken

ORDERLY_END_S = 5.0
KILL_S = 30.0

Naming = Callable[[list[str]], str | None]
"""The name that a command line says of the process, which is the name of its folder; None for another program's."""


class Process:
    """A running one. `gone` is set once it has ended."""

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
            raise Broken(f"Process {self.pid} can't be ended; it may hang in the machine's storage.")

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


def start(program: str, arguments: list[str], folder: Path, log: Path, inherit: tuple[int, ...]) -> Process:
    """Starts a program in a folder, in a session of its own, so that it outlives us.

    Its environment is empty but for what it needs; it inherits the descriptors `inherit`. Raises OSError if it can't be
    started.
    """
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600), "wb") as output:
        child = subprocess.Popen(
            [program, *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherit,
            start_new_session=True,
        )
    return Process(child.pid, os.pidfd_open(child.pid), child)


def find(root: Path, naming: Naming) -> dict[str, int]:
    """The processes that work in folders under `root`: process id by name.

    Known by what their command line says and by the folder they were started in, so that nothing has to be written down
    in time, and nothing written down can be stale. Costs some 20 µs a process of the machine.
    """
    found: dict[str, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (name := _name_of(int(entry.name), root, naming)) is not None:
            found[name] = int(entry.name)
    return found


def take(pid: int, name: str, root: Path, naming: Naming) -> Process | None:
    """Holds the process `pid` if it is (still) the one of this name."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if _name_of(pid, root, naming) != name:
        os.close(descriptor)
        return None
    return Process(pid, descriptor)


def _name_of(pid: int, root: Path, naming: Naming) -> str | None:
    """The process's name; None for other programs, other folders' processes and those that have ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        name = naming(words)
        if name is None:
            return None
        folder = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return name if folder == str(root / name) else None
