"""Machines without machines: network namespaces with an event loop in each, joined by wires."""

import asyncio
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from freehold.drivers.fabric import names, namespaces
from freehold.drivers.fabric.beyond import Beyond, Underlay
from freehold.drivers.fabric.interface import Filter, Members, Metadata, MetadataAnswer, Peers
from freehold.drivers.fabric.linux import LinuxFabric
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.network import Carrier, Port, PortWiring
from freehold.workers.host.whereabouts import Whereabouts
from tests.live.tap_guest import TapGuest

T = TypeVar("T")


def said(command: str) -> str:
    """What a shell command says in the namespace that the caller is in."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


class Machine:
    """A namespace and a loop that runs in it. Use as a context manager."""

    def __init__(self, name: str) -> None:
        self.namespace = f"ovl-{name}-{os.getpid()}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=self.namespace)

    def __enter__(self) -> "Machine":
        namespaces.create(self.namespace)
        self.run("ip link set lo up")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        namespaces.delete(self.namespace)

    def run(self, command: str) -> str:
        """What a shell command says here."""

        return namespaces.in_namespace(self.namespace, lambda: said(command))

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives in this machine's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _live(self) -> None:
        namespaces.in_namespace(self.namespace, self._loop.run_forever)


class Distant:
    """A fabric that lives on a machine, for callers in another loop."""

    def __init__(self, machine: Machine, fabric: LinuxFabric) -> None:
        self._machine, self._fabric = machine, fabric

    def __getattr__(self, verb: str) -> Any:
        async def call(*words: Any) -> Any:
            return await self._machine.call(getattr(self._fabric, verb)(*words))

        return call

    async def serve_metadata(self, answer: Metadata) -> None:
        """See Fabric: it is answered in the caller's loop."""
        caller = asyncio.get_running_loop()

        async def answered(port: str, path: str) -> MetadataAnswer:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(port, path), caller))  # type: ignore[arg-type]

        await self._machine.call(self._fabric.serve_metadata(answered))


class Wire:
    """A switch that machines are joined to. Use as a context manager."""

    def __init__(self, name: str) -> None:
        self.namespace = f"ovl-{name}-{os.getpid()}"
        self._plugs = 0

    def __enter__(self) -> "Wire":
        namespaces.create(self.namespace)
        self._ip("link add br0 type bridge mcast_snooping 0 forward_delay 0")
        self._ip("link set br0 up")
        return self

    def __exit__(self, *error: object) -> None:
        namespaces.delete(self.namespace)

    def join(self, machine: str, link: str, address: str = "", mtu: int = 1500) -> None:
        """Gives a namespace a link to the switch."""
        self._plugs += 1
        plug = f"p{self._plugs}"
        self._ip(f"link add {plug} mtu {mtu} type veth peer name {link} mtu {mtu} netns {machine}")
        self._ip(f"link set {plug} master br0 up")
        namespaces.in_namespace(machine, lambda: _shell(f"ip link set {link} up"))
        if address:
            namespaces.in_namespace(machine, lambda: _shell(f"ip addr add {address} dev {link}"))

    def _ip(self, words: str) -> None:
        namespaces.in_namespace(self.namespace, lambda: _shell(f"ip {words}"))


def _shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, capture_output=True)


class HostOnWire:
    """A host of the cluster: a machine, its fabric, its guests, and what its neighbours must know of it."""

    def __init__(self, machine: Machine, address: str, folder: Path, guests: ExitStack, **physical: str) -> None:
        self.machine, self.address, self.folder, self._guests = machine, address, folder, guests
        self.id = str(uuid.uuid4())
        self.beyond = Beyond(Underlay(address) if address else None, physical)
        self.ports: list[PortWiring] = []
        self._offload = ThreadOffload(2)
        self.fabric = self.another()

    def another(self) -> LinuxFabric:
        """The fabric of a new process of the same host."""
        return LinuxFabric(self.id, self.folder, self._offload, beyond=self.beyond)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """See Machine."""
        return await self.machine.call(work)

    async def guest(self, port: PortWiring, *, address: bool = True) -> TapGuest:
        """Plugs a port and a guest into it, which takes its address by hand."""
        tap = await self.call(self.fabric.plug(port, "guest"))
        self.ports.append(port)
        guest = self._guests.enter_context(TapGuest(port.port[:8], tap, port.mac, at=self.machine.namespace))
        if address:
            prefix = int(port.cidr.rpartition("/")[2])
            await asyncio.to_thread(guest.address, port.addresses[0], port.gateway or "", prefix)
        return guest

    async def unplug(self, port: PortWiring) -> None:
        """Takes a port away."""
        await self.call(self.fabric.unplug(port.port))
        self.ports.remove(port)

    async def filter(self, *filters: Filter, members: tuple[Members, ...] = ()) -> None:
        """See Fabric."""
        await self.call(self.fabric.filter(filters, members))

    async def restarted(self) -> None:
        """A new process takes over, as the host worker does it, and hears nothing from anybody."""
        await self.call(self.fabric.close())
        self.fabric = self.another()
        await self.call(self.fabric.sweep(frozenset(port.port for port in self.ports)))

    async def close(self) -> None:
        """Everything goes."""
        await self.call(self.fabric.sweep(frozenset()))
        await self.call(self.fabric.close())
        self._offload.close()

    def left(self) -> list[str]:
        """What the machine has of the host's, and forwarding entries of anybody's."""
        found = [line for line in self.machine.run("ip -d link").splitlines() if f"freehold:{self.id}" in line]
        found += [line for line in self.machine.run("nft list tables").splitlines() if names.table(self.id) in line]
        found += self.machine.run("bridge fdb show | grep dst").splitlines()
        return found + namespaces.named(names.namespace_prefix(self.id))


async def introduce(*hosts: HostOnWire) -> None:
    """Tells each of all, as the host worker makes it from the network worker's records."""
    for host in hosts:
        await host.call(host.fabric.reach(peers_of(host, hosts)))


def peers_of(host: HostOnWire, hosts: Iterable[HostOnWire]) -> Peers:
    """What a host is to know of others."""
    known = Whereabouts()
    for other in hosts:
        known.put_carrier(other.id, Carrier(host=other.id, address=other.address))
        for wiring in other.ports:
            port = Port(id=wiring.port, project="p", network=wiring.network, mac=wiring.mac, host=other.id)
            known.put_port(None, port)
    told = (known.of(network, host.id) for network in sorted({wiring.network for wiring in host.ports}))
    return Peers(hosts=known.hosts(), networks=tuple(one for one in told if one.ports))


class Sniffer:
    """All frames that come to a guest, or to a link of a machine. Use as a context manager."""

    def __init__(self, at: TapGuest | Machine, link: str = "eth0") -> None:
        self._at, self._link = at, link

    def __enter__(self) -> "Sniffer":
        def opened() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            made.bind((self._link, 0))
            return made

        self._socket = namespaces.in_namespace(self._at.namespace, opened)
        self._socket.settimeout(0.05)
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def frames(self, sender: str, quiet_s: float = 0.5) -> list[bytes]:
        """The frames from a MAC address that have come and come until it has been quiet for a while."""
        source, found, since = bytes.fromhex(sender.replace(":", "")), [], time.monotonic()
        while time.monotonic() - since < quiet_s:
            try:
                frame = self._socket.recv(65_536)
            except TimeoutError:
                continue
            if frame[6:12] == source:
                found.append(frame)
                since = time.monotonic()
        return found
