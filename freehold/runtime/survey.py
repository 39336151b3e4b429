"""What a machine is like, for who wants to know whether it will do: looked up, changed nowhere."""

import ctypes
import fcntl
import os
import resource
import socket
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TIME_ERROR: Final = 5
"""What adjtimex answers where nobody keeps the clock right."""
_TIMEX_BYTES: Final = 512
"""More than the kernel's structure has."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, or the nearest one above it that is there. `owner`: user id; `mode`: its permissions."""

    path: Path
    exists: bool
    owner: int
    mode: int
    writable: bool
    file_system: str
    options: frozenset[str]
    """What it is mounted with."""
    free_bytes: int


def folder(path: Path) -> Folder:
    """What is known of a folder."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    state, space = nearest.stat(), os.statvfs(nearest)
    kind, options = _mount(nearest.resolve(), Path("/proc/self/mountinfo").read_text())
    return Folder(
        path=nearest,
        exists=nearest == path.absolute(),
        owner=state.st_uid,
        mode=state.st_mode & 0o7777,
        writable=os.access(nearest, os.W_OK | os.X_OK),
        file_system=kind,
        options=options,
        free_bytes=space.f_bavail * space.f_frsize,
    )


def _mount(path: Path, mounts: str) -> tuple[str, frozenset[str]]:
    """The file system of a path, and its options: those of the longest mount point above it, the last mounted there."""
    found, longest = ("", frozenset[str]()), -1
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        words, kind = fields.split(), rest.split()
        point = words[4].replace("\\040", " ")
        if len(point) >= longest and path.is_relative_to(point):
            found, longest = (kind[0], frozenset(words[5].split(",") + kind[2].split(","))), len(point)
    return found


def user() -> int:
    """The user id of this process."""
    return os.geteuid()


def python_version() -> tuple[int, ...]:
    """Of the interpreter that runs this."""
    return tuple(sys.version_info[:3])


def sqlite_version() -> tuple[int, ...]:
    """Of the library that stores are kept with."""
    return tuple(sqlite3.sqlite_version_info)


def open_files_max() -> int:
    """How many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def clock_is_kept() -> bool | None:
    """Whether the kernel says that somebody keeps the clock right; None where it doesn't say."""
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def kernel_setting(name: str) -> str:
    """A setting under /proc/sys, such as ``vm/overcommit_memory``; empty where there is none."""
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return ""


def cpu_flags() -> frozenset[str]:
    """What every processor here can do, in the kernel's words, such as ``avx2``; none where it doesn't say."""
    return _flags(Path("/proc/cpuinfo").read_text(errors="replace"))


def _flags(told: str) -> frozenset[str]:
    lines = (line.partition(":") for line in told.splitlines())
    of_each = [frozenset(words.split()) for name, _, words in lines if name.strip() == "flags"]
    return of_each[0].intersection(*of_each) if of_each else frozenset()


def is_nested() -> bool:
    """Whether KVM lets guests run guests of their own under it."""
    for module in ("kvm_intel", "kvm_amd"):
        try:
            if (Path("/sys/module") / module / "parameters/nested").read_text().strip() in ("Y", "1"):
                return True
        except OSError:
            continue
    return False


def is_free(address: str, port: int) -> str:
    """Why nobody could listen there; empty if one could."""
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file. One that isn't there is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def units(names: tuple[str, ...]) -> dict[str, str]:
    """The texts of those systemd units that are installed, the operator's own before the packages'; none where systemd
    doesn't run.
    """
    found: dict[str, str] = {}
    places = [
        Path(place) for place in ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
    ]
    for name in names:
        for place in places:
            if name not in found and (place / name).is_file():
                found[name] = (place / name).read_text(errors="replace")
    return found


def has_systemd() -> bool:
    """Whether systemd is what starts services here."""
    return Path("/run/systemd/system").is_dir()
