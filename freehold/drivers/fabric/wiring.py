"""Checks a wiring before any of its words gets into a rule, a file name or a configuration."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import PortWiring

METADATA_ADDRESS: Final = "169.254.169.254"

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MTU_RANGE = range(576, 65_522)


def check_wiring(wiring: PortWiring) -> None:
    """Raises BadRequest, naming the port and the field, if a word of `wiring` isn't what it should be."""
    if not is_uuid(wiring.port) or not is_uuid(wiring.network):
        raise BadRequest("The wiring of a port needs UUIDs for port and network.")
    if _MAC.fullmatch(wiring.mac) is None or int(wiring.mac[:2], 16) & 1:
        raise _wrong(wiring, "mac", wiring.mac)
    if wiring.mtu not in _MTU_RANGE:
        raise _wrong(wiring, "mtu", wiring.mtu)
    try:
        _check_addresses(wiring)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _wrong(wiring, "addresses, cidr, gateway, dns or routes", error) from error


def _check_addresses(wiring: PortWiring) -> None:
    network = IPv4Network(wiring.cidr)
    if not wiring.addresses:
        raise ValueError("a port needs an address")
    inside = [*wiring.addresses, *([wiring.gateway] if wiring.gateway is not None else [])]
    for address in inside:
        if IPv4Address(address) not in network:
            raise ValueError(f"{address} is not in {wiring.cidr}")
    for server in wiring.dns:
        IPv4Address(server)
    for destination, hop in wiring.routes:
        IPv4Network(destination)
        IPv4Address(hop)


def _wrong(wiring: PortWiring, field: str, what: object) -> BadRequest:
    return BadRequest(f"Port {wiring.port} can't be plugged: its {field} can't be used ({what}).")
