"""The ports that a guest has, and that aren't leased to it: its host was put back to before it refused the guest, or
this worker's own store to before it leased them.

    the host shows the guest with ports, under a deed        what happens
    that it doesn't refuse
    no booking                                               booked as the host has them
    a booking, and the guest is still being made             nothing: it has the ports that it is sent
    a booking under the same deed there, of other ports      those are given back, and booked as the host has them
    any other booking, or a copy on its way out              nothing
    one of the addresses, MACs or ports is somebody else's   nothing; the reconciler reports it again and again

Until then nothing keeps the addresses from others. What the guest uses is the host's to say.
"""

from typing import Final

from msgspec.structs import replace

from freehold.runtime.log import logger
from freehold.vocabulary.errors import Conflict, FreeholdError, NotFound
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.network import FixedAddress, Lease, Network, Port, PortWiring
from freehold.workers.network.addressing import parse_address
from freehold.workers.network.draft import Draft
from freehold.workers.network.groups import ensure_default
from freehold.workers.network.holdings import Booking
from freehold.workers.network.lifecycle import DEFAULT_ZONE, end
from freehold.workers.network.ports import GUEST_OWNER, is_bound, visible_network

MAKING: Final = frozenset({GuestState.FETCHING_IMAGE, GuestState.MAKING_DISK, GuestState.WIRING, GuestState.LAUNCHING})
ON_ITS_WAY_OUT: Final = frozenset({GuestState.REFUSING, GuestState.DELETING, GuestState.QUARANTINED})

_log = logger("network")


def adopt(draft: Draft, host: str, guest: Guest) -> None:
    """Books the ports that `host` shows for a guest, where they aren't; see the table."""
    booking = draft.holdings.bookings.get(guest.id)
    if not is_missing(draft, host, guest, booking):
        return
    aside = Draft(draft.holdings, draft.now, draft.dice)
    try:
        if booking is not None:
            end(aside, booking)
        own = frozenset(() if booking is None else booking.ports)
        for wiring in guest.ports:
            _lease(aside, host, guest, wiring, own)
    except FreeholdError as error:
        _log.error("a guest has ports that can't be leased to it", guest=guest.id, host=host, error=error.message)
        return
    keys = tuple(wiring.port for wiring in guest.ports)
    aside.put(Booking(guest=guest.id, urn=guest.urn, deed=guest.deed, host=host, ports=keys))
    _log.warning("a guest has ports that weren't leased to it; they are now", guest=guest.id, host=host)
    draft.changes += aside.changes


def is_missing(draft: Draft, host: str, guest: Guest, booking: Booking | None) -> bool:
    """Whether the guest has ports that aren't booked as they are."""
    if not guest.ports or guest.state in ON_ITS_WAY_OUT:
        return False
    if draft.holdings.sight(host, guest.id).ended >= guest.deed:
        return False
    if booking is None:
        return True
    if guest.launched is None and guest.state in MAKING:  # its disk may show an earlier attempt, which was refused
        return False
    same = (booking.host, booking.deed) == (host, guest.deed)
    return same and set(booking.ports) != {wiring.port for wiring in guest.ports}


def _lease(draft: Draft, host: str, guest: Guest, wiring: PortWiring, own: frozenset[str]) -> None:
    """Makes or binds one port. `own`: the ports that the guest gives back."""
    known = draft.holdings.ports.get(wiring.port)
    if known is not None and (known.project != guest.project or (is_bound(known) and known.device != guest.id)):
        raise Conflict(f"The port {known.id} is in use by {known.device}.")
    if known is not None:
        draft.put(_bound(draft, known, host, guest))
        return
    _check_free(draft, wiring.mac, draft.holdings.macs.get(wiring.mac), own)
    network = visible_network(draft.holdings, wiring.network, guest.project)
    groups = tuple(key for key in wiring.security_groups if key in draft.holdings.groups)
    port = Port(
        id=wiring.port,
        project=guest.project,
        network=network.id,
        mac=wiring.mac,
        addresses=tuple(_address(draft, network, address, own) for address in wiring.addresses),
        security_groups=groups or ((ensure_default(draft, guest.project),) if wiring.port_security else ()),
        port_security=wiring.port_security,
        made_for=Lease(urn=guest.urn, guest=guest.id, deed=guest.deed),
        created=draft.now,
        revision=0,
    )
    draft.put(_bound(draft, port, host, guest))


def _address(draft: Draft, network: Network, address: str, own: frozenset[str]) -> FixedAddress:
    number = int(parse_address(address))
    for subnet in draft.holdings.subnets_on(network.id):
        book = draft.holdings.books[subnet.id]
        if number in range(int(book.network[0]), int(book.network[-1]) + 1):
            _check_free(draft, address, book.holders.get(number), own)
            return FixedAddress(subnet=subnet.id, address=address)
    raise NotFound(f"There is no subnet with {address} on network {network.id}.")


def _check_free(draft: Draft, what: str, holder: str | None, own: frozenset[str]) -> None:
    if holder is not None and holder not in own:
        raise Conflict(f"{what} is in use by {draft.holdings.port(holder).device or f'port {holder}'}.")


def _bound(draft: Draft, port: Port, host: str, guest: Guest) -> Port:
    return replace(
        port,
        device=guest.id,
        device_owner=GUEST_OWNER + (guest.spec.availability_zone or DEFAULT_ZONE),
        host=host,
        deed=guest.deed,
        updated=draft.now,
        revision=port.revision + 1,
    )
