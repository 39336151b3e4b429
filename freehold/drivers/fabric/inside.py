"""What is done inside a router's namespace. Everything here blocks, and runs in a thread that has entered it."""

from ipaddress import IPv4Network
from typing import Any, Final

from pyroute2 import IPRoute

from freehold.drivers.fabric import namespaces
from freehold.drivers.fabric.names import GATEWAY_MAC, ROUTER_LINK, ROUTER_UPLINK
from freehold.drivers.fabric.nft import run_nft
from freehold.drivers.fabric.records import NetworkRecord
from freehold.drivers.fabric.router import router_rules
from freehold.drivers.fabric.uplinks import pair
from freehold.drivers.fabric.wiring import METADATA_ADDRESS

_UPLINK_MTU_MIN: Final = 1500


def uplink_mtu(network: NetworkRecord) -> int:
    """The uplink never makes packets smaller than the network's own."""
    return max(_UPLINK_MTU_MIN, network.mtu)


def set_up_router(namespace: str, network: NetworkRecord) -> None:
    """Gives the router its addresses, routes and rules. Its links must be there: of a physical network it has no
    uplink, because there it only answers DHCP and metadata.
    """

    def work() -> None:
        # Rules first: nothing is ever forwarded without them.
        run_nft(router_rules(network))
        for scope in ("all", "default"):
            namespaces.set_sysctl(f"net/ipv6/conf/{scope}/disable_ipv6", "1")
        with IPRoute() as netlink:
            indexes = {message.get("ifname"): message["index"] for message in netlink.get_links()}
            netlink.link("set", index=indexes["lo"], state="up")
            _set_up_link(netlink, indexes[ROUTER_LINK], network)
            if not network.physical:
                _set_up_uplink(netlink, indexes[ROUTER_UPLINK], network)
        if not network.physical:
            namespaces.set_sysctl("net/ipv4/ip_forward", "1")

    namespaces.in_namespace(namespace, work)


def _set_up_link(netlink: Any, index: int, network: NetworkRecord) -> None:
    netlink.link("set", index=index, address=GATEWAY_MAC, mtu=network.mtu)
    wanted = {(METADATA_ADDRESS, 32), *_gateways(network)}
    _set_addresses(netlink, index, wanted)
    netlink.link("set", index=index, state="up")
    for one in network.ranges:
        if network.gateway_here(one) is None:
            netlink.route("replace", dst=one.cidr, oif=index, prefsrc=METADATA_ADDRESS, scope=253)


def _set_up_uplink(netlink: Any, index: int, network: NetworkRecord) -> None:
    ends = pair(network.slot)
    netlink.link("set", index=index, mtu=uplink_mtu(network))
    _set_addresses(netlink, index, {(ends.router, 31)})
    netlink.link("set", index=index, state="up")
    netlink.route("replace", dst="default", gateway=ends.machine, oif=index)


def _gateways(network: NetworkRecord) -> set[tuple[str, int]]:
    pairs = ((network.gateway_here(one), one) for one in network.ranges)
    return {(gateway, IPv4Network(one.cidr).prefixlen) for gateway, one in pairs if gateway is not None}


def _set_addresses(netlink: Any, index: int, wanted: set[tuple[str, int]]) -> None:
    present = {(message.get("address"), message["prefixlen"]) for message in netlink.get_addr(index=index, family=2)}
    for address, prefix in present - wanted:
        netlink.addr("del", index=index, address=address, prefixlen=prefix)
    for address, prefix in wanted - present:
        netlink.addr("add", index=index, address=address, prefixlen=prefix)
