"""Networks, subnets, ports and security groups, and which networks a host can carry."""

from enum import StrEnum
from ipaddress import IPv4Address

from freehold.vocabulary.word import Message, Word


class Network(Word, frozen=True, kw_only=True):
    """A layer-2 segment of a project's. A shared network may be used by every project.

    `reachable`: the machines that carry it route to its subnets; other networks are reached from outside only by
    translation. `physical`: it is no network of Freehold's own but the wire that this name stands for on each host (a
    provider network), whose router is outside; then there is no segment.
    """

    id: str
    name: str
    project: str
    cluster: str
    shared: bool = False
    reachable: bool = False
    admin_state_up: bool = True
    mtu: int = 1450
    """Bytes of an IP packet; 0 in a question: the usual."""
    segment: int = 0
    """VXLAN network identifier, 1 … 2²⁴−1, unique in the cluster; 0 for a physical network."""
    physical: str = ""
    vlan: int = 0
    """The VLAN on the physical network, 1 … 4094; 0: its untagged frames."""
    description: str = ""
    port_security: bool = True
    created: int = 0
    updated: int = 0
    revision: int = 1


class Subnet(Word, frozen=True, kw_only=True):
    """An IPv4 range on a network. `pools` are (first, last) addresses, both included."""

    id: str
    name: str
    project: str
    network: str
    cidr: str
    gateway: str | None
    pools: tuple[tuple[str, str], ...]
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """Host routes: (destination CIDR, next hop)."""
    dhcp: bool = True
    description: str = ""
    created: int = 0
    updated: int = 0
    revision: int = 1


class FixedAddress(Word, frozen=True, kw_only=True):
    """An address of a port on a subnet."""

    subnet: str
    address: str


class Lease(Word, frozen=True, kw_only=True):
    """Why a port made for a build exists: it ends by what the host says of this guest and deed, never by time alone."""

    urn: str
    guest: str
    deed: int


class Port(Word, frozen=True, kw_only=True):
    """A place on a network with a MAC and addresses. `device` is the guest (or ``dhcp…``, router id) that uses it.

    `made_for` is set on ports a build made, which end with their guest; a port made by hand stays.
    """

    id: str
    name: str = ""
    project: str
    network: str
    mac: str
    addresses: tuple[FixedAddress, ...] = ()
    security_groups: tuple[str, ...] = ()
    admin_state_up: bool = True
    device: str = ""
    device_owner: str = ""
    host: str = ""
    deed: int = 0
    made_for: Lease | None = None
    port_security: bool = True
    active: bool = False
    """The host is seen to have it plugged for a running guest."""
    description: str = ""
    created: int = 0
    updated: int = 0
    revision: int = 1


class Direction(StrEnum):
    """Seen from the guest."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Rule(Word, frozen=True, kw_only=True):
    """What a security group lets pass. None means any. `remote_group`: any address of a port in that group."""

    id: str
    direction: Direction
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_first: int | None = None
    port_last: int | None = None
    remote_cidr: str | None = None
    remote_group: str | None = None
    description: str = ""
    created: int = 0


class SecurityGroup(Word, frozen=True, kw_only=True):
    """A named set of rules of a project's. Each project has one named ``default``, made when first needed."""

    id: str
    name: str
    project: str
    rules: tuple[Rule, ...] = ()
    description: str = ""
    stateful: bool = True
    created: int = 0
    updated: int = 0
    revision: int = 1


class NetworkQuota(Word, frozen=True, kw_only=True):
    """A project's limits for what network workers own; -1 is no limit. Key: the project."""

    project: str
    networks: int = 100
    subnets: int = 100
    ports: int = 500
    security_groups: int = 10
    security_group_rules: int = 100


class PortWiring(Word, frozen=True, kw_only=True):
    """All that a host needs to plug a port: what the network worker puts into a build for each interface."""

    port: str
    network: str
    network_name: str
    segment: int
    mtu: int
    mac: str
    addresses: tuple[str, ...]
    """IPv4 addresses without prefix length, the first is offered by DHCP."""
    cidr: str
    gateway: str | None
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    dhcp: bool = True
    reachable: bool = False
    port_security: bool = True
    security_groups: tuple[str, ...] = ()
    physical: str = ""
    vlan: int = 0


class Carriage(Word, frozen=True, kw_only=True):
    """Which networks a host can carry so that they go on beyond it: a part of its record."""

    underlay: str = ""
    """The IPv4 address at which the cluster's hosts send it what is for its guests; empty: its tenant networks are its
    own.
    """
    overlay_mtu: int = 0
    """The largest MTU of a network that the underlay leaves room for."""
    physical: tuple[tuple[str, int], ...] = ()
    """The physical networks that it is on, with the MTU of its interface there."""
    vlans: bool = True
    """Whether its kernel has VLANs."""

    def lacks(self, wiring: PortWiring) -> str:
        """Why the host can't carry the network of `wiring`, as the end of a sentence about it; empty if it can."""
        if not wiring.physical:
            room = self.overlay_mtu if self.underlay else wiring.mtu
            return "" if wiring.mtu <= room else f"has room for an MTU of {room} on its underlay, not {wiring.mtu}"
        mtu = dict(self.physical).get(wiring.physical)
        if mtu is None:
            return f"isn't on the physical network {wiring.physical}"
        if wiring.vlan and not self.vlans:
            return "has no VLANs in its kernel (the module 8021q)"
        return "" if wiring.mtu <= mtu else f"has an MTU of {mtu} on {wiring.physical}, not {wiring.mtu}"


class Carrier(Word, frozen=True, kw_only=True):
    """What the network worker has heard of a host of its cluster (key: the host): where it is on the underlay, for the
    other hosts, which don't hear it; and which incarnation of it was heard last, for the host itself.
    """

    host: str
    address: str = ""
    """Empty: it isn't on the underlay."""
    incarnation: str = ""
    """What was given back on the word of an earlier one may be missing on the disk of this one, so no build that was
    sent to that may come to this. Empty: an older release was heard, or has heard it.
    """


def is_underlay_address(text: str) -> bool:
    """Whether a host may be reached at this address: one machine's, in canonical form."""
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    special = address.is_multicast or address.is_loopback or address.is_unspecified or address.is_link_local
    return str(address) == text and not special and not address.is_reserved


class NetworkWanted(Word, frozen=True, kw_only=True):
    """One interface as the client asked for it: an existing port, or a network with maybe a fixed address."""

    network: str = ""
    port: str = ""
    address: str = ""


class Ties(Word, frozen=True, kw_only=True):
    """What its networks say of where a guest can be built."""

    cluster: str = ""
    """Theirs; empty: there are none, so that any will do."""
    physical: tuple[str, ...] = ()
    """The physical networks that its host must be on."""


class SaveNetwork(Message, frozen=True, kw_only=True):
    """Makes or changes a network (`new` tells which). Errors: NotFound, Conflict, QuotaExceeded. Answer: Done."""

    network: Network
    new: bool = False


class SaveSubnet(Message, frozen=True, kw_only=True):
    """Makes or changes a subnet. Errors: BadRequest (bad range), Conflict (overlap on the network), NotFound,
    QuotaExceeded. Answer: Done.
    """

    subnet: Subnet
    new: bool = False


class CreatePort(Message, frozen=True, kw_only=True):
    """Makes a port: allocates MAC and addresses not given in `port`. Errors: Conflict (address taken or none left),
    NotFound, QuotaExceeded.

    Answer: Done.
    """

    port: Port
    subnets: tuple[str, ...] = ()
    """Subnets to take an address from, where `port.addresses` doesn't name one; empty: the first with room."""
    without_groups: bool = False
    """No security group where `port` names none, not even the default one."""


class UpdatePort(Message, frozen=True, kw_only=True):
    """Changes name, description, security groups, admin state, device of a port. Errors: NotFound, Conflict. Answer:
    Done.
    """

    port: Port


class SaveSecurityGroup(Message, frozen=True, kw_only=True):
    """Makes or changes a group with all its rules. Errors: NotFound, Conflict (name ``default``, duplicate rule),
    QuotaExceeded. Answer: Done.
    """

    group: SecurityGroup
    new: bool = False


class AddRules(Message, frozen=True, kw_only=True):
    """Adds rules to a group, all or none; clients that add at the same time don't undo one another.

    Errors: BadRequest, NotFound, Conflict (such a rule is there), QuotaExceeded. Answer: Done with the last rule's id.
    """

    group: str
    rules: tuple[Rule, ...]


class EnsureDefaultGroup(Message, frozen=True, kw_only=True):
    """Makes the project's ``default`` group unless it is there. Answer: Done with the group's id as key."""

    project: str


class SaveNetworkQuota(Message, frozen=True, kw_only=True):
    """Sets a project's network quota. Answer: Done."""

    quota: NetworkQuota


class DeleteOf(Message, frozen=True, kw_only=True):
    """Deletes `id` of `kind`: network, subnet, port, security_group, security_group_rule or network_quota.

    Errors: NotFound, Conflict (in use). Answer: Done.
    """

    kind: str
    id: str


NetworkQuestion = (
    SaveNetwork
    | SaveSubnet
    | CreatePort
    | UpdatePort
    | SaveSecurityGroup
    | AddRules
    | EnsureDefaultGroup
    | SaveNetworkQuota
    | DeleteOf
)
