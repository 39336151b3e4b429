"""What a host does with what is on its machine at its start, before anything is told or heard.

there is                                            it
a plugged port that no record names                 is unplugged, unless it may belong to a guest without a record
a plugged port that a record names                  is whole, and its filters are followed
something of a guest without a record, and a        has the refusal dropped: the guest came after it, and this disk
refusal that says that nothing is here              was put back to before that; what it said then isn't so
"""

from collections.abc import Mapping
from typing import Final

from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.guest import Guest, Power
from freehold.workers.host.filters import Filters
from freehold.workers.host.reconciler import kept_ports, runs_unrecorded
from freehold.workers.host.records import Records

AGAIN_S: Final = 1.0
"""Before the machine is looked at again."""

_log = logger("host")


class TakingUp:
    """Of one host. `take_up` once, before it speaks; `take_up_ports` of each guest whose record comes back later."""

    def __init__(
        self,
        records: Records,
        hypervisor: Hypervisor,
        fabric: Fabric,
        filters: Filters,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._records, self._hypervisor, self._fabric = records, hypervisor, fabric
        self._filters, self._clock, self._chance = filters, clock, chance

    async def take_up(self) -> None:
        """See the table. Raises FreeholdError if the fabric can't be put in order."""
        powers = await self._powers()
        await self._drop_untrue(powers)
        guests = self._records.guests()
        keep = kept_ports(guests)
        spared = await self._fabric.plugged() if runs_unrecorded(powers, guests) else frozenset[str]()
        await self._fabric.sweep(keep | spared)
        plugged = await self._fabric.plugged()
        self._filters.adopt(wiring for guest in guests for wiring in guest.ports if wiring.port in plugged & keep)

    async def take_up_ports(self, guest: Guest) -> None:
        """The ports of a guest whose record is back, which were plugged all the time, are followed again."""
        try:
            plugged = await self._fabric.plugged()
            ports = [port for port in guest.ports if port.port in plugged and self._records.guest_of_port(port.port)]
            if ports:
                await self._filters.begin(ports)
        except FreeholdError as error:
            _log.error("a restored guest's ports aren't followed", guest=guest.id, error=error.message)

    async def _powers(self) -> Mapping[str, Power]:
        """What is here. Asked until it is answered: what isn't known to be true isn't told."""
        while True:
            try:
                return await self._hypervisor.guests()
            except FreeholdError as error:
                _log.error("the machine can't be looked at; nothing is told before", error=error.message)
                await self._clock.sleep(AGAIN_S)

    async def _drop_untrue(self, powers: Mapping[str, Power]) -> None:
        untrue = [
            refusal
            for refusal in self._records.refusals()
            if powers.get(refusal.guest, Power.ABSENT) is not Power.ABSENT
            and self._records.guest(refusal.guest) is None
            and not refusal.deleted
            and not refusal.kept_copy
        ]
        for refusal in untrue:
            _log.error("a guest is here that this disk says was refused; it came after that", guest=refusal.guest)
        if not untrue:
            return
        # Who reads on from before this would read first that they were refused, and believe it. The epoch comes first:
        # of a crash between the two, the next start finds the refusals still there.
        await self._records.store.begin_epoch(new_id(self._chance))
        self._records.drop_refusals(untrue, "host started")
        await self._records.store.durable()
