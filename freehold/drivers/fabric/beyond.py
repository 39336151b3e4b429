"""What of this machine leads beyond it: the underlay to the cluster's other hosts, and interfaces on physical networks.

Everything but `Beyond` blocks.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from freehold.config import Settings
from freehold.drivers.fabric import names, namespaces
from freehold.drivers.fabric.records import NetworkRecord
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.network import Carriage, is_underlay_address

VXLAN_OVERHEAD: Final = 50
"""What IPv4, UDP, VXLAN and the inner Ethernet header take of the underlay's MTU."""

_LOOPBACK: Final = 0x8
_LINK_SCOPE: Final = 253
"""Of addresses that every interface has by itself."""


class Underlay(NamedTuple):
    """Where this host is on the network that joins the cluster's hosts."""

    address: str
    """IPv4."""
    port: int = 4789
    """UDP; the same on every host of the cluster."""
    interface: str = ""
    """Its interface, if that is there for the overlay alone: then nothing of a guest is routed out of it."""


class Edge(NamedTuple):
    """A bridge's link that leads beyond the machine."""

    link: str
    keeps: tuple[str, ...]
    """Addresses that each host has for its own guests, and that are never asked for across it."""


class Beyond(NamedTuple):
    """As the machine's operator has set it. `physical`: the interface on each physical network."""

    underlay: Underlay | None = None
    physical: Mapping[str, str] = {}

    def edge(self, host: str, network: NetworkRecord) -> Edge | None:
        """The link by which a network goes on beyond this machine, if it does."""
        if not network.physical:
            return None if self.underlay is None else Edge(names.tunnel(host, network.id), network.own_addresses)
        interface = self.physical.get(network.physical)
        if interface is None:
            return None
        return Edge(names.vlan(host, network.id) if network.vlan else interface, network.own_addresses)


NOTHING_BEYOND: Final = Beyond()


def beyond_of(settings: Settings) -> Beyond:
    """The ways out as the settings have them."""
    address, port, interface = settings.underlay_address, settings.underlay_port, settings.underlay_interface
    return Beyond(Underlay(address, port, interface) if address else None, settings.physical_networks)


def carriage_of(beyond: Beyond) -> Carriage:
    """What the machine can carry, found by looking at it. Raises Broken, saying what to set, if it isn't as set."""
    if beyond.underlay is None and not beyond.physical:
        return Carriage()
    with IPRoute() as netlink:
        links = {message["index"]: message for message in netlink.get_links()}
        addresses: dict[str, int] = {}
        for message in netlink.get_addr():
            if message["scope"] != _LINK_SCOPE:
                addresses[str(message.get("local") or message.get("address"))] = message["index"]
    by_name = {message.get("ifname"): message for message in links.values()}
    physical = [
        (name, _mtu_on(name, beyond.physical[name], by_name, links, addresses)) for name in sorted(beyond.physical)
    ]
    underlay, room = ("", 0) if beyond.underlay is None else _underlay(beyond.underlay, links, addresses)
    vlans = not beyond.physical or namespaces.in_new_namespace(_makes_vlans)
    return Carriage(underlay=underlay, overlay_mtu=room, physical=tuple(physical), vlans=vlans)


def _underlay(underlay: Underlay, links: Mapping[int, Any], addresses: Mapping[str, int]) -> tuple[str, int]:
    index = addresses.get(underlay.address)
    if index is None:
        raise Broken(
            f"underlay_address is {underlay.address}, which this machine doesn't have; it has {_listed(addresses)}."
        )
    link = links[index]
    if underlay.interface and link.get("ifname") != underlay.interface:
        raise Broken(f"underlay_interface is {underlay.interface}, but {underlay.address} is on {link.get('ifname')}.")
    return underlay.address, link.get("mtu") - VXLAN_OVERHEAD


def _listed(addresses: Iterable[str]) -> str:
    usable = sorted(address for address in addresses if is_underlay_address(address))
    return ", ".join(usable[:8]) or "none that could be it"


def _mtu_on(
    name: str, interface: str, by_name: Mapping[str, Any], links: Mapping[int, Any], addresses: Mapping[str, int]
) -> int:
    link, what = by_name.get(interface), f"physical_networks has {name} on {interface}"
    if link is None:
        raise Broken(f"{what}, and this machine has no such interface.")
    held = sorted(address for address, index in addresses.items() if index == link["index"])
    if link["flags"] & _LOOPBACK or held:
        # In a bridge its addresses would be the machine's no more: it would be cut off.
        raise Broken(
            f"{what}, which has an address of the machine's ({', '.join(held)}): give guests an interface alone."
        )
    master = links.get(link.get("master") or 0)
    if master is not None and not (master.get("ifalias") or "").startswith(names.ALIAS_START):
        raise Broken(f"{what}, which is a part of {master.get('ifname')} already: take it out, or name another.")
    mtu: int = link.get("mtu")
    return mtu


def _makes_vlans() -> bool:
    with IPRoute() as netlink:
        netlink.link("add", ifname="wire", kind="bridge")
        wire = netlink.link_lookup(ifname="wire")[0]
        try:
            netlink.link("add", ifname="tagged", kind="vlan", link=wire, vlan_id=1)
        except NetlinkError:
            return False
        return True
