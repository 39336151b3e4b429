"""The nftables text of a network's router, inside its namespace."""

from freehold.drivers.fabric.names import ROUTER_LINK, ROUTER_UPLINK
from freehold.drivers.fabric.records import NetworkRecord
from freehold.drivers.fabric.wiring import METADATA_ADDRESS

_LINK_LOCAL = "169.254.0.0/16"


def router_rules(network: NetworkRecord) -> str:
    """What the router lets through, in place of whatever is there.

    Link-local addresses beyond the router are the machine's own business (on a rented machine, its cloud's metadata):
    never forwarded.
    """
    chains = {
        "input { type filter hook input priority 0 ; policy drop ; }": _INPUT,
        "forward { type filter hook forward priority 0 ; policy drop ; }": _forward(network),
        "translation { type nat hook postrouting priority 100 ; policy accept ; }": _translation(network.reachable),
    }
    lines = ["add table inet freehold", "delete table inet freehold", "add table inet freehold"]
    for chain, rules in chains.items():
        lines.append(f"add chain inet freehold {chain}")
        lines += [f"add rule inet freehold {chain.split()[0]} {rule}" for rule in rules]
    return "".join(f"{line}\n" for line in lines)


_INPUT = (
    "ct state established,related accept",
    "icmp type echo-request accept",
    f"iifname {ROUTER_LINK} udp sport 68 udp dport 67 accept",
    f"iifname {ROUTER_LINK} ip daddr {METADATA_ADDRESS} tcp dport 80 accept",
)


def _forward(network: NetworkRecord) -> tuple[str, ...]:
    if network.physical:
        return ()  # its router is outside
    inward = (f"iifname {ROUTER_UPLINK} oifname {ROUTER_LINK} accept",) if network.reachable else ()
    return (
        "ct state established,related accept",
        f"ip daddr {_LINK_LOCAL} drop",
        f"iifname {ROUTER_LINK} accept",
        *inward,
    )


def _translation(reachable: bool) -> tuple[str, ...]:
    return () if reachable else (f"oifname {ROUTER_UPLINK} masquerade",)
