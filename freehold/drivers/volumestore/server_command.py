"""What a storage daemon is told: pure, from exports and layers to its arguments and to the commands of its monitor.

A daemon serves one reader, or all readers of one volume that several may attach: it has one list of who may come in.
Each layer is a node of its own, named by volume and layer, and says which node it lies on; an export with limits has a
node above the topmost that keeps to them.

An export is written through: a write is on the disk when its reader is told that it is. A daemon keeps the tables of
where things are in its memory; without this, what they stood for is lost when it is killed, with no error anywhere, as
its reader only connects again.
"""

import base64
import itertools
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from freehold.drivers.volumestore.authority import distinguished_name
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.checks import export_description, export_name
from freehold.drivers.volumestore.volume_folder import VolumeFolder, layer_options
from freehold.vocabulary.attachment import Export, Limits

READERS: Final = "readers"
_TLS: Final = "tls"
_MONITOR: Final = "monitor-"
CONNECTIONS_MAX: Final = 1024

Options = dict[str, Any]


def server_of(export: Export) -> str:
    """The name of the server that has an export: its reader's, or its volume's own."""
    return f"volume-{export.volume}" if export.multi_attach else f"reader-{export.reader}"


def node_of(volume: str, layer: Layer) -> str:
    """The node of a layer: at most 31 characters, of which there are enough for any volume."""
    return f"v{_short(volume)}.{layer.name}"


def export_id(export: Export) -> str:
    """The export's id in the daemon, which is the name of its limits too."""
    return f"x{_short(export.volume)}.{export.number}"


def served_node(export: Export, chain: Chain) -> str:
    """The node that an export shows."""
    return export_id(export) if export.limits != Limits() else node_of(export.volume, chain.top)


def is_written(exports: Iterable[Export]) -> bool:
    """Whether the volume that has these exports is opened to be written. One that several attach is from the first on,
    as the next may write."""
    return any(export.writable or export.multi_attach for export in exports)


def layer_node(folder: VolumeFolder, chain: Chain, layer: Layer, *, writable: bool, alone: bool = False) -> Options:
    """A layer of a volume as a node on the one below it; `alone`: on none, as one that is to become the topmost."""
    place = chain.layers.index(layer)
    below = chain.layers[place - 1] if place and not alone else None
    return {
        **layer_options(folder.layer(layer)),
        "node-name": node_of(chain.volume, layer),
        "backing": None if below is None else node_of(chain.volume, below),
        "read-only": layer != chain.top or not writable,
        "discard": "unmap",
    }


def layer_nodes(folder: VolumeFolder, chain: Chain, *, writable: bool) -> list[Options]:
    """All layers of a volume, in the order in which they are made."""
    return [layer_node(folder, chain, layer, writable=writable) for layer in chain.layers]


def limit_object(export: Export) -> Options:
    """The limits of an export."""
    limits = {"iops-total": export.limits.iops_max, "bps-total": export.limits.bytes_per_s_max}
    given = {name: limit for name, limit in limits.items() if limit}
    return {"qom-type": "throttle-group", "id": export_id(export), "limits": given}


def limit_node(export: Export, chain: Chain) -> Options:
    """What keeps an export to them."""
    name = export_id(export)
    below = node_of(export.volume, chain.top)
    return {"driver": "throttle", "node-name": name, "throttle-group": name, "file": below}


def export_options(export: Export, chain: Chain) -> Options:
    """The export itself."""
    return {
        "type": "nbd",
        "id": export_id(export),
        "node-name": served_node(export, chain),
        "name": export_name(export.volume, export.number),
        "description": export_description(export.volume, export.number),
        "writable": export.writable,
        "writethrough": True,
    }


def readers_object(exports: tuple[Export, ...]) -> Options:
    """Who may come in: the readers of these exports and nobody else."""
    names = sorted({distinguished_name(export.reader) for export in exports})
    rules = [{"match": name, "policy": "allow", "format": "exact"} for name in names]
    return {"qom-type": "authz-list", "id": READERS, "policy": "deny", "rules": rules}


def arguments(
    name: str,
    exports: tuple[Export, ...],
    volumes: dict[str, tuple[VolumeFolder, Chain]],
    tls: Path,
    nbd: int,
    qmp: int,
) -> list[str]:
    """All arguments after the program's name. `nbd`, `qmp`: inherited descriptors of listening sockets.

    The daemon answers nobody before it has all of its exports.
    """
    credentials = {"qom-type": "tls-creds-x509", "id": _TLS, "dir": str(tls), "endpoint": "server", "verify-peer": True}
    server = {"addr": {"type": "fd", "str": str(nbd)}, "tls-creds": _TLS, "tls-authz": READERS}
    words = [
        *("--chardev", f"socket,id={_MONITOR}{name},fd={qmp},server=on,wait=off"),
        *("--monitor", f"chardev={_MONITOR}{name}"),
        *("--object", json.dumps(credentials), "--object", json.dumps(readers_object(exports))),
        *("--nbd-server", json.dumps({**server, "max-connections": CONNECTIONS_MAX})),
    ]
    for volume, (folder, chain) in volumes.items():
        writable = is_written(export for export in exports if export.volume == volume)
        for node in layer_nodes(folder, chain, writable=writable):
            words += ["--blockdev", json.dumps(node)]
    for export in exports:
        _, chain = volumes[export.volume]
        if export.limits != Limits():
            words += ["--object", json.dumps(limit_object(export))]
            words += ["--blockdev", json.dumps(limit_node(export, chain))]
        words += ["--export", json.dumps(export_options(export, chain))]
    return words


def server_name(words: list[str]) -> str | None:
    """The name of the server whose command line this is; None for other programs."""
    start = f"socket,id={_MONITOR}"
    for option, value in itertools.pairwise(words):
        if option == "--chardev" and value.startswith(start):
            return value.removeprefix(start).partition(",")[0]
    return None


def _short(volume: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(volume).bytes).decode().rstrip("=")
