"""Compares what is believed with the rows and with what hosts said; mends what is late, reports what can't be."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.request import Intent
from freehold.workers.network.draft import Dice, Draft
from freehold.workers.network.holdings import Holdings
from freehold.workers.network.lifecycle import end, is_over
from freehold.workers.network.records import Records

_log = logger("network")


class Reconciler:
    """One look; who calls it decides when."""

    def __init__(self, records: Records, clock: HybridClock, dice: Dice) -> None:
        self._records, self._clock, self._dice = records, clock, dice

    def look(self) -> list[str]:
        """Ends leases whose evidence was passed over, takes the indexes from the rows again, and gives what
        contradicts itself.
        """
        self._end_what_is_over()
        if self._records.refresh():
            _log.error("memory differed from the rows and was taken from them again")
        found = list(contradictions(self._records.holdings))
        for sentence in found:
            _log.error("the network's records contradict themselves", what=sentence)
        self._records.keep_positions()
        return found

    def guests(self) -> list[str]:
        """The guests that hold ports."""
        return sorted(self._records.holdings.bookings)

    def nowhere(self) -> list[str]:
        """The guests that hold ports though no host has them: they were evacuated, and then refused. When they are
        deleted only the registrar knows.
        """
        holdings = self._records.holdings
        kept = [booking for booking in holdings.bookings.values() if booking.kept]
        return sorted(one.guest for one in kept if holdings.sight(one.host, one.guest).ended >= one.deed)

    def heed(self, intents: Iterable[Intent]) -> None:
        """Ends the leases of guests of which the registrar knows that nothing is left under the deed. What a guest that
        was evacuated has stays its own, though the build that says so may never have come here.
        """
        for intent in intents:
            booking = self._records.holdings.bookings.get(intent.guest)
            if booking is None:
                continue
            draft = Draft(self._records.holdings, self._clock.now(), self._dice)
            kept = booking.kept or intent.left
            if intent.ended or (intent.refused_deed >= booking.deed and not kept):
                _log.warning("a lease had outlived its guest", guest=booking.guest, host=booking.host)
                end(draft, booking)
            elif kept != booking.kept:
                draft.put(replace(booking, kept=kept))
            if draft.changes:
                self._records.stage(draft.changes, "ended" if intent.ended or not kept else "kept")

    def _end_what_is_over(self) -> None:
        holdings = self._records.holdings
        for booking in tuple(holdings.bookings.values()):
            if is_over(booking, holdings.sight(booking.host, booking.guest)):
                _log.warning("a lease had outlived its guest", guest=booking.guest, host=booking.host)
                draft = Draft(holdings, self._clock.now(), self._dice)
                end(draft, booking)
                self._records.stage(draft.changes, "reconcile")


def contradictions(holdings: Holdings) -> Iterator[str]:
    """What must never be, as sentences: two holders of one address or MAC, ports without network, leases without
    ports.
    """
    yield from _doubles(holdings)
    for port in holdings.ports.values():
        if port.network not in holdings.networks:
            yield f"Port {port.id} is on network {port.network}, which doesn't exist."
        lacking = [fixed.subnet for fixed in port.addresses if fixed.subnet not in holdings.subnets]
        if lacking:
            yield f"Port {port.id} has an address on subnet {lacking[0]}, which doesn't exist."
        if port.deed and port.device not in holdings.bookings:
            yield f"Port {port.id} is leased to guest {port.device}, which has no booking."
    for booking in holdings.bookings.values():
        missing = [key for key in booking.ports if key not in holdings.ports]
        if missing:
            yield f"Guest {booking.guest} is booked with port {missing[0]}, which doesn't exist."
        sight = holdings.sight(booking.host, booking.guest)
        if sight.here and sight.deed > booking.deed:
            yield f"Host {sight.host} has guest {sight.guest} under deed {sight.deed}, its ports have {booking.deed}."


def _doubles(holdings: Holdings) -> Iterator[str]:
    macs = Counter(port.mac for port in holdings.ports.values())
    yield from (f"The MAC address {mac} has {count} ports." for mac, count in macs.items() if count > 1)
    segments = Counter(network.segment for network in holdings.networks.values() if not network.physical)
    yield from (f"The segment {segment} has {count} networks." for segment, count in segments.items() if count > 1)
    places = Counter(carrier.address for carrier in holdings.carriers.values() if carrier.address)
    yield from (f"The underlay address {place} has {count} hosts." for place, count in places.items() if count > 1)
    addresses = Counter((fixed.subnet, fixed.address) for port in holdings.ports.values() for fixed in port.addresses)
    for (subnet, address), count in addresses.items():
        if count > 1:
            yield f"The address {address} of subnet {subnet} has {count} ports."
