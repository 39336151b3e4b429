"""A guest keeps the ports that its host shows, though nothing here knows of them; nobody else's are touched."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.network import FixedAddress, NetworkWanted, Port, PortWiring
from freehold.workers.network.adoption import MAKING, adopt
from freehold.workers.network.holdings import Booking
from tests.workers.network.rules_bench import RulesBench, a_build, granted, shown


def wired(bench: RulesBench, network: str, guest: str = "g1", **fields: Any) -> tuple[PortWiring, ...]:
    """The ports of a guest that was built."""
    return granted(bench.build(a_build(NetworkWanted(network=network), guest=guest, **fields))).build.ports


def with_ports(ports: tuple[PortWiring, ...], *, deed: int = 1, state: GuestState = GuestState.RUNNING) -> Guest:
    return replace(shown("h1", "g1", deed, state), ports=ports)


def hears(bench: RulesBench, guest: Guest, host: str = "h1") -> None:
    bench.decide(lambda draft: adopt(draft, host, guest))


def forgotten(bench: RulesBench, network: str) -> tuple[PortWiring, ...]:
    """The ports of a guest that its host has refused, and has forgotten to have."""
    ports = wired(bench, network)
    bench.refuses("h1", "g1", 1)
    bench.refuses("h1", "g1")
    assert not bench.holdings.bookings and not bench.holdings.ports
    return ports


def test_ports_that_a_host_shows_and_nobody_has_are_the_guests_again() -> None:
    bench = RulesBench()
    network = bench.network()
    (port,) = ports = forgotten(bench, network)
    hears(bench, with_ports(ports))
    again = bench.holdings.ports[port.port]
    assert (again.mac, again.addresses[0].address) == (port.mac, port.addresses[0])
    assert (again.device, again.host, again.deed, again.device_owner) == ("g1", "h1", 1, "compute:nova")
    assert wired(bench, network) == ports, "the build that comes again is sent on with them"
    bench.shows("h1", "g1", 1)
    bench.shows("h1", "g1")
    assert not bench.holdings.ports, "and they end as they would have"


def test_other_ports_that_were_leased_meanwhile_are_given_back() -> None:
    bench = RulesBench()
    network = bench.network()
    ports = forgotten(bench, network)
    other = wired(bench, network)
    assert other != ports
    hears(bench, with_ports(ports))
    assert list(bench.holdings.ports) == [ports[0].port]
    assert bench.holdings.bookings["g1"].ports == (ports[0].port,)


@pytest.mark.parametrize("state", sorted(MAKING))
def test_a_guest_that_is_being_made_keeps_the_ports_that_it_was_sent_last(state: GuestState) -> None:
    """Its host's disk may show another attempt: what it had then, it may not have any more."""
    bench = RulesBench()
    network = bench.network()
    ports = forgotten(bench, network)
    hears(bench, replace(with_ports(ports, state=state), launched=None))
    assert wired(bench, network) == ports, "where nothing else was leased it has them"
    bench.refuses("h1", "g1", 1)
    bench.refuses("h1", "g1")
    other = wired(bench, network)
    hears(bench, replace(with_ports(ports, state=state), launched=None))
    assert list(bench.holdings.ports) == [other[0].port]
    hears(bench, replace(with_ports(ports, state=state), launched=1))
    assert list(bench.holdings.ports) == [ports[0].port], "what has run before has what its host shows"


def test_a_port_made_by_hand_is_bound_again() -> None:
    bench = RulesBench()
    given = bench.port(bench.network())
    ports = granted(bench.build(a_build(NetworkWanted(port=given.id)))).build.ports
    bench.refuses("h1", "g1", 1)
    bench.refuses("h1", "g1")
    hears(bench, with_ports(ports))
    assert (bench.holdings.ports[given.id].device, bench.holdings.ports[given.id].made_for) == ("g1", None)


def test_what_somebody_else_has_by_now_stays_theirs() -> None:
    bench = RulesBench()
    network = bench.network()
    ports = forgotten(bench, network)
    wanted = NetworkWanted(network=network, address=ports[0].addresses[0])
    bench.decide(lambda draft: None)
    granted(bench.build(a_build(wanted, guest="g2", host="h2")))
    before = dict(bench.holdings.ports)
    hears(bench, with_ports(ports))
    assert bench.holdings.ports == before and set(bench.holdings.bookings) == {"g2"}


@pytest.mark.parametrize("state", [GuestState.REFUSING, GuestState.DELETING, GuestState.QUARANTINED])
def test_a_copy_on_its_way_out_gets_none(state: GuestState) -> None:
    bench = RulesBench()
    ports = forgotten(bench, bench.network())
    hears(bench, with_ports(ports, state=state))
    assert not bench.holdings.ports


def test_nothing_changes_for_a_guest_that_has_its_ports_or_whose_deed_is_another() -> None:
    bench = RulesBench()
    network = bench.network()
    ports = wired(bench, network)
    hears(bench, with_ports(ports))
    moved = wired(bench, network, deed=2, host="h2")
    before = bench.holdings.bookings["g1"]
    hears(bench, with_ports(ports))
    assert (
        bench.holdings.bookings["g1"]
        == before
        == Booking(guest="g1", urn="urn:g1", deed=2, host="h2", ports=(moved[0].port,))
    )


def test_a_host_that_refuses_the_deed_gets_none_for_it() -> None:
    bench = RulesBench()
    ports = wired(bench, bench.network())
    bench.refuses("h1", "g1", 1)
    hears(bench, with_ports(ports))
    assert not bench.holdings.ports


def test_a_port_of_another_project_is_nobodys_to_take() -> None:
    bench = RulesBench()
    network = bench.network(shared=True)
    ports = forgotten(bench, network)
    stolen = Port(
        id=ports[0].port,
        project="other",
        network=network,
        mac="",
        addresses=(FixedAddress(subnet="", address="10.0.0.77"),),
    )
    bench.holdings.apply([stolen])
    hears(bench, with_ports(ports))
    assert bench.holdings.ports[ports[0].port].device == ""
