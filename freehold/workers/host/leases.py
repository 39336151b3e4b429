"""Whether the ports of guests that an earlier process was making are still leased to them.

What is claimed now has its ports: its build was sent to this incarnation of the host. But this disk may have been put
back to when an earlier one was making a guest, which it refused then, and whose addresses may be another's by now. Only
the network worker knows, and only when it has heard of this incarnation what is here.
"""

from typing import Final

from freehold.vocabulary.guest import Guest, GuestState
from freehold.workers.host.port_view import PortView
from freehold.workers.host.records import Records

_MAKING: Final = frozenset({GuestState.FETCHING_IMAGE, GuestState.MAKING_DISK, GuestState.WIRING, GuestState.LAUNCHING})


class Leases:
    """Of the guests that were begun before this process and have never run."""

    def __init__(self, records: Records, view: PortView) -> None:
        self._records, self._view = records, view
        self._unsure: tuple[str, ...] = ()

    def begin(self) -> None:
        """To be called before a build is taken: who is being made now was begun before."""
        self._unsure = tuple(guest.id for guest in self._records.guests() if _is_in_doubt(guest))

    def are_sure(self, guest: Guest) -> bool:
        """Whether a guest's ports may be plugged, as far as is known."""
        return guest.id not in self._unsure or not _is_in_doubt(guest)

    async def ended(self) -> list[str]:
        """Waits until the network worker has heard of this incarnation; the guests whose ports were given back.

        The others are sure from then on.
        """
        host = self._records.host()
        await self._heard(host.id, host.incarnation)
        held = [self._records.guest(guest) for guest in self._unsure]
        self._unsure = ()
        return [
            guest.id
            for guest in held
            if guest is not None
            and _is_in_doubt(guest)
            and not all(self._view.is_leased(wiring, host.id, guest.id) for wiring in guest.ports)
        ]

    async def _heard(self, host: str, incarnation: str) -> None:
        interest = self._view.interest()
        try:
            interest.care({host})
            while self._unsure and not self._view.has_heard(host, incarnation):
                await interest.changed()
        finally:
            self._view.forget(interest)


def _is_in_doubt(guest: Guest) -> bool:
    return guest.launched is None and guest.state in _MAKING and bool(guest.ports)
