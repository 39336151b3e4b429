"""What takes a guest, or what is left of it, off this host: a delete, a build that is withdrawn, a copy let go of."""

from msgspec.structs import replace

from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import NotFound, Unavailable
from freehold.vocabulary.guest import Delete, Guest, GuestState, Power, Refusal
from freehold.vocabulary.host import Discard
from freehold.workers.host.actors import Actors
from freehold.workers.host.claims import refusal_of_unknown, refusal_of_withdrawn
from freehold.workers.host.clearance import Clearance
from freehold.workers.host.messages import DeleteAsked, DiscardAsked, WithdrawAsked
from freehold.workers.host.records import Records

_log = logger("host")


class Removals:
    """Each gives the position at which it is decided, which is to be durable before it is answered; None: nothing had
    to be written. All raise Unavailable while it can't be known what there is.
    """

    def __init__(
        self, records: Records, actors: Actors, clearance: Clearance, hypervisor: Hypervisor, clock: HybridClock
    ) -> None:
        self._records, self._actors, self._clearance = records, actors, clearance
        self._hypervisor, self._clock = hypervisor, clock

    async def delete(self, command: Delete) -> Position | None:
        """The guest goes, with all that was made for it. Raises NotFound if it is another project's."""
        if self._held(command) is None:
            # What is here without a record goes first: the refusal says that nothing is left.
            await self._hypervisor.remove(command.guest)
        if self._held(command) is None:
            known = self._records.refusal(command.guest)
            return self._keep(refusal_of_unknown(command, known, self._clock.now()))
        return self._actors.take(command.guest, DeleteAsked(command), command.urn)

    async def withdraw(self, command: Delete) -> Position | None:
        """A build whose request has failed is refused for good, unless it has run. Raises NotFound, as `delete`."""
        kept_copy = False
        if self._held(command) is None and command.left:
            kept_copy = await self._hypervisor.power(command.guest) is not Power.ABSENT
        elif self._held(command) is None:
            await self._hypervisor.remove(command.guest)
        held = self._held(command)
        if held is not None and held.state is GuestState.QUARANTINED and command.deed > held.deed:
            kept_copy = True
        elif held is not None:
            return self._actors.take(command.guest, WithdrawAsked(command), command.urn)
        known, now = self._records.refusal(command.guest), self._clock.now()
        return self._keep(refusal_of_withdrawn(command, self._records.host(), known, now, kept_copy=kept_copy))

    async def discard(self, order: Discard) -> Position | None:
        """A copy of a guest that has left this host goes. Raises NotFound if there is none, Conflict if it is the
        guest.
        """
        guest = order.guest
        if self._records.guest(guest) is not None:
            _log.warning("a copy is let go of", guest=guest, user=order.user)
            return self._actors.take(guest, DiscardAsked(), order.urn)
        if not self._clearance.is_apart(guest):
            raise NotFound(f"There is no guest {guest}.")
        _log.warning("a copy without a record is let go of", guest=guest, user=order.user)
        await self._hypervisor.remove(guest)
        known = self._records.refusal(guest)
        copy = known is not None and known.kept_copy and self._records.guest(guest) is None
        return self._keep(replace(known, kept_copy=False) if known is not None and copy else None)

    def _held(self, command: Delete) -> Guest | None:
        """The guest's record. Raises NotFound if it is another project's, Unavailable if it is lost and comes back."""
        held = self._records.guest(command.guest)
        if held is None and self._actors.is_lost(command.guest):
            raise Unavailable(f"The record of guest {command.guest} is being restored. Try again.")
        if held is not None and command.project not in ("", held.project):
            raise NotFound(f"There is no guest {command.guest}.")
        return held

    def _keep(self, refusal: Refusal | None) -> Position | None:
        return None if refusal is None else self._records.keep_refusal(refusal)
