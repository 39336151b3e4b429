"""Guests that an earlier process was making, and that have never run: whether they may be finished here.

What is claimed now has its ports and its room: its build was sent to this incarnation of the host, which knows what it
holds. But this disk may have been put back to when an earlier one was making a guest, which it refused then. Its
addresses may be another's by now, which only the network worker knows, and only when it has heard of this incarnation
what is here. And its room may have been given to guests whose records come back.
"""

from functools import reduce
from typing import Final

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.host import NOTHING, Capacity, needed_by
from freehold.workers.host.port_view import PortView
from freehold.workers.host.records import Records

MAKING: Final = frozenset({GuestState.FETCHING_IMAGE, GuestState.MAKING_DISK, GuestState.WIRING, GuestState.LAUNCHING})
NEVER_RAN: Final = MAKING | {GuestState.REFUSING}
"""What the record of a guest says that hasn't run."""
_GOING: Final = frozenset({GuestState.REFUSING, GuestState.DELETING})


class Begun:
    """Of one host. What needs neither ports nor room goes on meanwhile."""

    def __init__(self, records: Records, view: PortView) -> None:
        self._records, self._view = records, view
        self._unsure: tuple[str, ...] = ()

    def begin(self) -> None:
        """To be called before a build is taken: who is being made now was begun before."""
        self._unsure = tuple(guest.id for guest in self._records.guests() if _is_in_doubt(guest))

    def may_finish(self, guest: Guest) -> bool:
        """Whether a guest's ports may be plugged and it may run, as far as this goes."""
        return guest.id not in self._unsure or not _is_in_doubt(guest)

    def settle(self) -> None:
        """Those that are still being made may be finished."""
        self._unsure = ()

    async def given_back(self) -> list[str]:
        """Those whose ports aren't leased to them, when the network worker has heard of this incarnation."""
        host = self._records.host()
        await self._heard(host.id, host.incarnation)
        return [
            guest.id
            for guest in self._in_doubt()
            if not all(self._view.is_leased(wiring, host.id, guest.id) for wiring in guest.ports)
        ]

    def without_room(self) -> list[str]:
        """Those that don't fit beside all others, the youngest first. To be asked when all records are here."""
        staying = [guest for guest in self._records.guests() if guest.state not in _GOING]
        total, without = self._records.host().total, list[str]()
        for guest in sorted(self._in_doubt(), key=lambda one: (-one.created, one.id)):
            if total.fits(_taken(staying)):
                break
            staying.remove(guest)
            without.append(guest.id)
        return without

    def _in_doubt(self) -> list[Guest]:
        held = (self._records.guest(guest) for guest in self._unsure)
        return [guest for guest in held if guest is not None and _is_in_doubt(guest)]

    async def _heard(self, host: str, incarnation: str) -> None:
        interest = self._view.interest()
        try:
            interest.care({host})
            while self._unsure and not self._view.has_heard(host, incarnation):
                await interest.changed()
        finally:
            self._view.forget(interest)


def _is_in_doubt(guest: Guest) -> bool:
    return guest.launched is None and guest.state in MAKING


def _taken(guests: list[Guest]) -> Capacity:
    return reduce(Capacity.plus, (needed_by(guest.spec.flavor) for guest in guests), NOTHING)
