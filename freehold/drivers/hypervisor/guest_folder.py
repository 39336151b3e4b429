"""The files of one guest on its machine, and the mark that tells how it ended.

    <folder>/<guest id>/
        disk.qcow2      the root disk, an overlay
        disk.json       what it was made from: written before the disk, so that a disk never lacks it
        config.iso      the config drive, if there is one
        run.json        the mark: there while the guest runs, from before its process starts until that is known to be
        gone qmp.sock        the monitor
        console.sock    the serial console, to speak with
        console.log     its output; console.old is the part before
        qemu.log        what QEMU complained of

QEMU is told never to exit when the guest powers off, but to wait for us (``-no-shutdown``). So a process that is gone
while its mark is there did not end in order: the guest has crashed, whoever was or wasn't there to see it. When a guest
has powered off, the mark first says so, then the process is ended, then the mark is removed; each step may be the last
one before a crash of ours.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from freehold.drivers.hypervisor.interface import Plan
from freehold.drivers.hypervisor.names import check_guest
from freehold.drivers.qemu.records import complaint, read_record, tail, write_whole
from freehold.drivers.qemu.sockets import listening
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

CONSOLE_BYTES_MAX = 1024 * 1024


class DiskOrigin(Word, frozen=True, kw_only=True):
    """What a root disk lies on. Without a base there is none: the guest boots from a volume."""

    base: str
    base_format: str
    size_gib: int


class Run(Word, frozen=True, kw_only=True):
    """The mark of a guest that runs."""

    plan: Plan
    powered_off: bool = False
    """The guest's system has powered off; its process may still be there."""

    def ended_by_guest(self) -> "Run":
        """The same mark, saying that the guest has powered off."""
        return msgspec.structs.replace(self, powered_off=True)


class GuestFolder:
    """See the module. `root`: the folder of all guests. Making one touches nothing."""

    def __init__(self, root: Path, guest: str) -> None:
        self.guest = check_guest(guest)
        self.path = root / guest
        self.disk = self.path / "disk.qcow2"
        self.config_drive = self.path / "config.iso"
        self.console = self.path / "console.log"
        self.console_old = self.path / "console.old"
        self.log = self.path / "qemu.log"
        self._origin = self.path / "disk.json"
        self._run = self.path / "run.json"

    def can_boot(self) -> bool:
        """Whether its disk is there, or it needs none."""
        return self.disk.exists() or (self._origin.exists() and not self.origin().base)

    def exists(self) -> bool:
        """Whether there is anything of the guest."""
        return self.path.is_dir()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Makes the folder for what is put into it, closed to others: disks and config drives hold secrets.

        If nothing came of it, it goes again.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        try:
            yield
        except BaseException:
            if not any(self.path.iterdir()):
                self.path.rmdir()
            raise

    def remove(self) -> None:
        """Deletes it with all that is in it."""
        if self.exists():
            shutil.rmtree(self.path)

    # --- records ---------------------------------------------------------------------------------------------------

    def origin(self) -> DiskOrigin:
        """What the disk was made from. Raises Broken if that isn't known."""
        origin = read_record(self._origin, DiskOrigin, f"guest {self.guest}")
        if origin is None:
            raise Broken(f"It isn't known what the disk of guest {self.guest} was made from.")
        return origin

    def keep_origin(self, origin: DiskOrigin) -> None:
        """Writes down what the disk is made from."""
        write_whole(self._origin, msgspec.json.encode(origin))

    def discard_origin(self) -> None:
        """Forgets it again: no disk came of it."""
        self._origin.unlink(missing_ok=True)

    def run(self) -> Run | None:
        """The mark, if it is there."""
        return read_record(self._run, Run, f"guest {self.guest}")

    def mark(self, run: Run) -> None:
        """Sets the mark."""
        write_whole(self._run, msgspec.json.encode(run))

    def unmark(self) -> None:
        """Removes the mark: the process is known to be gone, and in order."""
        self._run.unlink(missing_ok=True)

    def unmark_to(self, before: Run | None) -> None:
        """Takes a mark back that a failed launch has set: the guest is what it was."""
        if before is None:
            self.unmark()
        else:
            self.mark(before)

    # --- the monitor -----------------------------------------------------------------------------------------------

    def listen(self) -> socket.socket:
        """A listening socket for the monitor, to be inherited by QEMU."""
        (self.path / "console.sock").unlink(missing_ok=True)
        return listening(self.path, "qmp.sock")

    # --- logs ------------------------------------------------------------------------------------------------------

    def console_tail(self, bytes_max: int) -> bytes:
        """The last bytes of the console's output, over both files."""
        newest = tail(self.console, bytes_max)
        return tail(self.console_old, bytes_max - len(newest)) + newest

    def trim_logs(self) -> None:
        """Keeps a console log bounded: past `CONSOLE_BYTES_MAX` its last half moves to ``console.old``.

        QEMU appends (O_APPEND), so that emptying the file under it is safe; what is written between the copy and the
        cut is lost.
        """
        for log, old in ((self.console, self.console_old), (self.log, None)):
            if not log.exists() or log.stat().st_size <= CONSOLE_BYTES_MAX:
                continue
            if old is not None:
                write_whole(old, tail(log, CONSOLE_BYTES_MAX // 2))
            os.truncate(log, 0)

    def complaint(self) -> str:
        """The last line that QEMU wrote of itself: empty if it had nothing to complain of."""
        return complaint(self.log, "qemu-system-x86_64")
