"""Unix sockets in a folder.

The path of a unix socket has at most 107 bytes, and a state folder may lie deep. Through a descriptor of the folder any
depth is reached by a short name.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def listening(folder: Path, name: str) -> socket.socket:
    """A listening socket of this name, to be inherited by a program, in the place of an earlier one.

    As it listens before the program starts, whoever connects waits for the program, and is refused as soon as nobody
    holds it. Raises OSError.
    """
    (folder / name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_path(folder, name) as path:
            listener.bind(path)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def socket_path(folder: Path, name: str) -> Iterator[str]:
    """A short path to a socket in the folder, good while the context lasts."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
