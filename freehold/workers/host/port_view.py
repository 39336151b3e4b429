"""What the network worker of a cluster says of security groups, ports and who carries them, for the hosts there.

Each host is told what of it may concern it has changed, and looks at its own ports then. Hosts of one process share it.
A port that comes or goes elsewhere concerns each host that has ports of its groups or on its network: such news is
gathered, for in a large cluster there is always some.
"""

import asyncio
from collections.abc import Iterable, Sequence, Set
from typing import Final

from freehold.bus.interface import Bus
from freehold.drivers.fabric.interface import Filter, Members, Peers
from freehold.runtime.clock import Clock
from freehold.views.follower import Follower
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.network import Carrier, Port, PortWiring, SecurityGroup
from freehold.workers.host.members import GroupMembers
from freehold.workers.host.whereabouts import Whereabouts

SPREAD_S: Final = 1.0
"""How long news of what is elsewhere is gathered, after the first: a guest takes longer to boot."""


class Interest:
    """What one host cares for of the cluster: ids of ports, security groups, networks and hosts."""

    def __init__(self, view: "PortView") -> None:
        self._view = view
        self._keys: Set[str] = frozenset()
        self._news = asyncio.Event()
        self._elsewhere: dict[str, None] = {}
        self._anything = False

    def care(self, keys: Set[str]) -> None:
        """From now on it is woken by news of these alone."""
        self._view.care(self, self._keys, keys)
        self._keys = keys

    def wake(self) -> None:
        """Anything may be new."""
        self._anything = True
        self._news.set()

    def hear_of(self, key: str) -> None:
        """The members of a group, or the ports of a network elsewhere, aren't what they were."""
        self._elsewhere[key] = None
        self._news.set()

    async def changed(self) -> None:
        """Waits until there is news since the last time."""
        await self._news.wait()
        self._news.clear()

    @property
    def may_be_anything(self) -> bool:
        """Whether there is other news than of what is elsewhere."""
        return self._anything

    def taken(self) -> Sequence[str] | None:
        """The groups and networks of which there was news since this was asked last; None: it may be anything."""
        elsewhere, anything = tuple(self._elsewhere), self._anything
        self._elsewhere, self._anything = {}, False
        return None if anything else elsewhere


class PortView:
    """Security groups, their members and the whereabouts of a cluster's ports. A sink for views.follower; keeps nothing
    on disk. What it says of something is the same object until that changes.
    """

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._store = ""
        """The store of the cluster's network worker; empty until its state has been read."""
        self._positions: dict[str, Position] = {}
        self._groups: dict[str, SecurityGroup] = {}
        self._ports: dict[str, Port] = {}
        self._members: dict[str, GroupMembers] = {}
        self._filters: dict[str, Filter] = {}
        self._needs: dict[str, frozenset[str]] = {}
        self._carriers: dict[str, Carrier] = {}
        self._whereabouts = Whereabouts()
        self._interests: dict[str, dict[Interest, None]] = {}
        """Who is to be woken by news of a port, a group or a network: in the order in which they came."""
        self._everybody: dict[Interest, None] = {}
        self._due: dict[str, None] = {}
        """Groups and networks of which there is news to be told of together."""
        self._is_due = asyncio.Event()

    # --- the sink ------------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Position]:
        """See views.follower.Sink."""
        return dict(self._positions)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """See views.follower.Sink."""
        self._positions[owner.store] = position
        if owner.store == self._store:
            for entry in entries:
                self._put(entry.kind, entry.key, entry.value)

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See views.follower.Sink."""
        self._positions[owner.store] = position
        if owner.cluster == self._cluster:
            self._store = owner.store
            for table in (self._groups, self._ports, self._members, self._filters, self._needs):
                table.clear()
            self._carriers.clear()
            self._whereabouts.clear()
            for row in rows:
                self._put(row.kind, row.key, row.value)
            self._due.clear()
            _wake(self._everybody)

    def heard(self, heartbeat: Heartbeat) -> None:
        """See views.follower.Sink."""

    def _put(self, kind: str, key: str, value: bytes | None) -> None:
        if kind == "security_group":
            self._filters.clear()
            self._needs.clear()
            self._changed(key)
            if value is None:
                self._groups.pop(key, None)
            else:
                self._groups[key] = decode(value, SecurityGroup)
        elif kind == "port":
            self._put_port(key, None if value is None else decode(value, Port))
        elif kind == "carrier":
            self._put_carrier(key, None if value is None else decode(value, Carrier))

    def _put_carrier(self, key: str, carrier: Carrier | None) -> None:
        self._carriers.pop(key, None)
        if carrier is not None:
            self._carriers[key] = carrier
        if self._whereabouts.put_carrier(key, carrier):
            _wake(self._everybody)
        self._changed(key)

    def _put_port(self, key: str, port: Port | None) -> None:
        before = self._ports.pop(key, None)
        if self._whereabouts.put_port(before, port):
            self._put_off(dict.fromkeys(one.network for one in (before, port) if one is not None))
        if port is not None:
            self._ports[key] = port
        if before is not None and port is not None and _filtered(before) == _filtered(port):
            return  # what else is new of it concerns no filter
        self._filters.pop(key, None)
        self._needs.pop(key, None)
        left = before.security_groups if before else ()
        entered = port.security_groups if port else ()
        addresses = tuple(fixed.address for fixed in port.addresses) if port else ()
        for group in set(left).difference(entered):
            self._members[group].drop(key)
            if not self._members[group]:
                del self._members[group]
        for group in entered:
            if group not in self._members:
                self._members[group] = GroupMembers(group)
            self._members[group].put(key, addresses)
        self._changed(key)
        self._put_off(dict.fromkeys((*left, *entered)))

    def _changed(self, *keys: str) -> None:
        for key in keys:
            _wake(self._interests.get(key, ()))

    def _put_off(self, keys: Iterable[str]) -> None:
        """Has those who care for these told of them with what else there is."""
        self._due |= dict.fromkeys(keys)
        self._is_due.set()

    async def spread(self, clock: Clock) -> None:
        """Tells who cares what is new elsewhere: at once, and then no more often than each `SPREAD_S`. Runs until
        cancelled.
        """
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            self.spread_now()
            await clock.sleep(SPREAD_S)

    def spread_now(self) -> None:
        """Tells it now."""
        due, self._due = self._due, {}
        for key in due:
            for interest in self._interests.get(key, ()):
                interest.hear_of(key)

    def interest(self) -> "Interest":
        """For a reader that is to be woken when what it cares for changes."""
        made = Interest(self)
        self._everybody[made] = None
        return made

    def care(self, interest: "Interest", before: Set[str], now: Set[str]) -> None:
        """What an interest is in has changed."""
        for key in before - now:
            interested = self._interests[key]
            del interested[interest]
            if not interested:
                del self._interests[key]
        for key in now - before:
            self._interests.setdefault(key, {})[interest] = None

    def forget(self, interest: "Interest") -> None:
        """Nobody is to be woken by it any more."""
        interest.care(frozenset())
        self._everybody.pop(interest, None)

    # --- what it says --------------------------------------------------------------------------------------------

    def loaded(self) -> bool:
        """Whether the cluster's network worker has been heard at all."""
        return bool(self._store)

    def knows(self, wirings: Iterable[PortWiring]) -> bool:
        """Whether all is known that the filters of these ports need."""
        return all(
            wiring.port in self._ports and all(group in self._groups for group in self._groups_of(wiring))
            for wiring in wirings
        )

    def has_heard(self, host: str, incarnation: str) -> bool:
        """Whether the network worker had heard this incarnation of a host when it said what is known here. An older
        release doesn't say which it has heard.
        """
        carrier = self._carriers.get(host)
        return carrier is not None and carrier.incarnation in ("", incarnation)

    def is_leased(self, wiring: PortWiring, host: str, guest: str) -> bool:
        """Whether a port is leased to a guest on a host."""
        port = self._ports.get(wiring.port)
        return port is not None and (port.host, port.device) == (host, guest)

    def filter_of(self, wiring: PortWiring) -> Filter:
        """What may pass a port; nothing where its groups aren't known."""
        known = self._filters.get(wiring.port)
        if known is None:
            groups = (self._groups.get(group) for group in self._groups_of(wiring))
            rules = tuple(rule for group in groups if group is not None for rule in group.rules)
            known = Filter(port=wiring.port, rules=rules)
            if wiring.port in self._ports:
                self._filters[wiring.port] = known
        return known

    def members_of(self, group: str) -> Members:
        """Who is in a group, as far as is known."""
        members = self._members.get(group)
        return Members(group=group) if members is None else members.told()

    def needs_of(self, wiring: PortWiring) -> frozenset[str]:
        """What the filter of a port, and its peers, depend on."""
        known = self._needs.get(wiring.port)
        if known is None:
            remote = (rule.remote_group for rule in self.filter_of(wiring).rules)
            known = frozenset({wiring.port, wiring.network, *self._groups_of(wiring), *filter(None, remote)})
            if wiring.port in self._filters:
                self._needs[wiring.port] = known
        return known

    def peers(self, host: str, networks: Iterable[str]) -> Peers:
        """Where else than on `host` these networks are."""
        elsewhere = (self._whereabouts.of(network, host) for network in sorted(networks))
        return Peers(hosts=self._whereabouts.hosts(), networks=tuple(one for one in elsewhere if one.ports))

    def _groups_of(self, wiring: PortWiring) -> tuple[str, ...]:
        port = self._ports.get(wiring.port)
        return wiring.security_groups if port is None else port.security_groups


class ClusterReader:
    """A view of a cluster's ports, and what keeps it up. `tasks` break when it can't be kept up."""

    def __init__(self, bus: Bus, cluster: str, clock: Clock) -> None:
        self._clock = clock
        self.view = PortView(cluster)
        self.follower = Follower(bus, ["network"], self.view, room="host", cluster=cluster)
        self.tasks = self.follower.tasks

    async def open(self) -> None:
        """Begins to read."""
        await self.follower.open()
        self.tasks.start("spread", self.view.spread(self._clock))

    async def close(self) -> None:
        """Reads no more."""
        await self.follower.close()


def _wake(interests: Iterable[Interest]) -> None:
    for interest in interests:
        interest.wake()


def _filtered(port: Port) -> tuple[object, object]:
    return port.security_groups, port.addresses
