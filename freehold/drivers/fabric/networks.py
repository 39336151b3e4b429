"""Brings a network up on this machine, and takes it down: bridge, router, uplink, rules, DHCP."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from freehold.drivers.fabric import dhcp, inside, names, namespaces, uplinks
from freehold.drivers.fabric.beyond import Beyond
from freehold.drivers.fabric.dnsmasq import DhcpServer, server_group_name
from freehold.drivers.fabric.forwarding import allow_forwarding, release_forwarding
from freehold.drivers.fabric.interface import Elsewhere, Peers
from freehold.drivers.fabric.links import Links
from freehold.drivers.fabric.nft import run_nft
from freehold.drivers.fabric.overlay import Overlay
from freehold.drivers.fabric.records import NetworkRecord, PortRecord, Range, Records
from freehold.drivers.fabric.ruleset import Ruleset
from freehold.runtime.log import logger
from freehold.runtime.tasks import Offload
from freehold.vocabulary.ids import short
from freehold.vocabulary.network import PortWiring

_log = logger("fabric")


def network_of(wiring: PortWiring, known: NetworkRecord | None, slot: int) -> NetworkRecord:
    """What this host must carry so that `wiring` works: what is known of its network already, and its own subnet.

    Where wirings of one subnet differ, the newest is right for all of them.
    """
    others = [one for one in known.ranges if one.cidr != wiring.cidr] if known is not None else []
    own = Range(cidr=wiring.cidr, gateway=wiring.gateway, dns=wiring.dns, routes=wiring.routes)
    ranges = sorted([*others, own], key=lambda one: one.cidr)
    return NetworkRecord(
        id=wiring.network,
        slot=slot,
        mtu=wiring.mtu,
        reachable=wiring.reachable and not wiring.physical,
        ranges=tuple(ranges),
        segment=wiring.segment,
        physical=wiring.physical,
        vlan=wiring.vlan,
    )


class Where(NamedTuple):
    """Whose networks, and how they are set: see LinuxFabric."""

    host: str
    runtime: Path
    beyond: Beyond
    outbound: bool


class Networks:
    """The networks of one host, as they are in the kernel. Not to be called twice at the same time."""

    def __init__(self, where: Where, links: Links, records: Records, offload: Offload) -> None:
        host, runtime, beyond, outbound = where
        self._host = host
        self._records = records
        self._beyond = beyond
        self._overlay = Overlay(host, links, beyond.underlay)
        self._links = links
        self._offload = offload
        self._outbound = outbound
        self._lock_file = runtime / "forwarding.lock"
        self._runtime = runtime / short(host)
        self._tables_there = False
        self._up: dict[str, NetworkRecord] = {}
        self.rules = Ruleset(host, outbound, beyond)

    async def transaction(self, text: str) -> None:
        """Runs a transaction of rules; the first makes the host's tables as well."""
        begun = "" if self._tables_there else self.rules.base() + self.rules.hosts(self._records.hosts)
        begun += "" if self._tables_there else self.rules.groups(self._records.members)
        await self._offload(lambda: run_nft(begun + text))
        self._tables_there = True

    async def replace_rules(self, networks: Iterable[NetworkRecord], ports: Iterable[PortRecord]) -> None:
        """Puts these networks' and ports' rules in place of all that the host has."""
        networks = tuple(networks)
        peers = Peers(hosts=self._records.hosts, networks=tuple(self._records.elsewhere.values()))
        text = self.rules.whole(networks, ports, peers, self._records.members) if networks else self.rules.gone()
        await self._offload(lambda: run_nft(text))
        self._tables_there = bool(networks)

    async def slots_taken(self) -> set[int]:
        """The slots of all networks on this machine, whoever's they are."""
        found = (uplinks.slot_of(address) for address in await self._links.addresses(names.UPLINK_PREFIX))
        return {slot for slot in found if slot is not None}

    async def check(self, network: NetworkRecord) -> None:
        """Raises Conflict if the machine can't route to a reachable network."""
        if network.reachable:
            await self._links.check_routes((one.cidr for one in network.ranges), names.uplink(self._host, network.id))

    def doubt(self) -> None:
        """Forgets what this process has seen complete: somebody may have meddled with it."""
        self._up.clear()
        self._overlay.doubt()
        self._tables_there = False

    async def ensure(self, network: NetworkRecord) -> None:
        """Makes all of a network but its DHCP server, unless this process has seen it complete."""
        if self._up.get(network.id) == network:
            return
        namespace = names.namespace(self._host, network.id)
        await self._offload(lambda: namespaces.create(namespace))
        bridge = await self._links.bridge(names.bridge(self._host, network.id), network.id, network.mtu)
        port = await self._router_link(names.router_port(self._host, network.id), network.id, inside=names.ROUTER_LINK)
        uplink = None
        if not network.physical:
            name = names.uplink(self._host, network.id)
            uplink = await self._router_link(name, network.id, inside=names.ROUTER_UPLINK)
        # The filters are there before anything can pass.
        elsewhere = self._records.elsewhere.get(network.id)
        await self.transaction(self.rules.network(network) + self.rules.elsewhere(network, None, elsewhere))
        await self._offload(lambda: inside.set_up_router(namespace, network))
        await self._links.raise_link(port, mtu=network.mtu, master=bridge)
        if uplink is not None:
            await self._connect(network, uplink)
        await self._go_beyond(network, bridge)
        self._up[network.id] = network

    async def keep_from(self, hosts: tuple[str, ...]) -> None:
        """Keeps guests from these addresses on the underlay, and from no others there."""
        if self._records.networks and hosts != self._records.hosts:
            await self.transaction(self.rules.hosts(hosts))
        self._records.save_hosts(hosts)

    async def reach(self, key: str, now: Elsewhere | None) -> None:
        """Has a network, if it is here and goes over the underlay, send to these ports, and hear their hosts alone."""
        network, before = self._records.networks.get(key), self._records.elsewhere.get(key)
        if network is None or network.physical or now == before:
            return
        await self.transaction(self.rules.elsewhere(network, before, now))
        await self._overlay.reach(key, now)
        self._records.keep_elsewhere(key, now)

    async def _go_beyond(self, network: NetworkRecord, bridge: int) -> None:
        """Joins the network to what of it is beyond this machine."""
        await self._overlay.ensure(network, bridge, self._records.elsewhere.get(network.id))
        interface = self._beyond.physical.get(network.physical)
        if not network.physical:
            return
        if interface is None:
            _log.error("no interface is set for a network's wire", network=network.id, physical=network.physical)
            return
        if network.vlan:
            name = names.vlan(self._host, network.id)
            index = await self._links.vlan(name, network.id, interface=interface, number=network.vlan)
        else:
            index = await self._links.interface(interface, bridge)
        await self._links.release(bridge, but=index)
        await self._links.join_edge(index, bridge=bridge, mtu=network.mtu if network.vlan else None, learning=True)

    async def serve_dhcp(self, network: NetworkRecord, ports: Iterable[PortRecord]) -> None:
        """Makes the network's DHCP server run and know exactly these ports."""
        ports = tuple(ports)
        server, folder = self._server(network.id), self._folder(network.id)
        configuration = dhcp.configuration(network, folder, server_group_name())
        await self._offload(lambda: server.ensure(configuration, dhcp.hosts(ports)))

    async def remove(self, network: str) -> None:
        """Takes a network down, but for its rules; also one that is only half there."""
        self._up.pop(network, None)
        self._overlay.forget(network)
        await self._offload(self._server(network).remove)
        for name in (names.router_port, names.uplink, names.tunnel, names.vlan, names.bridge):
            await self._links.delete(name(self._host, network))
        await self._offload(lambda: namespaces.delete(names.namespace(self._host, network)))
        await self._offload(self._remove_empty_folder)
        await self._offload(lambda: release_forwarding(self._lock_file))

    async def remove_unknown(self, known: Iterable[str]) -> None:
        """Deletes links, namespaces and DHCP servers of this host that belong to no known network or port."""
        known = set(known)
        for name, identifier in (await self._links.ours()).items():
            if identifier not in known:
                await self._links.delete(name)
        await self._offload(lambda: self._remove_unknown_folders({short(network) for network in known}))
        await self._offload(lambda: release_forwarding(self._lock_file))

    def bridge(self, network: str) -> str:
        """The name of a network's bridge."""
        return names.bridge(self._host, network)

    async def _router_link(self, name: str, network: str, *, inside: str) -> int:
        namespace = names.namespace(self._host, network)
        return await self._links.router_link(name, network, inside=inside, namespace=namespace)

    async def _connect(self, network: NetworkRecord, uplink: int) -> None:
        ends = uplinks.pair(network.slot)
        await self._links.address(uplink, ends.machine, 31)
        await self._links.raise_link(uplink, mtu=inside.uplink_mtu(network))
        if network.reachable:
            for one in network.ranges:
                await self._links.route(one.cidr, index=uplink, gateway=ends.router)
        if self._outbound:
            await self._offload(lambda: allow_forwarding(self._lock_file))

    def _folder(self, network: str) -> Path:
        return self._runtime / short(network)

    def _server(self, network: str) -> DhcpServer:
        return DhcpServer(names.namespace(self._host, network), self._folder(network))

    def _remove_unknown_folders(self, known: set[str]) -> None:
        """By their short ids, which is all that names of folders and namespaces have."""
        for folder in [path for path in self._runtime.glob("*") if path.name not in known]:
            DhcpServer("", folder).remove()
        prefix = names.namespace_prefix(self._host)
        for namespace in namespaces.named(prefix):
            if namespace.removeprefix(prefix) not in known:
                namespaces.delete(namespace)
        self._remove_empty_folder()

    def _remove_empty_folder(self) -> None:
        if self._runtime.is_dir() and not any(self._runtime.iterdir()):
            self._runtime.rmdir()
