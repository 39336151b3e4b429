"""Security group rules as nftables matches."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from freehold.drivers.fabric import names
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.network import Direction, Rule

_PROTOCOLS: Final = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "ipip": 4, "ospf": 89, "pgm": 113,
    "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""IANA's numbers of the protocols that Neutron knows by name."""

_WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
_ICMP: Final = 1
_ANY: Final = frozenset({None, "any", "ip", "0"})


def protocol_number(protocol: str) -> int:
    """The IP protocol number of a name or decimal number. Raises BadRequest for others."""
    if protocol in _PROTOCOLS:
        return _PROTOCOLS[protocol]
    if protocol.isascii() and protocol.isdigit() and int(protocol) < 256:
        return int(protocol)
    raise BadRequest(f"There is no IP protocol called {protocol[:40]!r}: give its number.")


def matches(rules: tuple[Rule, ...], direction: Direction) -> Iterator[str]:
    """The nftables matches of the rules in one direction; a packet that fits one may pass. A remote group is named by
    its set (`names.members`).

    Rules for IPv6 match nothing, because these networks carry none. Raises BadRequest for a rule that can't be.
    """
    for rule in rules:
        if rule.direction is direction and rule.ethertype == "IPv4":
            text = _match(rule)
            if text is not None:
                yield text


def _match(rule: Rule) -> str | None:
    remote = _remote(rule)
    if remote is None:
        return None
    return " ".join(["meta nfproto ipv4", *_protocol(rule), *remote])


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


def remote_groups(rules: tuple[Rule, ...]) -> list[str]:
    """The groups that rules name, each once."""
    return sorted({rule.remote_group for rule in rules if rule.remote_group is not None})


def _remote(rule: Rule) -> list[str] | None:
    """The match of the other side; None if nobody is meant."""
    side = "saddr" if rule.direction is Direction.INGRESS else "daddr"
    if rule.remote_group is not None:
        return [f"ip {side} @{names.members(rule.remote_group)}"]
    if rule.remote_cidr is None:
        return []
    if ":" in rule.remote_cidr:
        return None
    cidr = IPv4Network(rule.remote_cidr, strict=False)
    return [f"ip {side} {cidr}"] if cidr.prefixlen else []
