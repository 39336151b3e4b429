"""What may pass the ports that are plugged here, and where else their networks are: what the cluster's network worker
says, brought to the fabric.

`PortView` keeps in memory the cluster's security groups, the addresses of the ports in each, and who carries which
port, as their owner says. `Filters` makes of it what each of our ports lets pass and where our networks go, and tells
the fabric when that changes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from freehold.drivers.fabric.interface import Fabric, Filter, Members, Peers
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.network import Carrier, Port, PortWiring, SecurityGroup
from freehold.workers.host.patience import within
from freehold.workers.host.whereabouts import Whereabouts

VIEW_WAIT_S: Final = 5.0
"""How long a guest's first filter waits for the network worker's news; without them nothing may come in."""

GATHER_S: Final = 0.05
"""How long changes are gathered before the fabric is told."""

RETRY_S: Final = 5.0

_log = logger("host")


class PortView:
    """Security groups, their members and the whereabouts of ports in the cluster of `host`. A sink for views.follower;
    keeps nothing on disk.

    What it says of something is the same object until that changes: with each port of the cluster that comes, a host
    looks at all of its own.
    """

    def __init__(self, cluster: str, host: str) -> None:
        self._cluster = cluster
        self._store = ""
        """The store of the cluster's network worker; empty until its state has been read."""
        self._positions: dict[str, Position] = {}
        self._groups: dict[str, SecurityGroup] = {}
        self._ports: dict[str, Port] = {}
        self._members: dict[str, dict[str, tuple[str, ...]]] = {}
        self._addresses: dict[str, Members] = {}
        self._filters: dict[str, Filter] = {}
        self._whereabouts = Whereabouts(host)
        self.version = 0
        self._waiting: list[asyncio.Future[None]] = []

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
            self._changed()

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """See views.follower.Sink."""
        self._positions[owner.store] = position
        if owner.cluster == self._cluster:
            self._store = owner.store
            for table in (self._groups, self._ports, self._members, self._addresses, self._filters):
                table.clear()
            self._whereabouts.clear()
            for row in rows:
                self._put(row.kind, row.key, row.value)
            self._changed()

    def heard(self, heartbeat: Heartbeat) -> None:
        """See views.follower.Sink."""

    def _put(self, kind: str, key: str, value: bytes | None) -> None:
        if kind == "security_group":
            self._filters.clear()
            if value is None:
                self._groups.pop(key, None)
            else:
                self._groups[key] = decode(value, SecurityGroup)
        elif kind == "port":
            self._put_port(key, None if value is None else decode(value, Port))
        elif kind == "carrier":
            self._whereabouts.put_carrier(key, None if value is None else decode(value, Carrier))

    def _put_port(self, key: str, port: Port | None) -> None:
        before = self._ports.pop(key, None)
        self._whereabouts.put_port(before, port)
        if port is not None:
            self._ports[key] = port
        if before is not None and port is not None and _filtered(before) == _filtered(port):
            return  # what else is new of it concerns no filter
        self._filters.pop(key, None)
        for group in before.security_groups if before else ():
            self._members.get(group, {}).pop(key, None)
            self._addresses.pop(group, None)
        for group in port.security_groups if port else ():
            members = self._members.setdefault(group, {})
            members[key] = tuple(fixed.address for fixed in port.addresses) if port else ()
            self._addresses.pop(group, None)

    def _changed(self) -> None:
        self.version += 1
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def newer_than(self, version: int) -> None:
        """Waits until something has changed since `version`."""
        while self.version <= version:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

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
        known = self._addresses.get(group)
        if known is None:
            members = self._members.get(group, {}).values()
            addresses = tuple(dict.fromkeys(address for member in members for address in member))
            known = self._addresses[group] = Members(group=group, addresses=addresses)
        return known

    def peers(self, networks: Iterable[str]) -> Peers:
        """Where else these networks are."""
        elsewhere = (self._whereabouts.of(network) for network in sorted(networks))
        return Peers(hosts=self._whereabouts.hosts(), networks=tuple(one for one in elsewhere if one.ports))

    def _groups_of(self, wiring: PortWiring) -> tuple[str, ...]:
        port = self._ports.get(wiring.port)
        return wiring.security_groups if port is None else port.security_groups


class Filters:
    """Keeps the fabric's filters for the plugged ports, and the reach of their networks, as the view says."""

    def __init__(self, fabric: Fabric, view: PortView, clock: Clock) -> None:
        self._fabric, self._view, self._clock = fabric, view, clock
        self._plugged: dict[str, PortWiring] = {}
        self._in_force: dict[str, Filter] = {}
        self._members: dict[str, Members] = {}
        """As the fabric was told, by group; of each that a rule in force names."""
        self._reached: Peers | None = None
        self._lock = asyncio.Lock()

    async def begin(self, wirings: Sequence[PortWiring]) -> None:
        """Puts the first filters of newly plugged ports in force; waits a while for what they need. Raises Broken."""
        await self._wait_for_view(wirings)
        for wiring in wirings:
            self._plugged[wiring.port] = wiring
            self._in_force.pop(wiring.port, None)
        await self._bring(anew=True)

    def adopt(self, wirings: Iterable[PortWiring]) -> None:
        """Ports that an earlier process has plugged: their filters hold until the view says more."""
        self._plugged.update({wiring.port: wiring for wiring in wirings})

    def forget(self, port: str) -> None:
        """A port that isn't plugged any more."""
        self._plugged.pop(port, None)
        self._in_force.pop(port, None)

    async def follow(self) -> None:
        """Brings every change to the fabric, gathered, one at a time. Runs until cancelled."""
        version = 0
        while True:
            await self._view.newer_than(version)
            await self._clock.sleep(GATHER_S)
            version = self._view.version
            try:
                await self._bring()
            except FreeholdError as error:
                _log.error("security groups not in force; trying again", error=error.message)
                version -= 1
                await self._clock.sleep(RETRY_S)

    async def _bring(self, *, anew: bool = False) -> None:
        if not self._view.loaded():
            return  # what is in force stays; a new port lets nothing in
        async with self._lock:
            filters = [self._view.filter_of(wiring) for wiring in self._plugged.values()]
            due = tuple(wanted for wanted in filters if _differs(self._in_force.get(wanted.port), wanted))
            groups = {rule.remote_group for wanted in filters for rule in wanted.rules if rule.remote_group is not None}
            members = {group: self._view.members_of(group) for group in sorted(groups)}
            told = [one for group, one in members.items() if _differs(self._members.get(group), one)]
            told += [Members(group=group) for group in sorted(self._members.keys() - members.keys())]
            if due or told:
                await self._fabric.filter(due, tuple(told))
                self._in_force.update({wanted.port: wanted for wanted in due if wanted.port in self._plugged})
                self._members = members
            peers = self._view.peers({wiring.network for wiring in self._plugged.values() if not wiring.physical})
            if anew or peers != self._reached:  # a network that has just come here was left out before
                await self._fabric.reach(peers)
                self._reached = peers

    async def _wait_for_view(self, wirings: Sequence[PortWiring]) -> None:
        """Waits until the view knows these ports, for `VIEW_WAIT_S` at most."""
        if self._view.knows(wirings):
            return
        if not await within(self._clock, VIEW_WAIT_S, self._known(wirings)):
            _log.warning("the network worker hasn't told of these ports yet; nothing may come in until it does")

    async def _known(self, wirings: Sequence[PortWiring]) -> None:
        while not self._view.knows(wirings):
            await self._view.newer_than(self._view.version)


def _filtered(port: Port) -> tuple[object, object]:
    return port.security_groups, port.addresses


def _differs(told: object, wanted: object) -> bool:
    return told is not wanted and told != wanted
