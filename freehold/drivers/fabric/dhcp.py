"""dnsmasq's configuration: static hosts only, each with the options of its own wiring."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from freehold.drivers.fabric.names import ROUTER_LINK
from freehold.drivers.fabric.records import NetworkRecord, PortRecord
from freehold.drivers.fabric.wiring import METADATA_ADDRESS
from freehold.vocabulary.ids import short
from freehold.vocabulary.network import PortWiring

_LEASE_S = 86_400


def configuration(network: NetworkRecord, folder: Path, group: str) -> str:
    """What a change of needs another start of dnsmasq. `folder`: where its files are, `group`: who may read them."""
    lines = [
        "port=0", "no-resolv", "no-hosts", "no-ping", "quiet-dhcp", "bind-interfaces",
        f"interface={ROUTER_LINK}", "except-interface=lo",
        "user=nobody", f"group={group}", "dhcp-authoritative", "dhcp-lease-max=65535", "dhcp-ignore=tag:!known",
        f"dhcp-hostsfile={folder / 'hosts'}", f"dhcp-optsfile={folder / 'options'}",
        f"dhcp-leasefile={folder / 'leases'}", f"pid-file={folder / 'pid'}",
    ]  # fmt: skip
    for one in network.ranges:
        cidr = IPv4Network(one.cidr)
        lines.append(f"dhcp-range={cidr.network_address},static,{cidr.netmask},{_LEASE_S}")
        if one.gateway is None:
            # The router has no address in this subnet: dnsmasq must be told that it is on this link all the same.
            lines.append(f"shared-network={ROUTER_LINK},{cidr.network_address}")
    return "".join(f"{line}\n" for line in lines)


def hosts(ports: Iterable[PortRecord]) -> str:
    """Who is answered, and with which address: read again on SIGHUP."""
    served = (port for port in ports if port.wiring.dhcp)
    return "".join(
        f"{port.wiring.mac},set:{_tag(port)},{port.wiring.addresses[0]},{host_label(port.hostname)},{_LEASE_S}\n"
        for port in served
    )


def options(ports: Iterable[PortRecord]) -> str:
    """The options of each: read again on SIGHUP."""
    return "".join(
        f"tag:{_tag(port)},{option}\n" for port in ports if port.wiring.dhcp for option in _options(port.wiring)
    )


def _options(wiring: PortWiring) -> Iterator[str]:
    yield f"option:router,{wiring.gateway}" if wiring.gateway is not None else "option:router"
    yield f"option:mtu,{wiring.mtu}"
    if wiring.dns:
        yield "option:dns-server," + ",".join(wiring.dns)
    # A client that takes classless routes ignores the router option: the default route is said here as well.
    routes = [(f"{METADATA_ADDRESS}/32", wiring.gateway or "0.0.0.0")]
    routes += [("0.0.0.0/0", wiring.gateway)] if wiring.gateway is not None else []
    routes += wiring.routes
    yield "option:classless-static-route," + ",".join(f"{destination},{hop}" for destination, hop in routes)


def host_label(hostname: str) -> str:
    """The host name as one DNS label of at most 63 bytes; what has no letter or digit becomes ``guest``."""
    label = re.sub(r"[^a-z0-9-]+", "-", hostname.lower().split(".")[0])[:63].strip("-")
    return label or "guest"


def _tag(port: PortRecord) -> str:
    return f"p{short(port.wiring.port)}"
