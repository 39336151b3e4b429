"""What this host's network things are called.

A Linux interface name has at most 15 bytes, so names carry digests or short ids; the full ids stand in the interface's
alias, and only an alias of this host's makes a link ours.
"""

import hashlib
from typing import Final

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.ids import is_uuid, short

ROUTER_LINK: Final = "guests"
"""The router's interface on its network's bridge, inside the router's namespace."""

ROUTER_UPLINK: Final = "uplink"
"""The router's interface towards the machine, inside the router's namespace."""

GATEWAY_MAC: Final = "02:00:00:00:00:01"
"""The router's on every host, so that a guest that moves keeps its gateway; on each it is that host's own."""

ALIAS_START: Final = "freehold:"
UPLINK_PREFIX: Final = "fhu"
BRIDGE_PREFIX: Final = "fhb"


def tap(port: str) -> str:
    """The tap of a port."""
    return f"fht{short(port)}"


def _of(host: str, network: str) -> str:
    # Several hosts may share one machine, and each has its own bridge for the same network.
    return hashlib.blake2s(f"{host}/{network}".encode()).hexdigest()[:11]


def bridge(host: str, network: str) -> str:
    """The bridge of a network."""
    return BRIDGE_PREFIX + _of(host, network)


def router_port(host: str, network: str) -> str:
    """The bridge's end of the link to the router."""
    return f"fhq{_of(host, network)}"


def uplink(host: str, network: str) -> str:
    """The machine's end of the router's uplink."""
    return UPLINK_PREFIX + _of(host, network)


def tunnel(host: str, network: str) -> str:
    """The bridge's end of the overlay."""
    return f"fhx{_of(host, network)}"


def vlan(host: str, network: str) -> str:
    """The bridge's link to a VLAN of a physical network."""
    return f"fhv{_of(host, network)}"


def namespace_prefix(host: str) -> str:
    """How the names of this host's router namespaces begin."""
    return f"fh-{short(host)}-"


def namespace(host: str, network: str) -> str:
    """The namespace of a network's router."""
    return namespace_prefix(host) + short(network)


def table(host: str) -> str:
    """The nftables tables of this host, the same name in each family."""
    return f"freehold_{short(host)}"


def members(group: str) -> str:
    """The nftables set of the members of a security group. Raises BadRequest unless the group's id is a UUID."""
    if not is_uuid(group):
        raise BadRequest(f"{group[:64]!r} is no id of a security group.")
    return f"g_{group.replace('-', '')}"


def alias(host: str, identifier: str) -> str:
    """The alias that marks a link as this host's, for a port or network."""
    return f"{ALIAS_START}{host}:{identifier}"


def aliased(host: str, text: str | None) -> str | None:
    """The id in an alias of this host's; None if the link isn't ours."""
    start = f"{ALIAS_START}{host}:"
    return text[len(start) :] if text and text.startswith(start) else None
