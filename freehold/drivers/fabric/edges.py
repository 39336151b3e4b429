"""The nftables rules where a network goes on beyond the machine: what crosses, and who may send over the underlay.

Every host that carries a network has the same gateway address and MAC, the metadata address and DHCP for its own
guests: none of that crosses, in either direction. Over the underlay only those hosts may send into a network that carry
ports of it: the set `senders` has pairs of their address and the network's VXLAN id, which stands in the 24 bits that
follow 4 bytes of VXLAN and 8 of UDP.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from freehold.drivers.fabric.beyond import Edge, Underlay
from freehold.drivers.fabric.interface import Elsewhere
from freehold.drivers.fabric.names import GATEWAY_MAC

_SENDER: Final = "ip saddr . @th,96,24"

ARRIVING: Final = ("iifname @edges meta mark set 0",)
"""Marks are a guest's; a mark that the machine gives packets of the underlay must not be taken for one."""


def _crossing() -> Iterator[str]:
    for side in ("iifname", "oifname"):
        yield f'{side} @edges ether type != {{ ip, arp }} counter drop comment "ethertype"'
        yield f'{side} @edges udp dport {{ 67, 68 }} counter drop comment "dhcp"'
        yield f'{side} @edges ether saddr {GATEWAY_MAC} counter drop comment "router"'
        for end in ("saddr", "daddr"):
            yield f'{side} . arp {end} ip @kept counter drop comment "router"'
    yield f'iifname @edges ether daddr {GATEWAY_MAC} counter drop comment "router"'


CROSSING: Final = tuple(_crossing())


def sets(table: str) -> Iterator[str]:
    """What the rules look things up in."""
    yield f"add set bridge {table} edges {{ type ifname ; }}"
    yield f"add set bridge {table} kept {{ typeof iifname . arp saddr ip ; }}"
    yield f"add set inet {table} hosts {{ type ipv4_addr ; }}"
    yield f"add set inet {table} senders {{ typeof {_SENDER} ; }}"


def elements(table: str, edge: Edge) -> Iterator[str]:
    """What the sets have of one edge."""
    yield f"bridge {table} edges {{ {edge.link} }}"
    yield from (f'bridge {table} kept {{ "{edge.link}" . {address} }}' for address in edge.keeps)


def underlay(own: Underlay | None) -> tuple[str, ...]:
    """Who may send VXLAN to this machine."""
    if own is None:
        return ()
    return (
        f"udp dport {own.port} ip daddr {own.address} {_SENDER} @senders accept",
        f"udp dport {own.port} counter drop",
    )


def leaving(own: Underlay | None) -> tuple[str, ...]:
    """What guests may not send out of the machine: by translation it would come from an address that peers believe."""
    if own is None:
        return ()
    alone = (f'oifname "{own.interface}" counter drop',) if own.interface else ()
    return (f"udp dport {own.port} counter drop", "ip daddr @hosts counter drop", *alone)


def local(own: Underlay | None) -> tuple[str, ...]:
    """What guests may not send to the machine itself."""
    return () if own is None else (f"iifname @uplinks ip daddr {own.address} counter drop",)


def hosts(table: str, addresses: Iterable[str]) -> Iterator[str]:
    """Puts these addresses in place of those that guests were kept away from."""
    yield f"flush set inet {table} hosts"
    yield from (f"add element inet {table} hosts {{ {address} }}" for address in addresses)


def senders(table: str, segment: int, before: Elsewhere | None, now: Elsewhere | None) -> Iterator[str]:
    """Changes who may send into a network. What goes is added first, so that it is there to be deleted."""
    was, are = _addresses(before), _addresses(now)
    changes = [(one, ("add", "delete")) for one in sorted(was - are)] + [(one, ("add",)) for one in sorted(are)]
    for address, verbs in changes:
        for verb in verbs:
            yield f"{verb} element inet {table} senders {{ {address} . 0x{segment:06x} }}"


def _addresses(elsewhere: Elsewhere | None) -> set[str]:
    return set() if elsewhere is None else {address for _, address in elsewhere.ports}
