"""The QEMU processes of guests: a guest's is known by its name (``-name guest=<id>``) and by its folder."""

from pathlib import Path

from freehold.drivers.hypervisor.guest_folder import GuestFolder
from freehold.drivers.qemu import process
from freehold.drivers.qemu.process import Process


def start(program: str, arguments: list[str], folder: GuestFolder, inherit: int) -> Process:
    """Starts QEMU for a guest. Raises OSError if it can't be started."""
    return process.start(program, arguments, folder.path, folder.log, (inherit,))


def find(root: Path) -> dict[str, int]:
    """The processes of guests under `root`: process id by guest."""
    return process.find(root, _guest)


def take(pid: int, guest: str, root: Path) -> Process | None:
    """Holds the process `pid` if it is (still) the guest's."""
    return process.take(pid, guest, root, _guest)


def _guest(words: list[str]) -> str | None:
    if "-name" not in words[:-1]:
        return None
    return words[words.index("-name") + 1].removeprefix("guest=").partition(",")[0]
