"""The nftables text of one host: what its guests may send and receive, what passes between routers and machine.

How a packet from a guest goes: the tap's netdev ingress chain drops what is spoofed and marks the rest with the port;
br_netfilter shows bridged packets to the inet family, where connections are known (this is why it isn't all in the
bridge family: many kernels have no conntrack there); `from_guest` asks the sending port's rules; the bridge family
then marks the packet with the receiving port, and `to_guest` asks that port's rules. Each network has a conntrack
zone of its own, so that two may use the same addresses. What comes from beyond the machine (see edges) joins at the
bridge, and is filtered by the receiving port as everything else is.

Only the asking direction of a connection is checked against rules, on every packet: a rule taken away stops at once
what it had allowed, and answers need no rule.

Every text here may be run again; texts joined into one transaction take effect together or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping

from freehold.drivers.fabric import edges, names
from freehold.drivers.fabric.beyond import NOTHING_BEYOND, Beyond
from freehold.drivers.fabric.interface import Elsewhere, Peers
from freehold.drivers.fabric.passes import matches, remote_groups
from freehold.drivers.fabric.records import NetworkRecord, PortRecord
from freehold.drivers.fabric.wiring import METADATA_ADDRESS
from freehold.vocabulary.network import Direction

_ANSWERS = ("ct state established ct direction reply accept", "ct state related accept")


class Ruleset:
    """Renders the rules of one host."""

    def __init__(self, host: str, outbound: bool, beyond: Beyond = NOTHING_BEYOND) -> None:
        self._host = host
        self._outbound = outbound
        self._beyond = beyond
        self._table = names.table(host)

    def base(self) -> str:
        """Tables, sets and the chains that every packet of a guest passes."""
        return _lines([*self._containers(), *self._bridge_chains(), *self._guest_chains(), *self._machine_chains()])

    def whole(
        self,
        networks: Iterable[NetworkRecord],
        ports: Iterable[PortRecord],
        peers: Peers,
        members: Mapping[str, tuple[str, ...]],
    ) -> str:
        """All of the host's rules, in place of whatever is there. `members`: the addresses in each remote group."""
        parts, elsewhere = (
            [self.gone(), self.base(), self.hosts(peers.hosts), self.groups(members)],
            {one.network: one for one in peers.networks},
        )
        for network in networks:
            parts.append(self.network(network))
            parts.append(self.elsewhere(network, None, elsewhere.get(network.id)))
        parts += [self.port(port) for port in ports]
        return "".join(parts)

    def gone(self) -> str:
        """Deletes the host's tables."""
        families = ("netdev", "bridge", "inet")
        return _lines(f"{verb} table {family} {self._table}" for family in families for verb in ("add", "delete"))

    def groups(self, members: Mapping[str, tuple[str, ...]]) -> str:
        """Who is in each remote group."""
        return "".join(self.members(group, addresses) for group, addresses in sorted(members.items()))

    def members(self, group: str, addresses: tuple[str, ...]) -> str:
        """Who is in a remote group, for all ports whose rules name it, in place of whoever was."""
        place = f"inet {self._table} {names.members(group)}"
        told = [f"add element {place} {{ {', '.join(addresses)} }}"] if addresses else []
        return _lines([self._members_set(group), f"flush set {place}", *told])

    def network(self, network: NetworkRecord) -> str:
        """Takes a network in."""
        return _lines(f"add element {element}" for element in self._network_elements(network))

    def network_gone(self, network: NetworkRecord) -> str:
        """Takes a network out."""
        return _lines(
            f"{verb} element {element}" for element in self._network_elements(network) for verb in ("add", "delete")
        )

    def hosts(self, hosts: Iterable[str]) -> str:
        """Keeps guests away from these addresses on the underlay, and from no others."""
        return _lines(edges.hosts(self._table, hosts)) if self._beyond.underlay else ""

    def elsewhere(self, network: NetworkRecord, before: Elsewhere | None, now: Elsewhere | None) -> str:
        """Lets the hosts of `now` send into the network, and those that `before` had more no longer."""
        return _lines(edges.senders(self._table, network.segment, before, now)) if self._beyond.underlay else ""

    def port(self, port: PortRecord) -> str:
        """Protects a port whose tap exists, and puts its filter in force: in place of what was there for it."""
        return (
            self.port_gone(port)
            + _lines(self._tap_chain(port))
            + (self._port_here(port) if port.wiring.port_security else "")
        )

    def port_gone(self, port: PortRecord) -> str:
        """Takes a port's protection and filter away; the tap may be gone already."""
        tap, table = names.tap(port.wiring.port), self._table
        # What is added first is there to be deleted: so this may be repeated, and run in any half-made state.
        lines = [f"add chain inet {table} {chain}" for chain in _chains(tap)]
        lines += [f"{verb} element {element}" for element in self._port_elements(port) for verb in ("add", "delete")]
        for family, chain in [*(("inet", chain) for chain in _chains(tap)), ("netdev", tap)]:
            lines += [f"{verb} chain {family} {table} {chain}" for verb in ("add", "flush", "delete")]
        return _lines(lines)

    def filter(self, port: PortRecord) -> str:
        """Puts the port's filter in force in place of the one before."""
        if not port.wiring.port_security:
            return ""
        incoming, outgoing = _chains(names.tap(port.wiring.port))
        return _lines(
            [
                *self._filter_chain(port, incoming, Direction.INGRESS),
                *self._filter_chain(port, outgoing, Direction.EGRESS),
            ]
        )

    # --- the parts

    def _members_set(self, group: str) -> str:
        return f"add set inet {self._table} {names.members(group)} {{ type ipv4_addr ; }}"

    def _containers(self) -> Iterator[str]:
        table = self._table
        yield from (f"add table {family} {table}" for family in ("netdev", "bridge", "inet"))
        yield f"add set bridge {table} members {{ type ifname ; }}"
        yield f"add set bridge {table} taps {{ type ifname ; }}"
        yield from edges.sets(table)
        yield f"add map bridge {table} marks {{ type ifname : mark ; }}"
        yield from (f"add set inet {table} {name} {{ type ifname ; }}" for name in ("bridges", "uplinks", "reachable"))
        yield f"add map inet {table} zones {{ typeof iifname : ct zone ; }}"
        yield from (
            f"add map inet {table} {name} {{ type mark : verdict ; }}" for name in ("incoming_of", "outgoing_of")
        )

    def _bridge_chains(self) -> Iterator[str]:
        # Marks must be there before br_netfilter (priority 0) shows the packet to `to_guest`.
        yield from self._base_chain("bridge", "arriving", "filter hook prerouting priority -300", edges.ARRIVING)
        yield from self._base_chain("bridge", "forward", "filter hook forward priority -300", [
            *edges.CROSSING,
            "iifname @members meta mark set 0",
            "oifname @taps ether type != { ip, arp } counter drop",
            "meta mark set oifname map @marks",
        ])  # fmt: skip
        # A bridge has no address of the machine's: what is sent to the bridge itself would be routed by the machine.
        yield from self._base_chain("bridge", "input", "filter hook input priority -300", ["iifname @members drop"])

    def _guest_chains(self) -> Iterator[str]:
        yield from self._base_chain(
            "inet", "zone", "filter hook prerouting priority -310", ["ct zone set iifname map @zones"]
        )
        yield from self._plain_chain("outgoing", [
            "udp sport 68 udp dport 67 accept",
            f"ip daddr {METADATA_ADDRESS} tcp dport 80 accept",
            *_ANSWERS, "meta mark vmap @outgoing_of", "counter drop",
        ])  # fmt: skip
        yield from self._plain_chain("incoming", [
            "udp sport 67 udp dport 68 accept", *_ANSWERS, "meta mark vmap @incoming_of", "counter drop",
        ])  # fmt: skip
        marked = "iifname @bridges meta mark != 0"
        yield from self._base_chain(
            "inet", "from_guest", "filter hook prerouting priority -150", [f"{marked} jump outgoing"]
        )
        yield from self._base_chain("inet", "to_guest", "filter hook forward priority 0", [f"{marked} jump incoming"])
        # Other software on the machine has marks of its own, and must not take ours for them.
        yield from self._base_chain(
            "inet", "unmark", "filter hook forward priority 10", ["iifname @bridges meta mark set 0"]
        )

    def _machine_chains(self) -> Iterator[str]:
        anybody = f'"{names.UPLINK_PREFIX}*"'
        yield from self._plain_chain("leaving", [
            "iifname @reachable oifname @reachable accept",
            *edges.leaving(self._beyond.underlay),
            f"oifname {anybody} counter drop",
            "accept" if self._outbound else "iifname @reachable ct state established,related accept",
            *([] if self._outbound else ["counter drop"]),
        ])  # fmt: skip
        yield from self._plain_chain("arriving", [
            "ct state established,related accept",
            f"oifname @reachable iifname != {anybody} accept",
            "counter drop",
        ])  # fmt: skip
        yield from self._base_chain("inet", "routed", "filter hook forward priority 5", [
            "iifname @uplinks jump leaving",
            "oifname @uplinks jump arriving",
        ])  # fmt: skip
        # The machine's own services are not the guests' to reach.
        yield from self._base_chain("inet", "local", "filter hook input priority 0", [
            "iifname @uplinks ct state established,related accept",
            *edges.local(self._beyond.underlay),
            "iifname @uplinks icmp type echo-request accept",
            "iifname @uplinks counter drop",
        ])  # fmt: skip
        yield from self._base_chain(
            "inet", "underlay", "filter hook input priority -10", edges.underlay(self._beyond.underlay)
        )
        not_ours = f'oifname != {anybody} oifname != "{names.BRIDGE_PREFIX}*"'
        translation = [f"iifname @uplinks {not_ours} masquerade"] if self._outbound else []
        yield from self._base_chain("inet", "translation", "nat hook postrouting priority 100", translation)

    def _base_chain(self, family: str, name: str, hook: str, rules: Iterable[str]) -> Iterator[str]:
        yield f"add chain {family} {self._table} {name} {{ type {hook} ; policy accept ; }}"
        yield f"flush chain {family} {self._table} {name}"
        yield from (f"add rule {family} {self._table} {name} {rule}" for rule in rules)

    def _plain_chain(self, name: str, rules: Iterable[str]) -> Iterator[str]:
        yield f"add chain inet {self._table} {name}"
        yield f"flush chain inet {self._table} {name}"
        yield from (f"add rule inet {self._table} {name} {rule}" for rule in rules)

    def _network_elements(self, network: NetworkRecord) -> Iterator[str]:
        bridge, uplink = names.bridge(self._host, network.id), names.uplink(self._host, network.id)
        edge = self._beyond.edge(self._host, network)
        if edge is not None:
            yield f"bridge {self._table} members {{ {edge.link} }}"
            yield from edges.elements(self._table, edge)
        yield f"bridge {self._table} members {{ {names.router_port(self._host, network.id)} }}"
        yield f"inet {self._table} bridges {{ {bridge} }}"
        yield f"inet {self._table} zones {{ {bridge} : {network.slot} }}"
        yield f"inet {self._table} uplinks {{ {uplink} }}"
        if network.reachable:
            yield f"inet {self._table} reachable {{ {uplink} }}"

    def _port_elements(self, port: PortRecord) -> Iterator[str]:
        tap, table = names.tap(port.wiring.port), self._table
        incoming, outgoing = _chains(tap)
        yield f"bridge {table} members {{ {tap} }}"
        yield f"bridge {table} taps {{ {tap} }}"
        yield f"bridge {table} marks {{ {tap} : {port.mark} }}"
        yield f"inet {table} incoming_of {{ {port.mark} : jump {incoming} }}"
        yield f"inet {table} outgoing_of {{ {port.mark} : jump {outgoing} }}"

    def _port_here(self, port: PortRecord) -> str:
        chains = [f"add chain inet {self._table} {chain}" for chain in _chains(names.tap(port.wiring.port))]
        elements = [f"add element {element}" for element in self._port_elements(port)]
        return _lines([*chains, *elements]) + self.filter(port)

    def _tap_chain(self, port: PortRecord) -> Iterator[str]:
        """Drops what the guest may not say, before anything else sees it."""
        wiring, table = port.wiring, self._table
        tap, addresses = names.tap(wiring.port), ", ".join(wiring.addresses)
        hook = f'filter hook ingress device "{tap}" priority 0'
        yield f"add chain netdev {table} {tap} {{ type {hook} ; policy accept ; }}"
        rules = _own_addresses_only(wiring.mac, addresses, port.mark) if wiring.port_security else _open_port(addresses)
        yield from (f"add rule netdev {table} {tap} {rule}" for rule in rules)
        if not wiring.port_security:
            yield f"add element bridge {table} members {{ {tap} }}"

    def _filter_chain(self, port: PortRecord, chain: str, direction: Direction) -> Iterator[str]:
        rules = port.filter.rules if port.filter is not None else ()
        # A group of which nothing was told has nobody in it.
        yield from map(self._members_set, remote_groups(rules))
        yield f"add chain inet {self._table} {chain}"
        yield f"flush chain inet {self._table} {chain}"
        yield from (f"add rule inet {self._table} {chain} {match} accept" for match in matches(rules, direction))
        yield f"add rule inet {self._table} {chain} counter drop"


def _own_addresses_only(mac: str, addresses: str, mark: int) -> list[str]:
    return [
        f'ether saddr != {mac} counter drop comment "mac"',
        'ether type != { ip, arp } counter drop comment "ethertype"',
        f'arp saddr ether != {mac} counter drop comment "arp"',
        f'arp saddr ip != {{ {addresses}, 0.0.0.0 }} counter drop comment "arp"',
        f"ip saddr 0.0.0.0 udp sport 68 udp dport 67 meta mark set {mark} accept",
        'udp sport 67 counter drop comment "dhcp"',
        f'ip saddr != {{ {addresses} }} counter drop comment "address"',
        f"meta mark set {mark}",
    ]


def _open_port(addresses: str) -> list[str]:
    # Metadata is answered by the source address, so that is kept true even where nothing else is.
    return [
        f'ip daddr {METADATA_ADDRESS} ip saddr != {{ {addresses} }} counter drop comment "address"',
        "meta mark set 0",
    ]


def _chains(tap: str) -> tuple[str, str]:
    return f"in_{tap}", f"out_{tap}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
