"""Checks a wiring before any of its words gets into a rule, a file name or a configuration."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final

from freehold.drivers.fabric import names
from freehold.drivers.fabric.interface import Members, Peers
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import Carriage, PortWiring, is_underlay_address

METADATA_ADDRESS: Final = "169.254.169.254"

RIGHT_MAX: Final = 256
_right: dict[str, tuple[str, ...]] = {}
"""By group: the addresses that were found right last. Groups have thousands of members, and are told whole when one
comes, to each host of a process alike.
"""

_SEGMENTS = range(1, 1 << 24)
_VLANS = range(4095)
_PHYSICAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
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
    if wiring.vlan not in _VLANS or (wiring.physical and not is_physical_name(wiring.physical)):
        raise _wrong(wiring, "physical network or vlan", f"{wiring.physical[:64]!r}, {wiring.vlan}")
    if not wiring.physical and (wiring.segment not in _SEGMENTS or wiring.vlan):
        raise _wrong(wiring, "segment", wiring.segment)
    try:
        _check_addresses(wiring)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _wrong(wiring, "addresses, cidr, gateway, dns or routes", error) from error


def is_physical_name(name: str) -> bool:
    """Whether a physical network may be called so."""
    return _PHYSICAL.fullmatch(name) is not None


def check_carried(carriage: Carriage, wiring: PortWiring) -> None:
    """Raises Conflict if a host with this carriage can't carry the wiring's network."""
    lack = carriage.lacks(wiring)
    if lack:
        raise Conflict(f"Network {wiring.network} can't be carried here: this host {lack}.")


def check_peers(peers: Peers) -> None:
    """Raises BadRequest if a word of `peers` isn't what it should be."""
    pairs = [pair for one in peers.networks for pair in one.ports]
    if not all(is_uuid(one.network) for one in peers.networks):
        raise BadRequest("A network that other hosts carry needs a UUID.")
    for mac in {mac for mac, _ in pairs}:
        if _MAC.fullmatch(mac) is None or int(mac[:2], 16) & 1:
            raise BadRequest(f"{mac[:32]!r} is not the MAC address of a port elsewhere.")
    for address in {*peers.hosts, *(address for _, address in pairs)}:
        if not is_underlay_address(address):
            raise BadRequest(f"{address[:32]!r} is no address of a host on the underlay.")


def check_members(members: Members) -> None:
    """Raises BadRequest if the group or an IPv4 address of `members` can't be."""
    addresses, before = members.addresses, _right.get(members.group, ())
    if addresses is before and addresses:
        return
    names.members(members.group)
    unseen = addresses[len(before) :] if addresses[: len(before)] == before else addresses
    wrong = next((address for address in ipv4(unseen) if not _is_ipv4(address)), None)
    if wrong is not None:
        raise BadRequest(f"{wrong[:32]!r} is no address of a member of group {members.group}.")
    if len(_right) >= RIGHT_MAX:
        del _right[next(iter(_right))]
    _right[members.group] = addresses


@lru_cache(1 << 16)
def _is_ipv4(address: str) -> bool:
    try:
        IPv4Address(address)
    except AddressValueError:
        return False
    return True


def ipv4(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Those that these networks carry."""
    return tuple(address for address in addresses if ":" not in address)


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
