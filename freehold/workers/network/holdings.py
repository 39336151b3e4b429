"""What a network worker holds: its records in memory with the indexes that rules need.

Built from rows, changed only by changes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.network import Carrier, FixedAddress, Network, NetworkQuota, Port, SecurityGroup, Subnet
from freehold.vocabulary.word import Word
from freehold.workers.network.addressing import AddressBook

R = TypeVar("R")
K = TypeVar("K")


class Booking(Word, frozen=True, kw_only=True):
    """The leases of one guest (private, key the guest): its ports in the order asked for, and the deed they are for.

    All of them end together, by what `host` says of the guest under `deed` or a higher one. `kept`: the guest was there
    before, and left a host that is dead: its addresses stay its own until it is deleted, however often it is refused.
    """

    guest: str
    urn: str
    deed: int
    host: str
    ports: tuple[str, ...]
    kept: bool = False


class Sight(Word, frozen=True, kw_only=True):
    """What a host has said of a guest (private, key host/guest). A host is believed about its own part only."""

    host: str
    guest: str
    deed: int = 0
    """The highest under which it has shown the guest's record; 0: never."""
    here: bool = False
    """It shows the record now."""
    ended: int = 0
    """It refuses this deed and all lower ones; 0: none."""
    deleted: int = 0
    """The same, of a guest that was deleted."""
    booked: int = 0
    """The highest deed under which it had the guest's ports, and has it no more; 0: none."""


class Gone(NamedTuple):
    """A record is deleted."""

    kind: str
    key: str


Change = Word | Gone

_NAMES: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    Network: ("network", lambda record: record.id),
    Subnet: ("subnet", lambda record: record.id),
    Port: ("port", lambda record: record.id),
    SecurityGroup: ("security_group", lambda record: record.id),
    NetworkQuota: ("network_quota", lambda record: record.project),
    Carrier: ("carrier", lambda record: record.host),
    Booking: ("booking", lambda record: record.guest),
    Sight: ("sight", lambda record: sight_key(record.host, record.guest)),
}


def sight_key(host: str, guest: str) -> str:
    """The key of what `host` has said of `guest`."""
    return f"{host}/{guest}"


def name_of(record: Word) -> Gone:
    """Kind and key of a record that this role keeps. KeyError if it keeps none such."""
    kind, key = _NAMES[type(record)]
    return Gone(kind, key(record))


class Holdings:
    """Everything a cluster's network worker knows."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.networks: dict[str, Network] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self.groups: dict[str, SecurityGroup] = {}
        self.quotas: dict[str, NetworkQuota] = {}
        self.carriers: dict[str, Carrier] = {}
        self.bookings: dict[str, Booking] = {}
        self.sights: dict[str, Sight] = {}
        self.books: dict[str, AddressBook] = {}
        self.segments: dict[int, str] = {}
        self.wires: dict[tuple[str, int], str] = {}
        """(physical network, VLAN) -> the network that has it."""
        self.macs: dict[str, str] = {}
        self.default_groups: dict[str, str] = {}
        """Project -> id."""
        self.rule_homes: dict[str, str] = {}
        """Rule id -> group id."""
        self._subnets_on: defaultdict[str, set[str]] = defaultdict(set)
        self._ports_on: defaultdict[str, set[str]] = defaultdict(set)
        self._ports_in: defaultdict[str, set[str]] = defaultdict(set)
        self._naming: defaultdict[str, set[str]] = defaultdict(set)
        self._guests_at: defaultdict[str, set[str]] = defaultdict(set)
        self._hosts_of: defaultdict[str, set[str]] = defaultdict(set)
        """Who has said something of a guest."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._tables: dict[str, dict[str, Any]] = {
            "network": self.networks,
            "subnet": self.subnets,
            "port": self.ports,
            "security_group": self.groups,
            "network_quota": self.quotas,
            "carrier": self.carriers,
            "booking": self.bookings,
            "sight": self.sights,
        }
        self._indexers: dict[str, Callable[[Any, bool], None]] = {
            "network": self._index_network,
            "subnet": self._index_subnet,
            "port": self._index_port,
            "security_group": self._index_group,
            "sight": self._index_sight,
        }

    def apply(self, changes: Iterable[Change]) -> None:
        """Takes decided changes in."""
        for change in changes:
            name = change if isinstance(change, Gone) else name_of(change)
            table, index = self._tables[name.kind], self._indexers.get(name.kind)
            before = table.pop(name.key, None)
            if before is not None and index is not None:
                index(before, False)
            if not isinstance(change, Gone):
                table[name.key] = change
                if index is not None:
                    index(change, True)

    def has(self, name: Gone) -> bool:
        """Whether there is a record of this kind and key."""
        return name.key in self._tables[name.kind]

    def same_as(self, other: "Holdings") -> bool:
        """Whether records and indexes are the same."""
        return (
            self._tables == other._tables
            and self.macs == other.macs
            and self.segments == other.segments
            and self.wires == other.wires
            and {key: book.holders for key, book in self.books.items()}
            == {key: book.holders for key, book in other.books.items()}
        )

    def network(self, key: str) -> Network:
        """Raises NotFound."""
        return _found(self.networks, key, "network")

    def subnet(self, key: str) -> Subnet:
        """Raises NotFound."""
        return _found(self.subnets, key, "subnet")

    def port(self, key: str) -> Port:
        """Raises NotFound."""
        return _found(self.ports, key, "port")

    def group(self, key: str) -> SecurityGroup:
        """Raises NotFound."""
        return _found(self.groups, key, "security group")

    def quota(self, project: str) -> NetworkQuota:
        """What the project may have."""
        return self.quotas.get(project) or NetworkQuota(project=project)

    def count(self, kind: str, project: str) -> int:
        """How many records of `kind` (or ``security_group_rule``) the project has."""
        return self._counts[kind, project]

    def subnets_on(self, network: str) -> list[Subnet]:
        """The oldest first."""
        return sorted(
            (self.subnets[key] for key in self._subnets_on.get(network, ())), key=lambda one: (one.created, one.id)
        )

    def ports_on(self, network: str) -> list[Port]:
        """In no order."""
        return [self.ports[key] for key in self._ports_on.get(network, ())]

    def ports_in(self, group: str) -> frozenset[str]:
        """Ids of the ports that a security group protects."""
        return frozenset(self._ports_in.get(group, ()))

    def groups_naming(self, group: str) -> list[SecurityGroup]:
        """The groups with a rule that names `group` as the remote one."""
        return [self.groups[key] for key in sorted(self._naming.get(group, ()))]

    def sights_at(self, host: str) -> list[Sight]:
        """All that a host has said."""
        return [self.sights[sight_key(host, guest)] for guest in sorted(self._guests_at.get(host, ()))]

    def sight(self, host: str, guest: str) -> Sight:
        """What the host has said of the guest; maybe nothing."""
        return self.sights.get(sight_key(host, guest)) or Sight(host=host, guest=guest)

    def refused_deed(self, guest: str) -> int:
        """The highest deed that was ended by who had the guest's ports under it; 0: none. Any host may say that it
        refuses a guest; only of these is it known that it was theirs to say.
        """
        return max((self.sight(host, guest).booked for host in self._hosts_of.get(guest, ())), default=0)

    def _index_network(self, network: Network, here: bool) -> None:
        self._tally("network", network.project, here)
        if network.physical:
            _hold(self.wires, (network.physical, network.vlan), network.id, here)
        else:
            _hold(self.segments, network.segment, network.id, here)

    def _index_subnet(self, subnet: Subnet, here: bool) -> None:
        self._tally("subnet", subnet.project, here)
        _member(self._subnets_on, subnet.network, subnet.id, here)
        if not here:
            del self.books[subnet.id]
            return
        book = self.books[subnet.id] = AddressBook(subnet)
        for port in self.ports_on(subnet.network):
            for fixed in port.addresses:
                if fixed.subnet == subnet.id:
                    book.take(fixed.address, port.id)

    def _index_port(self, port: Port, here: bool) -> None:
        self._tally("port", port.project, here)
        _member(self._ports_on, port.network, port.id, here)
        for group in port.security_groups:
            _member(self._ports_in, group, port.id, here)
        for fixed in port.addresses:
            self._index_address(port.id, fixed, here)
        _hold(self.macs, port.mac, port.id, here)

    def _index_address(self, port: str, fixed: FixedAddress, here: bool) -> None:
        book = self.books.get(fixed.subnet)
        if book is None:
            return
        if here:
            book.take(fixed.address, port)
        else:
            book.give_back(fixed.address, port)

    def _index_group(self, group: SecurityGroup, here: bool) -> None:
        self._tally("security_group", group.project, here)
        if group.name == "default":
            if here:
                self.default_groups[group.project] = group.id
            else:
                self.default_groups.pop(group.project, None)
        for rule in group.rules:
            self._tally("security_group_rule", group.project, here)
            if here:
                self.rule_homes[rule.id] = group.id
            else:
                self.rule_homes.pop(rule.id, None)
            if rule.remote_group is not None:
                _member(self._naming, rule.remote_group, group.id, here)

    def _index_sight(self, sight: Sight, here: bool) -> None:
        _member(self._guests_at, sight.host, sight.guest, here)
        _member(self._hosts_of, sight.guest, sight.host, here)

    def _tally(self, kind: str, project: str, here: bool) -> None:
        self._counts[kind, project] += 1 if here else -1


def _found(table: dict[str, R], key: str, what: str) -> R:
    record = table.get(key)
    if record is None:
        raise NotFound(f"There is no {what} {key}.")
    return record


def _hold(index: dict[K, str], key: K, holder: str, here: bool) -> None:
    """The first holder of a key stays where rows contradict one another."""
    if here:
        index.setdefault(key, holder)
    elif index.get(key) == holder:
        del index[key]


def _member(index: defaultdict[str, set[str]], key: str, member: str, here: bool) -> None:
    if here:
        index[key].add(member)
        return
    index[key].discard(member)
    if not index[key]:
        del index[key]
