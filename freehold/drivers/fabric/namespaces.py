"""Network namespaces by name, as `ip netns` keeps them. Everything here blocks: call it away from the event loop."""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

FOLDER: Final = Path("/run/netns")

_CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_SHARED: Final = 0x100000
_MNT_DETACH: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _in_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own, which takes its namespace with it when it ends."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def in_namespace(name: str, work: Callable[[], T]) -> T:
    """The result of `work()` run inside a namespace. Raises OSError if there is none of that name."""

    def run() -> T:
        descriptor = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(descriptor, _CLONE_NEWNET), f"entering namespace {name}")
        finally:
            os.close(descriptor)
        return work()

    return _in_thread(run)


def in_new_namespace(work: Callable[[], T]) -> T:
    """The result of `work()` run inside a namespace that is gone afterwards, unless `work` gives it a name."""

    def run() -> T:
        _checked(_libc.unshare(_CLONE_NEWNET), "making a network namespace")
        return work()

    return _in_thread(run)


def exists(name: str) -> bool:
    """Whether the namespace is there, and not only the empty file that a crash while making it left."""
    try:
        in_namespace(name, lambda: None)
    except OSError:
        return False
    return True


def create(name: str) -> None:
    """Makes a namespace, unless it is there."""
    if exists(name):
        return
    _share_folder()
    path = FOLDER / name
    path.touch(mode=0o444)

    def give_name() -> None:
        source = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        _checked(_libc.mount(source.encode(), str(path).encode(), b"none", _MS_BIND, None), f"naming namespace {name}")

    in_new_namespace(give_name)


def _share_folder() -> None:
    """As `ip netns` does: other mount namespaces see names come and go, and a name can be deleted everywhere."""
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    folder = str(FOLDER).encode()
    if _libc.mount(b"", folder, b"none", _MS_SHARED | _MS_REC, None) != 0:
        _checked(_libc.mount(folder, folder, b"none", _MS_BIND | _MS_REC, None), "preparing /run/netns")
        _checked(_libc.mount(b"", folder, b"none", _MS_SHARED | _MS_REC, None), "sharing /run/netns")


def delete(name: str) -> None:
    """Deletes a namespace's name; it ends when nothing runs in it."""
    path = FOLDER / name
    _libc.umount2(str(path).encode(), _MNT_DETACH)  # fails if it was never mounted: then only the file is left
    path.unlink(missing_ok=True)


def named(prefix: str) -> list[str]:
    """The namespaces whose names begin with `prefix`."""
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*"))


def listening_socket(name: str, address: str, port: int) -> socket.socket:
    """A non-blocking TCP socket that listens inside a namespace, served from wherever the caller is."""

    def listen() -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(64)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener

    return in_namespace(name, listen)


def set_sysctl(name: str, value: str) -> None:
    """Sets a sysctl (such as ``net/ipv4/ip_forward``) of the calling thread's namespace, where the kernel has it."""
    path = Path("/proc/sys") / name
    if path.exists():
        path.write_text(value)
