"""Backups in a folder: FOLDER/<store>/<number>.segment, and a lock beside them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from freehold.drivers.backup.checks import absent, checked, held_elsewhere, not_held, out_of_order, there_already
from freehold.drivers.imagestore.receiving import on_disk, publish, sync_folder
from freehold.runtime.tasks import Offload
from freehold.vocabulary.ids import is_uuid

T = TypeVar("T")

SUFFIX: Final = ".segment"
PART: Final = ".part"
NUMBER_DIGITS: Final = 12


class FolderBackups:
    """See Backups. A segment is written under another name, synced, and then given its own. Files are for their owner
    alone: passwords' hashes and keys are in them.
    """

    def __init__(self, folder: Path, offload: Offload) -> None:
        self._folder, self._offload = folder, offload
        self._locks: dict[str, int] = {}

    async def stores(self) -> list[str]:
        """See Backups."""

        def look() -> list[str]:
            found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
            return [path.name for path in found if is_uuid(path.name) and _numbers(path)]

        return await self._do(self._folder, look)

    async def hold(self, store: str) -> None:
        """See Backups."""
        folder = self._of(store)
        if store not in self._locks:
            self._locks[store] = await self._do(folder, lambda: _hold(store, folder))

    async def numbers(self, store: str) -> list[int]:
        """See Backups."""
        folder = self._of(store)
        return await self._do(folder, lambda: _numbers(folder))

    async def write(self, store: str, number: int, content: bytes) -> None:
        """See Backups."""
        path = self._held(store) / _name(number)
        await self._do(path, lambda: _write(store, number, path, content))

    async def read(self, store: str, number: int) -> bytes:
        """See Backups."""
        path = self._of(store) / _name(number)

        def look() -> bytes:
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                raise absent(store, number) from error

        return await self._do(path, look)

    async def delete(self, store: str, number: int) -> None:
        """See Backups."""
        path = self._held(store) / _name(number)
        await self._do(path, lambda: path.unlink(missing_ok=True))

    async def close(self) -> None:
        """See Backups."""
        while self._locks:
            os.close(self._locks.popitem()[1])

    def _of(self, store: str) -> Path:
        return self._folder / checked(store)

    def _held(self, store: str) -> Path:
        folder = self._of(store)
        if store not in self._locks:
            raise not_held(store)
        return folder

    async def _do(self, path: Path, work: Callable[[], T]) -> T:
        return await on_disk(path, self._offload, work)


def _name(number: int) -> str:
    return f"{number:0{NUMBER_DIGITS}}{SUFFIX}"


def _numbers(folder: Path) -> list[int]:
    """Blocks."""
    stems = [path.stem for path in folder.glob(f"*{SUFFIX}")]
    return sorted(int(stem) for stem in stems if stem.isdecimal() and _name(int(stem)) == stem + SUFFIX)


def _hold(store: str, folder: Path) -> int:
    """Takes the lock and clears away what a writer that was cut off has left. Blocks."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        sync_folder(folder.parent)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for part in folder.glob(f"*{PART}"):
            part.unlink()
    except BlockingIOError as error:
        os.close(lock)
        raise held_elsewhere(store) from error
    except BaseException:
        os.close(lock)
        raise
    return lock


def _write(store: str, number: int, path: Path, content: bytes) -> None:
    """Blocks. Only the holder writes, so nobody takes the name between the look and the renaming."""
    if path.exists():
        raise there_already(store, number)
    if number > 1 and not path.with_name(_name(number - 1)).exists():
        raise out_of_order(store, number)
    part = path.with_suffix(PART)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    publish(part, path)
