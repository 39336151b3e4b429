"""What this host remembers of its ports and networks on disk: one small file each, written whole.

They describe what is in the kernel, which a power cut takes along: so a damaged one is dropped, and nothing is synced.
"""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from freehold.drivers.fabric.interface import Elsewhere, Filter, Members, Peers
from freehold.drivers.fabric.wiring import METADATA_ADDRESS
from freehold.runtime.log import logger
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import PortWiring, Rule
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

_log = logger("fabric")


class Range(Word, frozen=True, kw_only=True):
    """A subnet as this host's router serves it."""

    cidr: str
    gateway: str | None
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


class NetworkRecord(Word, frozen=True, kw_only=True):
    """A network that this host carries."""

    id: str
    slot: int
    """See uplinks."""
    mtu: int
    reachable: bool
    ranges: tuple[Range, ...]
    segment: int = 0
    physical: str = ""
    vlan: int = 0

    def gateway_here(self, one: Range) -> str | None:
        """The gateway address that this host's router has in a range; of a physical network the gateway is outside."""
        return None if self.physical else one.gateway

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The router's addresses, which every host that carries the network has for its own guests."""
        gateways = (self.gateway_here(one) for one in self.ranges)
        return (METADATA_ADDRESS, *sorted({gateway for gateway in gateways if gateway is not None}))


class PortRecord(Word, frozen=True, kw_only=True):
    """A port that is, or is being, plugged here."""

    wiring: PortWiring
    hostname: str
    mark: int
    """Packets of this port carry it in the kernel: 1 … 65535, unique on this host."""
    filter: Filter | None = None


class _EarlierPass(Word, frozen=True, kw_only=True):
    rule: Rule
    remote_addresses: tuple[str, ...] = ()


class _EarlierFilter(Word, frozen=True, kw_only=True):
    port: str
    rules: tuple[_EarlierPass, ...]


class _EarlierPort(Word, frozen=True, kw_only=True):
    wiring: PortWiring
    hostname: str
    mark: int
    filter: _EarlierFilter | None = None


_ONE: Final = "00000000-0000-0000-0000-000000000000"
"""The name of the file of what there is one of."""


class Records:
    """The records of one host, in memory and under `folder`; without a folder, in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._ports_folder = folder / "ports" if folder is not None else None
        self._networks_folder = folder / "networks" if folder is not None else None
        self._elsewhere_folder = folder / "elsewhere" if folder is not None else None
        self._members_folder = folder / "members" if folder is not None else None
        self._underlay_folder = folder / "underlay" if folder is not None else None
        self.members = {one.group: one.addresses for one in _read(self._members_folder, Members).values()}
        """The addresses in each group that rules name."""
        self._split_filters()
        self.ports: dict[str, PortRecord] = _read(self._ports_folder, PortRecord)
        self.networks: dict[str, NetworkRecord] = _read(self._networks_folder, NetworkRecord)
        self._complete_networks()
        self.elsewhere: dict[str, Elsewhere] = _read(self._elsewhere_folder, Elsewhere)
        """What of each network other hosts carry."""
        self.hosts = _read(self._underlay_folder, Peers).get(_ONE, Peers()).hosts
        """The cluster's hosts on the underlay."""

    def _split_filters(self) -> None:
        """Earlier versions wrote the members of a remote group down with each rule that names it."""
        for path in self._ports_folder.glob("*.json") if self._ports_folder is not None else ():
            try:
                known = msgspec.json.decode(path.read_bytes(), type=_EarlierPort)
            except msgspec.MsgspecError:
                continue
            if self._ports_folder is None or known.filter is None or not known.filter.rules or not is_uuid(path.stem):
                continue
            for one in known.filter.rules:
                if one.rule.remote_group is not None:
                    self.keep_members(one.rule.remote_group, one.remote_addresses)
            rules = tuple(one.rule for one in known.filter.rules)
            filtered = Filter(port=known.filter.port, rules=rules)
            record = PortRecord(wiring=known.wiring, hostname=known.hostname, mark=known.mark, filter=filtered)
            _write(self._ports_folder, path.stem, record)

    def _complete_networks(self) -> None:
        """Earlier versions wrote no segment down for a network, only for its ports."""
        for network in [one for one in self.networks.values() if not one.segment and not one.physical]:
            for port in self.ports_on(network.id)[:1]:
                self.networks[network.id] = msgspec.structs.replace(network, segment=port.wiring.segment)

    def port_for(self, wiring: PortWiring, hostname: str) -> PortRecord:
        """The record of a port to be plugged; what is known of it already is kept.

        Raises Conflict if it is plugged on another network, or its addresses or MAC are another port's.
        """
        known = self.ports.get(wiring.port)
        if known is not None and known.wiring.network != wiring.network:
            raise Conflict(f"Port {wiring.port} is plugged on another network: unplug it first.")
        for other in self.ports_on(wiring.network):
            same = {wiring.mac, *wiring.addresses} & {other.wiring.mac, *other.wiring.addresses}
            if same and other.wiring.port != wiring.port:
                raise Conflict(f"Port {wiring.port} can't have {min(same)}: port {other.wiring.port} has it here.")
        if known is not None:
            return msgspec.structs.replace(known, wiring=wiring, hostname=hostname)
        return PortRecord(wiring=wiring, hostname=hostname, mark=self._free_mark())

    def ports_on(self, network: str) -> list[PortRecord]:
        """The ports on a network, in the order of their ids."""
        found = [port for port in self.ports.values() if port.wiring.network == network]
        return sorted(found, key=lambda port: port.wiring.port)

    def _free_mark(self) -> int:
        taken = {port.mark for port in self.ports.values()}
        return next(mark for mark in range(1, 65_536) if mark not in taken)

    def save_port(self, record: PortRecord) -> None:
        """Remembers a port."""
        _write(self._ports_folder, record.wiring.port, record)
        self.ports[record.wiring.port] = record

    def save_network(self, record: NetworkRecord) -> None:
        """Remembers a network."""
        _write(self._networks_folder, record.id, record)
        self.networks[record.id] = record

    def keep_elsewhere(self, network: str, record: Elsewhere | None) -> None:
        """Remembers what of a network others carry."""
        if record is None:
            _unlink(self._elsewhere_folder, network)
            self.elsewhere.pop(network, None)
        else:
            _write(self._elsewhere_folder, network, record)
            self.elsewhere[network] = record

    def save_hosts(self, hosts: tuple[str, ...]) -> None:
        """Remembers who is on the underlay."""
        if hosts == self.hosts:
            return
        _write(self._underlay_folder, _ONE, Peers(hosts=hosts))
        self.hosts = hosts

    def keep_members(self, group: str, addresses: tuple[str, ...]) -> None:
        """Remembers who is in a group, which has a UUID; of one with nobody in it nothing."""
        if addresses:
            _write(self._members_folder, group, Members(group=group, addresses=addresses))
            self.members[group] = addresses
        else:
            _unlink(self._members_folder, group)
            self.members.pop(group, None)

    def drop_port(self, port: str) -> None:
        """Forgets a port."""
        _unlink(self._ports_folder, port)
        self.ports.pop(port, None)

    def drop_network(self, network: str) -> None:
        """Forgets a network."""
        self.keep_elsewhere(network, None)
        _unlink(self._networks_folder, network)
        self.networks.pop(network, None)


def _write(folder: Path | None, identifier: str, record: Word) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{identifier}.draft"
    draft.write_bytes(msgspec.json.encode(record))
    draft.rename(folder / f"{identifier}.json")


def _unlink(folder: Path | None, identifier: str) -> None:
    if folder is not None:
        (folder / f"{identifier}.json").unlink(missing_ok=True)


def _read(folder: Path | None, shape: type[R]) -> dict[str, R]:
    found: dict[str, R] = {}
    if folder is None:
        return found
    for path in folder.glob("*.json"):
        if not is_uuid(path.stem):
            continue
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=shape)
        except msgspec.MsgspecError as error:
            _log.warning("damaged record dropped", path=str(path), error=str(error))
            path.unlink()
    return found
