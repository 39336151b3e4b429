"""dnsmasq's configuration: static hosts only, with the options of their subnet.

Hosts stand in a file that is read again on SIGHUP. No host has a tag of its own: dnsmasq 2.90 dies of a double free
when it reads a tagged host again to which it has given a lease.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from freehold.drivers.fabric.names import ROUTER_LINK
from freehold.drivers.fabric.records import NetworkRecord, PortRecord, Range
from freehold.drivers.fabric.wiring import METADATA_ADDRESS

_LEASE_S = 86_400


def configuration(network: NetworkRecord, folder: Path, group: str) -> str:
    """What a change of needs another start of dnsmasq. `folder`: where its files are, `group`: who may read them."""
    lines = [
        "port=0", "no-resolv", "no-hosts", "no-ping", "quiet-dhcp", "bind-interfaces",
        f"interface={ROUTER_LINK}", "except-interface=lo",
        "user=nobody", f"group={group}", "dhcp-authoritative", "dhcp-lease-max=65535", "dhcp-ignore=tag:!known",
        f"dhcp-hostsfile={folder / 'hosts'}", f"dhcp-leasefile={folder / 'leases'}", f"pid-file={folder / 'pid'}",
        f"dhcp-option=option:mtu,{network.mtu}",
    ]  # fmt: skip
    for number, one in enumerate(network.ranges):
        lines += _range(f"subnet{number}", one, network.gateway_here(one))
    return "".join(f"{line}\n" for line in lines)


def hosts(ports: Iterable[PortRecord]) -> str:
    """Who is answered, and with which address: read again on SIGHUP."""
    return "".join(
        f"{port.wiring.mac},{port.wiring.addresses[0]},{host_label(port.hostname)},{_LEASE_S}\n"
        for port in ports
        if port.wiring.dhcp
    )


def _range(tag: str, one: Range, here: str | None) -> Iterator[str]:
    """`here`: the router's own address in the range."""
    cidr = IPv4Network(one.cidr)
    yield f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},{_LEASE_S}"
    if here is None:
        # The router has no address in this subnet: dnsmasq must be told that it is on this link all the same.
        yield f"shared-network={ROUTER_LINK},{cidr.network_address}"
    yield from (f"dhcp-option=tag:{tag},{option}" for option in _options(one, here))


def _options(one: Range, here: str | None) -> Iterator[str]:
    yield f"option:router,{one.gateway}" if one.gateway is not None else "option:router"
    if one.dns:
        yield "option:dns-server," + ",".join(one.dns)
    # A client that takes classless routes ignores the router option: the default route is said here as well.
    routes = [(f"{METADATA_ADDRESS}/32", here or "0.0.0.0")]
    routes += [("0.0.0.0/0", one.gateway)] if one.gateway is not None else []
    routes += one.routes
    yield "option:classless-static-route," + ",".join(f"{destination},{hop}" for destination, hop in routes)


def host_label(hostname: str) -> str:
    """The host name as one DNS label of at most 63 bytes; what has no letter or digit becomes ``guest``."""
    label = re.sub(r"[^a-z0-9-]+", "-", hostname.lower().split(".")[0])[:63].strip("-")
    return label or "guest"
