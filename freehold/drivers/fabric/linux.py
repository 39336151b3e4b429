"""The guest network on Linux: for each network a bridge, a router in its own namespace and a DHCP server; nftables."""

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from freehold.drivers.fabric import names, namespaces, uplinks
from freehold.drivers.fabric.beyond import NOTHING_BEYOND, Beyond, carriage_of
from freehold.drivers.fabric.interface import Filter, Members, Metadata, Peers
from freehold.drivers.fabric.links import Links, no_ipv6
from freehold.drivers.fabric.metadata import MetadataServer
from freehold.drivers.fabric.networks import Networks, Where, network_of
from freehold.drivers.fabric.nft import check_library, run_nft
from freehold.drivers.fabric.records import NetworkRecord, PortRecord, Records
from freehold.drivers.fabric.ruleset import Ruleset
from freehold.drivers.fabric.taps import check_device, make_tap
from freehold.drivers.fabric.wiring import (
    METADATA_ADDRESS,
    check_carried,
    check_members,
    check_peers,
    check_wiring,
    ipv4,
)
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import BadRequest, Broken, Conflict
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import Carriage, PortWiring

_BRIDGED_PACKETS_FILTERED: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_RUNTIME: Final = Path("/run/freehold")


class LinuxFabric:
    """See Fabric. Several hosts may share a machine: each touches only what carries its own id.

    `host`: the host's id, a UUID. `folder`: where its records are. `outbound`: whether guests reach beyond the machine.
    `runtime`: what a restart of the machine may take away; one for all hosts of a machine. `beyond`: the ways out.
    """

    def __init__(
        self,
        host: str,
        folder: Path,
        offload: Offload,
        *,
        outbound: bool = True,
        runtime: Path = _RUNTIME,
        beyond: Beyond = NOTHING_BEYOND,
    ) -> None:
        if not is_uuid(host):
            raise BadRequest("A host's id is a UUID.")
        self._host = host
        self._folder = folder
        self._offload = offload
        self._outbound = outbound
        self._runtime = runtime
        self._beyond = beyond
        self._carriage: Carriage | None = None
        self._lock = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._servers: dict[str, MetadataServer] = {}
        self._parts: tuple[Links, Networks, Records] | None = None

    async def probe(self) -> Carriage:
        """See Fabric."""
        await self._offload(self._check_machine)
        self._carriage = None
        return await self._probed()

    async def plug(self, wiring: PortWiring, hostname: str) -> str:
        """See Fabric. Conflict: the range of a reachable network is routed elsewhere already."""
        check_wiring(wiring)
        check_carried(await self._probed(), wiring)
        async with self._lock:
            _, networks, records = await self._opened()
            port = records.port_for(wiring, hostname)
            network = await self._network_for(wiring)
            records.save_network(network)
            records.save_port(port)
            await networks.ensure(network)
            await networks.serve_dhcp(network, records.ports_on(network.id))
            await self._open_metadata(network.id)
            await self._plug_tap(port)
            return names.tap(wiring.port)

    async def reach(self, peers: Peers) -> None:
        """See Fabric."""
        check_peers(peers)
        if self._beyond.underlay is None:
            return
        told = {one.network: one for one in peers.networks if one.ports}
        async with self._lock:
            _, networks, records = await self._opened()
            await networks.keep_from(peers.hosts)
            here = tuple(records.networks)
        for network in here:
            async with self._lock:  # one at a time: a plug needn't wait for all of them
                await networks.reach(network, told.get(network))

    async def filter(self, filters: tuple[Filter, ...], members: tuple[Members, ...] = ()) -> None:
        """See Fabric."""
        for group in members:
            check_members(group)
        async with self._lock:
            _, networks, records = await self._opened()
            here = [
                msgspec.structs.replace(records.ports[one.port], filter=one)
                for one in filters
                if one.port in records.ports
            ]
            said = [(one.group, ipv4(one.addresses)) for one in members]
            due = [(group, now) for group, now in said if records.members.get(group, ()) != now]
            text = "".join(networks.rules.members(group, now) for group, now in due)
            text += "".join(networks.rules.filter(port) for port in here)
            if text and records.ports:  # else nobody is here whom it could concern, and it is known when he comes
                await networks.transaction(text)
            for port in here:
                records.save_port(port)
            for key, now in due:
                records.keep_members(key, now)

    async def unplug(self, port: str) -> None:
        """See Fabric."""
        async with self._lock:
            await self._unplug(port)

    async def plugged(self) -> frozenset[str]:
        """See Fabric."""
        async with self._lock:
            return await self._plugged()

    async def serve_metadata(self, answer: Metadata) -> None:
        """See Fabric."""
        async with self._lock:
            _, _, records = await self._opened()
            self._metadata = answer
            for network in records.networks:
                namespace = names.namespace(self._host, network)
                if await self._offload(lambda namespace=namespace: namespaces.exists(namespace)):  # type: ignore[misc]
                    await self._open_metadata(network)

    async def sweep(self, keep: frozenset[str]) -> None:
        """See Fabric. What is kept is made whole again where something of it is missing."""
        async with self._lock:
            _, networks, records = await self._opened()
            networks.doubt()
            for port in await self._plugged() - keep:
                await self._unplug(port)
            for network in [one for one in records.networks if not records.ports_on(one)]:
                await self._remove_network(network)
            await networks.remove_unknown([*records.ports, *records.networks])
            for record in records.networks.values():
                await networks.ensure(record)
                await networks.serve_dhcp(record, records.ports_on(record.id))
                await self._open_metadata(record.id)
            await self._replace_rules()

    async def close(self) -> None:
        """See Fabric."""
        async with self._lock:
            for server in self._servers.values():
                await server.close()
            self._servers.clear()
            if self._parts is not None:
                await self._parts[0].close()
                self._parts = None

    async def _probed(self) -> Carriage:
        if self._carriage is None:
            self._carriage = await self._offload(lambda: carriage_of(self._beyond))
        return self._carriage

    # --- everything below is called with the lock held

    async def _opened(self) -> tuple[Links, Networks, Records]:
        if self._parts is None:
            records = await self._offload(lambda: Records(self._folder))
            links = Links(self._host)
            where = Where(self._host, self._runtime, self._beyond, self._outbound)
            networks = Networks(where, links, records, self._offload)
            self._parts = links, networks, records
        return self._parts

    async def _network_for(self, wiring: PortWiring) -> NetworkRecord:
        _, networks, records = await self._opened()
        known = records.networks.get(wiring.network)
        if known is not None:
            slot = known.slot
        else:
            taken = await networks.slots_taken() | {one.slot for one in records.networks.values()}
            slot = uplinks.choose(self._host, wiring.network, taken)
        network = network_of(wiring, known, slot)
        if network != known:
            await networks.check(network)
        return network

    async def _plug_tap(self, port: PortRecord) -> None:
        links, networks, _ = await self._opened()
        wiring, name = port.wiring, names.tap(port.wiring.port)
        if await links.find(name) is None:
            await self._offload(lambda: make_tap(name))
        tap, bridge = await links.find(name), await links.find(networks.bridge(wiring.network))
        if tap is None or bridge is None:
            raise Conflict(f"The interface {name} or its bridge went away while it was being set up.")
        await links.claim(tap, wiring.port)
        no_ipv6(name)
        # The rules stand before the tap is up.
        await networks.transaction(networks.rules.port(port))
        await links.join_tap(tap, bridge=bridge.index, mtu=wiring.mtu, mac=wiring.mac if wiring.port_security else None)

    async def _unplug(self, port: str) -> None:
        links, networks, records = await self._opened()
        if port not in await self._plugged():
            return
        await links.delete(names.tap(port))
        record = records.ports.get(port)
        if record is None:
            await self._replace_rules()
            return
        await networks.transaction(networks.rules.port_gone(record))
        await self._leave_network(record)
        records.drop_port(port)

    async def _leave_network(self, port: PortRecord) -> None:
        _, networks, records = await self._opened()
        network = records.networks.get(port.wiring.network)
        if network is None:
            return
        rest = [other for other in records.ports_on(network.id) if other is not port]
        if rest:
            await networks.serve_dhcp(network, rest)
        else:
            await self._remove_network(network.id)

    async def _remove_network(self, network: str) -> None:
        _, networks, records = await self._opened()
        server = self._servers.pop(network, None)
        if server is not None:
            await server.close()
        await networks.remove(network)
        if len(records.networks) > 1:
            record = records.networks[network]
            senders_gone = networks.rules.elsewhere(record, records.elsewhere.get(network), None)
            await networks.transaction(networks.rules.network_gone(record) + senders_gone)
        else:
            await networks.replace_rules((), ())
        records.drop_network(network)

    async def _plugged(self) -> frozenset[str]:
        links, _, records = await self._opened()
        found = {identifier for name, identifier in (await links.ours()).items() if names.tap(identifier) == name}
        return frozenset(found) | frozenset(records.ports)

    async def _replace_rules(self) -> None:
        links, networks, records = await self._opened()
        present = await links.ours()
        ports = [port for port in records.ports.values() if names.tap(port.wiring.port) in present]
        await networks.replace_rules(records.networks.values(), ports)

    async def _open_metadata(self, network: str) -> None:
        if network in self._servers:
            return
        namespace = names.namespace(self._host, network)
        try:
            listener = await self._offload(lambda: namespaces.listening_socket(namespace, METADATA_ADDRESS, 80))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Conflict(f"Another process serves metadata for host {self._host}: only one may run it.") from error
        server = MetadataServer(lambda address: self._port_at(network, address), lambda: self._metadata)
        await server.open(listener)
        self._servers[network] = server

    def _port_at(self, network: str, address: str) -> str | None:
        assert self._parts is not None
        ports = self._parts[2].ports_on(network)
        return next((port.wiring.port for port in ports if address in port.wiring.addresses), None)

    def _check_machine(self) -> None:
        if os.geteuid() != 0:
            raise Broken("Guest networks need root: taps, bridges and namespaces can't be made without.")
        check_device()
        check_library()
        if shutil.which("dnsmasq") is None:
            raise Broken("dnsmasq isn't installed: install the package dnsmasq-base.")
        if not _BRIDGED_PACKETS_FILTERED.exists():
            raise Broken("The kernel doesn't filter bridged packets: load its module with `modprobe br_netfilter`.")
        if _BRIDGED_PACKETS_FILTERED.read_text().strip() != "1":
            raise Broken("Filtering of bridged packets is off: run `sysctl net.bridge.bridge-nf-call-iptables=1`.")
        rules = Ruleset(self._host, self._outbound).base()
        namespaces.in_new_namespace(lambda: run_nft(rules))
