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
from typing import TypeVar

import msgspec

from freehold.drivers.hypervisor.interface import Plan
from freehold.drivers.hypervisor.names import check_guest
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

CONSOLE_BYTES_MAX = 1024 * 1024

W = TypeVar("W", bound=Word)


class DiskOrigin(Word, frozen=True, kw_only=True):
    """What a root disk lies on."""

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
        origin = _read(self._origin, DiskOrigin)
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
        return _read(self._run, Run)

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

    # --- sockets ---------------------------------------------------------------------------------------------------
    # The path of a unix socket has at most 107 bytes, and a state folder may lie deep. Through a descriptor of the
    # folder any depth is reached by a short name.

    def listen(self) -> socket.socket:
        """A listening socket for the monitor, to be inherited by QEMU.

        As it listens before QEMU starts, whoever connects waits for QEMU, and is refused as soon as nobody holds it.
        """
        (self.path / "qmp.sock").unlink(missing_ok=True)
        (self.path / "console.sock").unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with self.socket_path("qmp.sock") as path:
                listener.bind(path)
            listener.listen(1)
        except OSError:
            listener.close()
            raise
        return listener

    @contextmanager
    def socket_path(self, name: str) -> Iterator[str]:
        """A short path to a socket of the guest, good while the context lasts."""
        descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}/{name}"
        finally:
            os.close(descriptor)

    # --- logs ------------------------------------------------------------------------------------------------------

    def console_tail(self, bytes_max: int) -> bytes:
        """The last bytes of the console's output, over both files."""
        tail = _tail(self.console, bytes_max)
        return _tail(self.console_old, bytes_max - len(tail)) + tail

    def trim_logs(self) -> None:
        """Keeps a console log bounded: past `CONSOLE_BYTES_MAX` its last half moves to ``console.old``.

        QEMU appends (O_APPEND), so that emptying the file under it is safe; what is written between the copy and the
        cut is lost.
        """
        for log, old in ((self.console, self.console_old), (self.log, None)):
            if not log.exists() or log.stat().st_size <= CONSOLE_BYTES_MAX:
                continue
            if old is not None:
                write_whole(old, _tail(log, CONSOLE_BYTES_MAX // 2))
            os.truncate(log, 0)

    def complaint(self) -> str:
        """The last line that QEMU wrote of itself: empty if it had nothing to complain of."""
        lines = _tail(self.log, 2048).decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("qemu-system-x86_64: ")[:300] if lines else ""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, readable by its owner alone, so that after a crash it is the old one or the new one."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _tail(path: Path, bytes_max: int) -> bytes:
    if bytes_max <= 0 or not path.exists():
        return b""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - bytes_max))
        return file.read(bytes_max)


def _read(path: Path, shape: type[W]) -> W | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Broken(f"{path.name} of guest {path.parent.name} can't be read: {error}.") from error
