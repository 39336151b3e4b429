"""A guest network that is only remembered: for tests and for clouds without real guests."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from freehold.config import Settings
from freehold.drivers.fabric import names
from freehold.drivers.fabric.interface import Filter, Members, Metadata, MetadataAnswer, Peers
from freehold.drivers.fabric.passes import matches, protocol_number
from freehold.drivers.fabric.records import Records
from freehold.drivers.fabric.wiring import check_carried, check_members, check_peers, check_wiring
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import Carriage, Direction, PortWiring, Rule


def simulated_carriage(settings: Settings, number: int) -> Carriage:
    """What the simulated host of a number says that it carries: they follow one another on the underlay."""
    address = settings.underlay_address
    return Carriage(
        underlay=str(IPv4Address(address) + number) if address else "",
        overlay_mtu=settings.network_mtu,
        physical=tuple((name, 1500) for name in sorted(settings.physical_networks)),
    )


class SimulatedFabric:
    """See Fabric. `folder`: where it remembers over a restart; without one it remembers nothing, unless it is handed
    the `records` of the driver before it. `carriage`: what it can carry beyond itself.

    For tests: `fail_plug` is raised by `plug` while it is set, `wiring`, `lets_in` and `sends` tell what is in force,
    and `ask_metadata` asks as a guest.
    """

    def __init__(
        self, folder: Path | None = None, records: Records | None = None, carriage: Carriage | None = None
    ) -> None:
        self._records = records or Records(folder)
        self._carriage = carriage or Carriage()
        self._metadata: Metadata | None = None
        self.fail_plug: FreeholdError | None = None

    async def probe(self) -> Carriage:
        """See Fabric."""
        return self._carriage

    async def plug(self, wiring: PortWiring, hostname: str) -> str:
        """See Fabric."""
        check_wiring(wiring)
        check_carried(self._carriage, wiring)
        if self.fail_plug is not None:
            raise self.fail_plug
        self._records.save_port(self._records.port_for(wiring, hostname))
        return names.tap(wiring.port)

    async def reach(self, peers: Peers) -> None:
        """See Fabric."""
        check_peers(peers)
        if not self._carriage.underlay:
            return
        self._records.save_hosts(peers.hosts)
        told = {one.network: one for one in peers.networks if one.ports}
        for network in self._overlaid() | self._records.elsewhere.keys():
            self._records.keep_elsewhere(network, told.get(network) if network in self._overlaid() else None)

    def _overlaid(self) -> set[str]:
        """The networks here that go on over the underlay."""
        return {port.wiring.network for port in self._records.ports.values() if not port.wiring.physical}

    def _drop(self, port: str) -> None:
        self._records.drop_port(port)
        for network in self._records.elsewhere.keys() - self._overlaid():
            self._records.keep_elsewhere(network, None)

    async def filter(self, filters: tuple[Filter, ...], members: tuple[Members, ...] = ()) -> None:
        """See Fabric."""
        for group in members:
            check_members(group)
        for one in filters:
            for direction in Direction:
                tuple(matches(one.rules, direction))  # a rule that can't be is refused here as well
        for one in filters:
            port = self._records.ports.get(one.port)
            if port is not None:
                self._records.save_port(msgspec.structs.replace(port, filter=one))
        for group in members:
            self._records.keep_members(group.group, group.addresses)

    async def unplug(self, port: str) -> None:
        """See Fabric."""
        if is_uuid(port):
            self._drop(port)

    async def plugged(self) -> frozenset[str]:
        """See Fabric."""
        return frozenset(self._records.ports)

    async def serve_metadata(self, answer: Metadata) -> None:
        """See Fabric."""
        self._metadata = answer

    async def sweep(self, keep: frozenset[str]) -> None:
        """See Fabric."""
        for port in frozenset(self._records.ports) - keep:
            self._drop(port)

    async def close(self) -> None:
        """See Fabric."""
        self._metadata = None

    def wiring(self, port: str) -> PortWiring:
        """How a plugged port was wired. Raises KeyError if it isn't here."""
        return self._records.ports[port].wiring

    def sends(self, network: str) -> frozenset[tuple[str, str]]:
        """Where frames of a network go: (MAC, host's address); as hosts that may send into it, the same."""
        elsewhere = self._records.elsewhere.get(network)
        return frozenset() if elsewhere is None else frozenset(elsewhere.ports)

    def lets_in(self, port: str, source: str, protocol: str, number: int | None = None) -> bool:
        """Whether a new connection from `source` would reach the guest. `number`: the port, or the type of ICMP."""
        record = self._records.ports[port]
        if not record.wiring.port_security:
            return True
        rules = record.filter.rules if record.filter is not None else ()
        return any(self._fits(one, source, protocol, number) for one in rules)

    def _fits(self, rule: Rule, source: str, protocol: str, number: int | None) -> bool:
        if rule.direction is not Direction.INGRESS or rule.ethertype != "IPv4":
            return False
        wanted = rule.protocol
        if wanted not in (None, "any", "ip", "0") and protocol_number(wanted) != protocol_number(protocol):
            return False
        return _fits_number(rule, protocol, number) and self._fits_source(rule, source)

    def _fits_source(self, rule: Rule, source: str) -> bool:
        if rule.remote_group is not None:
            return source in self._records.members.get(rule.remote_group, ())
        return rule.remote_cidr is None or IPv4Address(source) in IPv4Network(rule.remote_cidr, strict=False)

    async def ask_metadata(self, port: str, path: str) -> MetadataAnswer:
        """The answer to a plugged port's guest that asks 169.254.169.254 for `path`."""
        if self._metadata is None or port not in self._records.ports:
            return MetadataAnswer(status=503, content_type="text/plain", body=b"")
        return await self._metadata(port, path)


def _fits_number(rule: Rule, protocol: str, number: int | None) -> bool:
    if rule.port_first is None:
        return True
    last = rule.port_first if protocol == "icmp" or rule.port_last is None else rule.port_last
    return number is not None and rule.port_first <= number <= last
