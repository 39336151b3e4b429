"""What this host remembers of its ports and networks on disk: one small file each, written whole.

They describe what is in the kernel, which a power cut takes along: so a damaged one is dropped, and nothing is synced.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from freehold.drivers.fabric.interface import Filter
from freehold.runtime.log import logger
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import PortWiring
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

_log = logger("fabric")


class Range(Word, frozen=True, kw_only=True):
    """A subnet as this host's router serves it."""

    cidr: str
    gateway: str | None


class NetworkRecord(Word, frozen=True, kw_only=True):
    """A network that this host carries."""

    id: str
    slot: int
    """See uplinks."""
    mtu: int
    reachable: bool
    ranges: tuple[Range, ...]


class PortRecord(Word, frozen=True, kw_only=True):
    """A port that is, or is being, plugged here."""

    wiring: PortWiring
    hostname: str
    mark: int
    """Packets of this port carry it in the kernel: 1 … 65535, unique on this host."""
    filter: Filter | None = None


class Records:
    """The records of one host, in memory and under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._ports_folder = folder / "ports"
        self._networks_folder = folder / "networks"
        self._ports_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._networks_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ports: dict[str, PortRecord] = _read(self._ports_folder, PortRecord)
        self.networks: dict[str, NetworkRecord] = _read(self._networks_folder, NetworkRecord)

    def ports_on(self, network: str) -> list[PortRecord]:
        """The ports on a network, in the order of their ids."""
        found = [port for port in self.ports.values() if port.wiring.network == network]
        return sorted(found, key=lambda port: port.wiring.port)

    def free_mark(self) -> int:
        """The lowest mark that no port has."""
        taken = {port.mark for port in self.ports.values()}
        return next(mark for mark in range(1, 65_536) if mark not in taken)

    def save_port(self, record: PortRecord) -> None:
        """Remembers a port."""
        _write(self._ports_folder / f"{record.wiring.port}.json", record)
        self.ports[record.wiring.port] = record

    def save_network(self, record: NetworkRecord) -> None:
        """Remembers a network."""
        _write(self._networks_folder / f"{record.id}.json", record)
        self.networks[record.id] = record

    def drop_port(self, port: str) -> None:
        """Forgets a port."""
        (self._ports_folder / f"{port}.json").unlink(missing_ok=True)
        self.ports.pop(port, None)

    def drop_network(self, network: str) -> None:
        """Forgets a network."""
        (self._networks_folder / f"{network}.json").unlink(missing_ok=True)
        self.networks.pop(network, None)


def _write(path: Path, record: Word) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(record))
    draft.rename(path)


def _read(folder: Path, shape: type[R]) -> dict[str, R]:
    found: dict[str, R] = {}
    for path in folder.glob("*.json"):
        if not is_uuid(path.stem):
            continue
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=shape)
        except msgspec.MsgspecError as error:
            _log.warning("damaged record dropped", path=str(path), error=str(error))
            path.unlink()
    return found
