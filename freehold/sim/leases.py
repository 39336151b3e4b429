"""What must hold of ports at every moment: an address or MAC has one live guest, and who plugs a port has its lease."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.network import Port, PortWiring

if TYPE_CHECKING:
    from freehold.sim.site import HostSite, Site
    from freehold.sim.world import World


class Leases:
    """Looks at every port that is written or plugged. `violated` is told of what may not be."""

    def __init__(self, world: "World", violated: Callable[[str], None]) -> None:
        self._world, self._violated = world, violated
        self._ports: dict[str, Port] = {}
        self._holders: dict[tuple[str, str], str] = {}
        """(network, address or MAC) -> port."""
        self._unsure = False

    def put_back(self, site: "Site") -> None:
        """A store shows an earlier state. What the network worker or a registrar has forgotten may have been leased, or
        kept a lease.
        """
        self._unsure |= site.role in ("network", "registrar")

    def written(self, entry: Entry) -> None:
        """The network worker has a port on its disk, or has it no more."""
        old = self._ports.pop(entry.key, None)
        if old is not None:
            for name in _names(old):
                if self._holders.get(name) == entry.key:
                    del self._holders[name]
        if entry.value is None:
            return
        port = decode(entry.value, Port)
        self._ports[entry.key] = port
        for name in _names(port):
            holder = self._holders.setdefault(name, entry.key)
            if holder != entry.key:
                self._violated(f"{name[1]} was given to port {entry.key} and to port {holder}")

    def plugged(self, site: "HostSite", wiring: PortWiring) -> None:
        """A host has plugged a port."""
        port = self._ports.get(wiring.port)
        if not self._unsure and (port is None or not port.host):
            self._violated(f"port {wiring.port} is plugged on {site.name}, and was given back")
        for other in self._world.hosts:
            live = other.live_ports()
            for plugged in other.ports.ports.values():
                theirs = plugged.wiring
                if theirs.port not in live:
                    continue
                if theirs.network != wiring.network or (theirs.port == wiring.port and other is site):
                    continue
                shared = {wiring.mac, *wiring.addresses} & {theirs.mac, *theirs.addresses}
                if shared:
                    self._violated(
                        f"{min(shared)} of port {wiring.port} on {site.name} is that of {theirs.port} on {other.name}"
                    )


def _names(port: Port) -> list[tuple[str, str]]:
    return [(port.network, port.mac), *((port.network, fixed.address) for fixed in port.addresses)]
