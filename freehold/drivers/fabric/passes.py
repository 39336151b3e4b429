"""Security group rules as nftables matches."""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Final

from freehold.drivers.fabric.interface import Pass
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.network import Direction, Rule

_PROTOCOLS: Final = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "ipip": 4, "ospf": 89, "pgm": 113,
    "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""IANA's numbers of the protocols that Neutron knows by name."""

_WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
_ICMP: Final = 1
GROUPS_KEPT: Final = 64
"""Groups whose addresses are kept as they are written in a match."""
_ANY: Final = frozenset({None, "any", "ip", "0"})


def protocol_number(protocol: str) -> int:
    """The IP protocol number of a name or decimal number. Raises BadRequest for others."""
    if protocol in _PROTOCOLS:
        return _PROTOCOLS[protocol]
    if protocol.isascii() and protocol.isdigit() and int(protocol) < 256:
        return int(protocol)
    raise BadRequest(f"There is no IP protocol called {protocol[:40]!r}: give its number.")


def matches(passes: tuple[Pass, ...], direction: Direction) -> Iterator[str]:
    """The nftables matches of the rules in one direction; a packet that fits one may pass.

    Rules for IPv6 match nothing, because these networks carry none.
    """
    for one in passes:
        if one.rule.direction is direction and one.rule.ethertype == "IPv4":
            text = _match(one)
            if text is not None:
                yield text


def _match(one: Pass) -> str | None:
    remote = _remote(one)
    if remote is None:
        return None
    return " ".join(["meta nfproto ipv4", *_protocol(one.rule), *remote])


def _protocol(rule: Rule) -> list[str]:
    if rule.protocol in _ANY:
        return []
    number = protocol_number(rule.protocol or "")
    words = [f"meta l4proto {number}"]
    if number == _ICMP:
        words += [f"icmp type {_byte(rule.port_first)}"] if rule.port_first is not None else []
        words += [f"icmp code {_byte(rule.port_last)}"] if rule.port_last is not None else []
    elif number in _WITH_PORTS and rule.port_first is not None:
        last = rule.port_first if rule.port_last is None else rule.port_last
        words.append(f"th dport {_port_range(rule.port_first, last)}")
    return words


def _byte(value: int) -> int:
    if not 0 <= value <= 255:
        raise BadRequest(f"An ICMP type or code is 0 to 255, not {value}.")
    return value


def _port_range(first: int, last: int) -> str:
    if not 0 <= first <= last <= 65_535:
        raise BadRequest(f"{first} to {last} is no range of ports.")
    return f"{first}-{last}" if last > first else str(first)


@lru_cache(GROUPS_KEPT)
def _hosts(addresses: tuple[str, ...]) -> str:
    """The elements of a set. A group's addresses are the same for each of its ports, and may be thousands."""
    remote = sorted({str(IPv4Network(address)) for address in addresses if ":" not in address})
    return ", ".join(address.removesuffix("/32") for address in remote)


def _remote(one: Pass) -> list[str] | None:
    """The match of the other side; None if nobody is meant."""
    side = "saddr" if one.rule.direction is Direction.INGRESS else "daddr"
    if one.rule.remote_group is not None:
        hosts = _hosts(one.remote_addresses)
        return [f"ip {side} {{ {hosts} }}"] if hosts else None
    if one.rule.remote_cidr is None:
        return []
    if ":" in one.rule.remote_cidr:
        return None
    cidr = IPv4Network(one.rule.remote_cidr, strict=False)
    return [f"ip {side} {cidr}"] if cidr.prefixlen else []
