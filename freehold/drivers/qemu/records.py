"""Small records in files, and what is durable of them."""

import errno
import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How a disk says that it is full."""
_STROKE_BYTES: Final = 64 * 1024

W = TypeVar("W", bound=Word)


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


def rewrite(path: Path, content: bytes) -> None:
    """As `write_whole`; on a disk that is full, into the room that the record has already.

    What gives room back has to be written down first, and that must not need room. The record is then as long as it
    was, blanks behind it, and written at one stroke.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        state = path.stat() if error.errno in FULL and path.exists() else None
        if state is None or len(content) > min(state.st_blocks * 512, _STROKE_BYTES):
            raise
        _write_at_one_stroke(path, content.ljust(state.st_size))


def _write_at_one_stroke(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, content, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_record(path: Path, shape: type[W], whose: str) -> W | None:
    """The record in a file; None if there is no file. `whose`: such as ``guest 7``.

    Raises Broken if it can't be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Broken(f"{path.name} of {whose} can't be read: {error}.") from error


def tail(path: Path, bytes_max: int) -> bytes:
    """The last bytes of a file; none if there is no file."""
    if bytes_max <= 0 or not path.exists():
        return b""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - bytes_max))
        return file.read(bytes_max)


def complaint(log: Path, program: str) -> str:
    """The last line that a program wrote of itself: empty if it had nothing to complain of."""
    lines = tail(log, 2048).decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix(f"{program}: ")[:300] if lines else ""


def sync(path: Path) -> None:
    """Makes a file, or the names in a folder, durable. Blocks."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
