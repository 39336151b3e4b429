"""The files of layers, made and joined by ``qemu-img``, which is told what everything is.

A file is made under a name that no record has, and is durable before anybody writes that name down.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from freehold.drivers.qemu.records import sync
from freehold.drivers.qemu.tool import HEADER_S, run
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import Broken, NoRoom

SLOWEST_BYTES_PER_S: Final = 4 * 1024 * 1024
"""A copy that is slower than this for all of its bytes hangs."""


class LayerTool:
    """See the module. `program`: ``qemu-img``; `folder`: where it works, by which one that was left behind is found."""

    def __init__(self, program: str, folder: Path, offload: Offload) -> None:
        self._program, self._folder, self._offload = program, folder, offload

    async def make(self, path: Path, size_bytes: int) -> None:
        """A layer that holds nothing. Raises NoRoom, Broken."""
        await self._run("create", "-q", "-f", "qcow2", str(path), str(size_bytes))
        await self._offload(lambda: sync(path))

    async def copy(self, source: dict[str, Any], path: Path, size_bytes: int, free_bytes: int) -> None:
        """A layer of `size_bytes` with the content of `source` (as QEMU is told it).

        Raises NoRoom before anything is written if it would take more than `free_bytes`, and when the disk is full.
        """
        needed = await self._needed_bytes(source)
        if needed > free_bytes:
            raise NoRoom(f"The pool has {free_bytes} bytes left, and this volume needs {needed} to begin with.")
        patience_s = HEADER_S + needed / SLOWEST_BYTES_PER_S
        await self._run("convert", "-q", "-O", "qcow2", _described(source), str(path), patience_s=patience_s)
        await self.resize(path, size_bytes)

    async def resize(self, path: Path, size_bytes: int) -> None:
        """A layer of another size; what is added holds zeros. Raises NoRoom, Broken."""
        await self._run("resize", "-q", "-f", "qcow2", str(path), str(size_bytes))
        await self._offload(lambda: sync(path))

    async def merge(self, upper: dict[str, Any], upper_path: Path, lower_path: Path) -> None:
        """Writes what the upper layer holds into the one below it, which has the same content after that as both had.

        `upper`: both, and what is below, as QEMU is told it. May be cut off anywhere and done again.
        """
        used_bytes = await self._offload(lambda: upper_path.stat().st_blocks * 512)
        patience_s = HEADER_S + used_bytes / SLOWEST_BYTES_PER_S
        await self._run("commit", "-q", "-d", _described(upper), patience_s=patience_s)
        await self._offload(lambda: sync(lower_path))

    async def _needed_bytes(self, source: dict[str, Any]) -> int:
        told = await self._run("measure", "--output=json", "-O", "qcow2", _described(source))
        return int(json.loads(told)["required"])

    async def _run(self, *arguments: str, patience_s: float = HEADER_S) -> bytes:
        try:
            return await run(self._program, *arguments, what="The volume", patience_s=patience_s, folder=self._folder)
        except OSError as error:
            raise Broken(f"{self._program} can't be run: {os.strerror(error.errno or 0)}.") from error


def _described(graph: dict[str, Any]) -> str:
    """A name by which QEMU opens just this: nothing in it is guessed, whatever the bytes look like."""
    return "json:" + json.dumps(graph)
