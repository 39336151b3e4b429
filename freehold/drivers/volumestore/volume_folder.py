"""The files of one volume.

    <pool>/volumes/<volume id>/
        volume.json     its layers, in order. Without it the volume is half made, or half deleted
        <n>.qcow2       a layer

What no record names is what a crash has left. A layer's file names no other file: which layer lies on which is only in
the record, and QEMU is told it each time, so that nothing in a file decides what is opened.
"""

import os
import shutil
import struct
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.drivers.qemu.records import read_record, rewrite, sync
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.checks import absent, check_volume
from freehold.vocabulary.errors import Broken

_RECORD: Final = "volume.json"
_SIZE_OFFSET: Final = 24
"""Of the virtual size in a qcow2 header (QEMU, docs/interop/qcow2.rst)."""


class VolumeFolder:
    """See the module. `root`: the folder of all volumes. Making one touches nothing; the rest blocks, shortly."""

    def __init__(self, root: Path, volume: str) -> None:
        self.volume = check_volume(volume)
        self.path = root / volume
        self._record = self.path / _RECORD

    def begin(self) -> None:
        """Makes the folder, or empties what was left of an earlier try. Raises OSError."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        sync(self.path.parent)
        for path in self.path.iterdir():
            path.unlink()

    def remove(self) -> None:
        """Deletes it with all that is in it: first what says that there is a volume. Raises OSError."""
        if self.path.is_dir():
            self._record.unlink(missing_ok=True)
            sync(self.path)
            shutil.rmtree(self.path)

    def sweep(self) -> None:
        """Deletes the files that the record doesn't name. Raises OSError."""
        chain = self.chain_or_none()
        if chain is not None:
            named = {self._record, *(self.layer(layer) for layer in chain.layers)}
            for path in set(self.path.iterdir()) - named:
                path.unlink(missing_ok=True)

    # --- layers ----------------------------------------------------------------------------------------------------

    def chain_or_none(self) -> Chain | None:
        """Its layers; None unless the volume is whole."""
        return read_record(self._record, Chain, f"volume {self.volume}")

    def chain(self) -> Chain:
        """Its layers. Raises NotFound unless the volume is whole."""
        chain = self.chain_or_none()
        if chain is None:
            raise absent(self.volume)
        return chain

    def keep(self, chain: Chain) -> None:
        """Writes down, durably, which layers there are: their files are there, and durable. Raises OSError."""
        sync(self.path)
        rewrite(self._record, msgspec.json.encode(chain))
        sync(self.path)

    def layer(self, layer: Layer) -> Path:
        """A layer's file."""
        return self.path / f"{layer.name}.qcow2"

    def size_bytes(self, layer: Layer) -> int:
        """How large the volume is in this layer, as its file says."""
        try:
            with self.layer(layer).open("rb") as file:
                (size_bytes,) = struct.unpack(">Q", os.pread(file.fileno(), 8, _SIZE_OFFSET))
        except (OSError, struct.error) as error:
            raise Broken(f"Layer {layer.name} of volume {self.volume} can't be read: {error}.") from error
        return int(size_bytes)

    def used_bytes(self) -> int:
        """What its files take of the disk."""
        return sum(path.stat().st_blocks * 512 for path in self.path.iterdir())

    def graph(self, layers: tuple[Layer, ...]) -> dict[str, Any]:
        """What QEMU is told to read these layers, the topmost last."""
        graph: dict[str, Any] | None = None
        for layer in layers:
            graph = {**layer_options(self.layer(layer)), "backing": graph}
        assert graph is not None, "a volume has at least one layer"
        return graph


def layer_options(path: Path) -> dict[str, Any]:
    """What QEMU is told of one layer's file. Without what lies below."""
    return {"driver": "qcow2", "file": {"driver": "file", "filename": str(path), "discard": "unmap"}}
