"""Builds and the leases of guests: when ports are made, moved and given back. Two tables say it all.

A build comes:

    what is                                             what happens
    no deed, another cluster's, expired                 dropped
    its host hasn't been heard                          dropped: nothing is known of what it refuses
    the deed's host refuses this deed already           dropped: a late message can't bring a guest back
    a booking under a higher deed, or one that has      dropped: out of date
    ended by the refusal of who had it
    a booking under the same deed, another host         dropped and reported: two hosts under one number
    a booking under the same deed                       the same ports again, sent on
    a booking under a lower deed                        the same ports move to the new deed and host, sent on
    no booking                                          ports made or bound, booked, sent on; or given up with a reason

The booked host says something of the guest (what other hosts say about it changes nothing):

    it refuses the booked deed or a higher one          booking ends
    it has shown the guest under the booked deed or a
    higher one, and shows it no more                    booking ends
    it shows the guest under the booked deed            ports are active as `ACTIVE` has it
    it shows nothing yet, or an older deed              nothing: the build may still be on its way

A booking of a guest that was evacuated ends by its tombstone alone: its next host may refuse it, and the one after that
is to find it with its addresses.

When a booking ends, ports that were made for it go, and ports that were given are free again. Time alone ends nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import BadRequest, Conflict, Fault, FreeholdError, NotFound
from freehold.vocabulary.guest import Guest, GuestState, Refusal
from freehold.vocabulary.network import Carrier, FixedAddress, Lease, NetworkWanted, Port, PortWiring
from freehold.vocabulary.request import Build, is_forgotten
from freehold.workers.network.draft import Draft
from freehold.workers.network.holdings import Booking, Holdings, Sight, name_of
from freehold.workers.network.ports import GUEST_OWNER, make_port, visible_network, wiring

ACTIVE: Final[dict[GuestState, bool]] = {
    GuestState.FETCHING_IMAGE: False,
    GuestState.MAKING_DISK: False,
    GuestState.WIRING: False,
    GuestState.LAUNCHING: False,
    GuestState.RUNNING: True,
    GuestState.PAUSED: True,
    GuestState.REBOOTING_SOFT: True,
    GuestState.REBOOTING_HARD: True,
    GuestState.SHUTTING_DOWN: True,
    GuestState.STOPPING: True,
    GuestState.STOPPED: False,
    GuestState.CRASHED: False,
    GuestState.QUARANTINED: False,
    GuestState.DELETING: False,
    GuestState.REFUSING: False,
}
"""Whether the ports of a guest in this state carry traffic."""

EVACUATE: Final = "evacuate"
"""What a build is to its guest that leaves a dead host."""

DEFAULT_ZONE: Final = "nova"
"""What clients call the zone when they name none."""


class Standing(StrEnum):
    """Where a build stands against what is known: the rows of the first table."""

    NOT_OURS = "it has no deed of this cluster"
    EXPIRED = "it has long expired"
    UNHEARD = "its host hasn't been heard yet"
    ENDED = "its host has refused its deed"
    OUTDATED = "a higher deed has its ports, or had them and was refused"
    CONTRADICTED = "another host has its ports under the same deed"
    BOOKED = "it has its ports"
    MOVING = "it takes its ports along to a higher deed"
    NEW = "it has no ports yet"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Nothing is done about this build."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Granted:
    """The build goes on to its host with these ports, in the order asked for."""

    build: Build
    host: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """The build can't be given what it wants."""

    deed: int
    fault: Fault


Decision = Dropped | Granted | Impossible


def standing(holdings: Holdings, build: Build, now: int) -> Standing:
    """The row of the first table that holds for `build` at clock time `now`."""
    deed = build.deed
    if deed is None or not deed.host or deed.guest != build.guest or deed.cluster != holdings.cluster:
        return Standing.NOT_OURS
    if is_forgotten(build, now):
        return Standing.EXPIRED
    if deed.host not in holdings.carriers:
        return Standing.UNHEARD
    if holdings.sight(deed.host, build.guest).ended >= deed.number:
        return Standing.ENDED
    booking = holdings.bookings.get(build.guest)
    if booking is None:
        return Standing.OUTDATED if holdings.refused_deed(build.guest) > deed.number else Standing.NEW
    if booking.deed != deed.number:
        return Standing.OUTDATED if booking.deed > deed.number else Standing.MOVING
    return Standing.BOOKED if booking.host == deed.host else Standing.CONTRADICTED


def decide_build(draft: Draft, build: Build) -> Decision:
    """What happens to a build. Changes are in `draft` only if it is Granted."""
    where = standing(draft.holdings, build, draft.now)
    deed = build.deed
    if deed is None or where not in (Standing.BOOKED, Standing.MOVING, Standing.NEW):
        return Dropped(where)
    try:
        ports = _ports_for(draft, build, deed, where)
        wired = tuple(wiring(draft, port) for port in ports)
    except FreeholdError as error:
        draft.changes.clear()
        return Impossible(deed.number, error.fault())
    return Granted(_with_ports(build, wired, draft.holdings.carriers[deed.host]), deed.host)


def still_stands(holdings: Holdings, granted: Granted) -> bool:
    """Whether the ports are still the build's. They may have been given back since they were granted: the host has
    refused its deed meanwhile.
    """
    deed, ports = granted.build.deed, tuple(wiring.port for wiring in granted.build.ports)
    if deed is None or not ports:
        return True
    booking = holdings.bookings.get(granted.build.guest)
    return booking is not None and (booking.deed, booking.host, booking.ports) == (deed.number, granted.host, ports)


def _with_ports(build: Build, ports: tuple[PortWiring, ...], heard: Carrier) -> Build:
    return replace(build, ports=ports, incarnation=heard.incarnation)


def _ports_for(draft: Draft, build: Build, deed: Deed, where: Standing) -> tuple[Port, ...]:
    if where is Standing.NEW:
        return _book(draft, build, deed)
    booking = draft.holdings.bookings[build.guest]
    ports = tuple(draft.holdings.port(key) for key in booking.ports)
    if where is Standing.BOOKED:
        return ports
    kept = booking.kept or build.action == EVACUATE
    draft.put(replace(booking, urn=build.urn, deed=deed.number, host=deed.host, kept=kept))
    moved = tuple(_bound(draft, port, build, deed) for port in ports)
    for port in moved:
        draft.put(port)
    return moved


def _book(draft: Draft, build: Build, deed: Deed) -> tuple[Port, ...]:
    given = [wanted.port for wanted in build.networks if wanted.port]
    if len(set(given)) != len(given):
        raise BadRequest("The same port was asked for twice.")
    ports = tuple(
        _bind(draft, build, deed, wanted.port) if wanted.port else _make(draft, build, deed, wanted)
        for wanted in build.networks
    )
    if ports:
        keys = tuple(port.id for port in ports)
        booking = Booking(guest=build.guest, urn=build.urn, deed=deed.number, host=deed.host, ports=keys)
        draft.put(replace(booking, kept=build.action == EVACUATE))
    return ports


def _bind(draft: Draft, build: Build, deed: Deed, key: str) -> Port:
    port = draft.holdings.port(key)
    if port.project != build.project:
        raise NotFound(f"There is no port {key}.")
    if port.device and port.device != build.guest:
        raise Conflict(f"The port {key} is in use by {port.device}.")
    bound = _bound(draft, port, build, deed)
    draft.put(bound)
    return bound


def _make(draft: Draft, build: Build, deed: Deed, wanted: NetworkWanted) -> Port:
    network = visible_network(draft.holdings, wanted.network, build.project)
    if not draft.holdings.subnets_on(network.id):
        raise BadRequest(f"The network {network.id} has no subnet, so a guest on it could have no address.")
    port = Port(
        id="",
        project=build.project,
        network=network.id,
        mac="",
        addresses=(FixedAddress(subnet="", address=wanted.address),) if wanted.address else (),
        security_groups=build.spec.security_groups if network.port_security else (),
        port_security=network.port_security,
        made_for=Lease(urn=build.urn, guest=build.guest, deed=deed.number),
        device=build.guest,
        device_owner=_owner(build),
        host=deed.host,
        deed=deed.number,
    )
    return make_port(draft, port)


def _bound(draft: Draft, port: Port, build: Build, deed: Deed) -> Port:
    lease = port.made_for and Lease(urn=build.urn, guest=build.guest, deed=deed.number)
    return replace(
        port,
        made_for=lease,
        device=build.guest,
        device_owner=_owner(build),
        host=deed.host,
        deed=deed.number,
        active=False,
        updated=draft.now,
        revision=port.revision + 1,
    )


def _owner(build: Build) -> str:
    return GUEST_OWNER + (build.spec.availability_zone or DEFAULT_ZONE)


# --- what hosts say --------------------------------------------------------------------------------------------------


def hear_guest(draft: Draft, host: str, key: str, guest: Guest | None) -> None:
    """The host shows the guest's record, or shows it no more (None)."""
    sight = draft.holdings.sight(host, key)
    _believe(draft, sight, replace(sight, here=guest is not None, deed=max(sight.deed, guest.deed if guest else 0)))
    booking = draft.holdings.bookings.get(key)
    if guest is not None and booking is not None and (booking.host, booking.deed) == (host, guest.deed):
        _show_active(draft, booking, ACTIVE[guest.state])


def hear_refusal(draft: Draft, host: str, key: str, refusal: Refusal | None) -> None:
    """The host refuses the guest, or has forgotten that it did (None)."""
    sight = draft.holdings.sight(host, key)
    ended = 0 if refusal is None else refusal.deed
    deleted = ended if refusal is not None and refusal.deleted else 0
    _believe(draft, sight, replace(sight, ended=ended, deleted=deleted, booked=sight.booked if ended else 0))


def is_over(booking: Booking, sight: Sight) -> bool:
    """Whether what the booked host says ends the booking."""
    if sight.host != booking.host:
        return False
    if booking.kept:
        return sight.deleted >= booking.deed
    return sight.ended >= booking.deed or (sight.deed >= booking.deed and not sight.here)


def end(draft: Draft, booking: Booking) -> None:
    """Gives back what the booking holds."""
    draft.drop("booking", booking.guest)
    for key in booking.ports:
        port = draft.holdings.ports.get(key)
        if port is None:
            continue
        if port.made_for is not None:
            draft.drop("port", key)
        else:
            draft.put(_freed(draft, port))


def _freed(draft: Draft, port: Port) -> Port:
    return replace(
        port,
        device="",
        device_owner="",
        host="",
        deed=0,
        active=False,
        updated=draft.now,
        revision=port.revision + 1,
    )


def _believe(draft: Draft, before: Sight, sight: Sight) -> None:
    booking = draft.holdings.bookings.get(sight.guest)
    kept = booking is not None and booking.host == sight.host
    if booking is not None and is_over(booking, sight):
        end(draft, booking)
        kept = False
        sight = replace(sight, booked=max(sight.booked, booking.deed))
    # A sight is kept while it may decide something: how a booking ends, or that a late build is dropped.
    after = sight if kept else replace(sight, deed=0, here=False)
    if kept or sight.ended or sight.booked:
        if after != before:
            draft.put(after)
    elif draft.holdings.has(name_of(before)):
        draft.drop(*name_of(before))


def _show_active(draft: Draft, booking: Booking, active: bool) -> None:
    for key in booking.ports:
        port = draft.holdings.ports.get(key)
        if port is not None and port.active is not active:
            draft.put(replace(port, active=active, updated=draft.now, revision=port.revision + 1))
