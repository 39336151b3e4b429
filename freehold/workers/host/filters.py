"""What may pass the ports that are plugged here, and where else their networks are: what the cluster's network worker
says, brought to the fabric when it changes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from freehold.drivers.fabric.interface import Fabric, Filter, Members, Peers
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.network import PortWiring
from freehold.workers.host.patience import within
from freehold.workers.host.port_view import PortView

VIEW_WAIT_S: Final = 5.0
"""How long a guest's first filter waits for the network worker's news; without them nothing may come in."""

GATHER_S: Final = 0.05
"""How long changes are gathered before the fabric is told."""

RETRY_S: Final = 5.0

_log = logger("host")


class Filters:
    """Keeps the fabric's filters for the plugged ports, and the reach of their networks, as the view says."""

    def __init__(self, host: str, fabric: Fabric, view: PortView, clock: Clock) -> None:
        self._host, self._fabric, self._view, self._clock = host, fabric, view, clock
        self._interest = view.interest()
        self._cares: frozenset[str] = frozenset()
        """What the ports that are plugged depend on, and some that were."""
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
        await self._bring_new(wirings)

    def adopt(self, wirings: Iterable[PortWiring]) -> None:
        """Ports that an earlier process has plugged: their filters hold until the view says more."""
        self._plugged.update({wiring.port: wiring for wiring in wirings})

    def forget(self, port: str) -> None:
        """A port that isn't plugged any more."""
        self._plugged.pop(port, None)
        self._in_force.pop(port, None)

    async def follow(self) -> None:
        """Brings every change to the fabric, gathered, one at a time. Runs until cancelled."""
        while True:
            await self._interest.changed()
            if self._interest.may_be_anything:
                await self._clock.sleep(GATHER_S)
            news = self._interest.taken()
            try:
                await (self._bring() if news is None else self._bring_elsewhere(news))
            except FreeholdError as error:
                _log.error("security groups not in force; trying again", error=error.message)
                self._interest.wake()
                await self._clock.sleep(RETRY_S)

    def close(self) -> None:
        """Isn't woken any more."""
        self._view.forget(self._interest)

    async def _bring_new(self, wirings: Sequence[PortWiring]) -> None:
        """Ports have come; those that were here are as they were."""
        if not self._view.loaded():
            return  # what is in force stays; a new port lets nothing in
        async with self._lock:
            self._care(self._cares.union(*map(self._view.needs_of, wirings)))
            filters = tuple(self._view.filter_of(wiring) for wiring in wirings)
            members = {group: self._view.members_of(group) for group in _remote_groups(filters)}
            told = tuple(one for group, one in members.items() if _differs(self._members.get(group), one))
            await self._tell(filters, told)
            await self._reach(anew=True)  # a network that has just come here was left out before

    async def _bring(self) -> None:
        if not self._view.loaded():
            return
        async with self._lock:
            self._care(frozenset().union(*map(self._view.needs_of, self._plugged.values())))
            filters = [self._view.filter_of(wiring) for wiring in self._plugged.values()]
            due = tuple(wanted for wanted in filters if _differs(self._in_force.get(wanted.port), wanted))
            members = {group: self._view.members_of(group) for group in _remote_groups(filters)}
            told = [one for group, one in members.items() if _differs(self._members.get(group), one)]
            forgotten = sorted(self._members.keys() - members.keys())
            told += [Members(group=group) for group in forgotten]
            if due or told:
                await self._tell(due, tuple(told))
                for group in forgotten:
                    del self._members[group]
            await self._reach()

    async def _bring_elsewhere(self, keys: Sequence[str]) -> None:
        """Nothing is new but who is in these groups, or where else these networks are."""
        async with self._lock:
            members = [self._view.members_of(group) for group in keys if group in self._members]
            told = tuple(one for one in members if one is not self._members[one.group])
            if told:
                await self._tell((), told)
            if len(members) < len(keys):
                await self._reach()

    async def _tell(self, filters: tuple[Filter, ...], members: tuple[Members, ...]) -> None:
        """Has the fabric put these in force."""
        await self._fabric.filter(filters, members)
        self._in_force.update({one.port: one for one in filters if one.port in self._plugged})
        self._members.update({one.group: one for one in members})

    async def _reach(self, *, anew: bool = False) -> None:
        networks = {wiring.network for wiring in self._plugged.values() if not wiring.physical}
        peers = self._view.peers(self._host, networks)
        if anew or peers != self._reached:
            await self._fabric.reach(peers)
            self._reached = peers

    async def _wait_for_view(self, wirings: Sequence[PortWiring]) -> None:
        """Waits until the view knows these ports, for `VIEW_WAIT_S` at most."""
        if self._view.knows(wirings):
            return
        if not await within(self._clock, VIEW_WAIT_S, self._known(wirings)):
            _log.warning("the network worker hasn't told of these ports yet; nothing may come in until it does")

    def _care(self, keys: frozenset[str]) -> None:
        """Is woken from now on by these."""
        if keys != self._cares:
            self._interest.care(keys)
            self._cares = keys

    async def _known(self, wirings: Sequence[PortWiring]) -> None:
        interest = self._view.interest()
        try:
            while not self._view.knows(wirings):
                interest.care(frozenset().union(*(self._view.needs_of(wiring) for wiring in wirings)))
                await interest.changed()
        finally:
            self._view.forget(interest)


def _remote_groups(filters: Iterable[Filter]) -> Sequence[str]:
    """The groups whose members the rules name, in order."""
    return sorted({rule.remote_group for one in filters for rule in one.rules if rule.remote_group is not None})


def _differs(told: object, wanted: object) -> bool:
    return told is not wanted and told != wanted
