"""The folder of a pool on files.

<folder>/
    pool.json           its id
    authority/ tls/     keys and certificates (`authority`)
    volumes/            a folder for each volume (`volume_folder`)
    servers/            a folder for each server (`server`)
    arriving/           images on their way; ``qemu-img`` works here
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.drivers.imagestore.inspection import inspect
from freehold.drivers.imagestore.interface import Inspected
from freehold.drivers.qemu.records import read_record, write_whole
from freehold.drivers.qemu.tool import trouble
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.units import MIB
from freehold.vocabulary.word import Word

LAYER_BYTES: Final = MIB
"""What a layer that holds nothing takes at most."""
_RECORD: Final = "pool.json"


class PoolRecord(Word, frozen=True, kw_only=True):
    """What is written down of the pool itself."""

    pool: str


class PoolFolder:
    """See the module; making one makes it. `capacity_bytes`: all that it may take of the disk; 0: the disk. All of it
    blocks. Raises OSError, Broken."""

    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self.path, self._capacity_bytes = folder.absolute(), capacity_bytes
        self.volumes, self.servers, self.arriving = (self.path / name for name in ("volumes", "servers", "arriving"))
        for part in (self.volumes, self.servers, self.arriving):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = self.path.resolve()
        self.volumes, self.servers, self.arriving = (self.path / name for name in ("volumes", "servers", "arriving"))
        known = read_record(self.path / _RECORD, PoolRecord, "the pool of volumes")
        if known is None:
            known = PoolRecord(pool=str(uuid.uuid4()))
            write_whole(self.path / _RECORD, msgspec.json.encode(known))
        self.name = f"pool-{known.pool}"

    def of(self, volume: str) -> VolumeFolder:
        """The folder of a volume. Raises BadRequest unless it is a UUID."""
        return VolumeFolder(self.volumes, volume)

    def present(self) -> frozenset[str]:
        """Every volume that has a folder."""
        return frozenset(path.name for path in self.volumes.iterdir() if is_uuid(path.name))

    def room(self) -> tuple[int, int]:
        """What the pool may take of the disk, and what of that is left, in bytes."""
        state = os.statvfs(self.path)
        free_bytes = state.f_bavail * state.f_frsize
        used_bytes = sum(self.of(volume).used_bytes() for volume in self.present())
        if not self._capacity_bytes:
            return used_bytes + free_bytes, free_bytes
        return self._capacity_bytes, max(0, min(free_bytes, self._capacity_bytes - used_bytes))

    def check_room(self) -> None:
        """Raises NoRoom unless there is room for one layer more."""
        if self.room()[1] < LAYER_BYTES:
            raise full()

    def clear_arriving(self) -> None:
        """Deletes what was on its way when an earlier process ended."""
        for path in self.arriving.iterdir():
            path.unlink()


def full() -> NoRoom:
    """That there is no room."""
    return NoRoom("The pool of volumes is full. Delete volumes or snapshots, or make it larger.")


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """What the disk says is raised as NoRoom or Broken. `what` is made or changed, such as ``The volume``."""
    try:
        yield
    except OSError as error:
        raise trouble(what, error) from error


async def within(room_bytes: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks. Raises NoRoom for more than there is room for."""
    async for chunk in chunks:
        room_bytes -= len(chunk)
        if room_bytes < 0:
            raise full()
        yield chunk


def inspected(path: Path, image_format: str) -> Inspected:
    """What an image that has arrived is. Raises BadRequest. Blocks."""
    with path.open("rb") as file:
        return inspect(file, image_format)


def image_options(path: Path, image_format: str) -> dict[str, Any]:
    """What QEMU is told of an image that was looked into: also that it lies on nothing, whatever it says."""
    file = {"driver": "file", "filename": str(path)}
    return {"driver": image_format, "file": file, **({"backing": None} if image_format == "qcow2" else {})}
