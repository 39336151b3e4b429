"""The overlay of one host: for each tenant network a VXLAN device in its bridge, and where its frames go.

Nothing is learned from what arrives. Every port of a network that another host carries has an entry in the bridge and
in the VXLAN device: so a frame goes to the one host that has its receiver, and a host that lies about a MAC gets
nothing by it. Broadcasts (ARP) and frames for MACs that nobody told of go to each host that carries the network.
"""

from collections.abc import Iterable
from typing import Final

from freehold.drivers.fabric import names
from freehold.drivers.fabric.beyond import Underlay
from freehold.drivers.fabric.interface import Elsewhere
from freehold.drivers.fabric.links import Links
from freehold.drivers.fabric.records import NetworkRecord

EVERYBODY: Final = "00:00:00:00:00:00"
"""In a VXLAN device's table: whatever has no entry of its own."""

Entry = tuple[str, str]
"""MAC, underlay address."""


class Overlay:
    """The VXLAN devices of one host. Not to be called twice at the same time."""

    def __init__(self, host: str, links: Links, underlay: Underlay | None) -> None:
        self._host, self._links, self._underlay = host, links, underlay
        self._entries: dict[str, set[Entry]] = {}
        """Network -> what this process knows to be in its device."""

    def doubt(self) -> None:
        """Forgets what is there: somebody may have meddled with it."""
        self._entries.clear()

    async def ensure(self, network: NetworkRecord, bridge: int, elsewhere: Elsewhere | None) -> None:
        """Makes the network's device, in its bridge; deletes it where this host has no underlay (any more).

        Raises Conflict if something else on the machine has the network's VXLAN id.
        """
        name = names.tunnel(self._host, network.id)
        if self._underlay is None or network.physical:
            await self._links.delete(name)
            return
        index = await self._links.tunnel(
            name, network.id, segment=network.segment, address=self._underlay.address, port=self._underlay.port
        )
        self._entries.pop(network.id, None)
        await self.reach(network.id, elsewhere)
        await self._links.join_edge(index, bridge=bridge, mtu=network.mtu, learning=False)

    async def reach(self, network: str, elsewhere: Elsewhere | None) -> None:
        """Makes the device send to these ports and their hosts, and to no others, if it is there."""
        link = await self._links.find(names.tunnel(self._host, network))
        if link is None:
            return
        present = self._entries.pop(network, None)
        if present is None:
            present = await self._links.remote_entries(link.index)
        wanted = _wanted(elsewhere)
        moved = {mac for mac, _ in wanted} - {EVERYBODY}
        for mac, address in sorted(present - wanted):
            if mac not in moved:
                await self._links.drop_remote(link.index, mac, address)
        for mac, address in sorted(wanted - present):
            await self._links.put_remote(link.index, mac, address, one_of_many=mac == EVERYBODY)
        self._entries[network] = wanted

    def forget(self, network: str) -> None:
        """The network's device is gone."""
        self._entries.pop(network, None)


def _wanted(elsewhere: Elsewhere | None) -> set[Entry]:
    ports: Iterable[Entry] = () if elsewhere is None else elsewhere.ports
    return {*ports, *((EVERYBODY, address) for _, address in ports)}
