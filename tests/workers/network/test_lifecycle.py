"""The two tables: what happens to a build, and how what hosts say ends a lease."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.network import (
    DeleteOf,
    FixedAddress,
    Lease,
    NetworkQuota,
    NetworkWanted,
    SaveNetwork,
    SaveNetworkQuota,
    Subnet,
)
from freehold.workers.network.lifecycle import ACTIVE, Dropped, Impossible, Standing
from freehold.workers.network.reconciler import contradictions
from tests.workers.network.rules_bench import SPEC, RulesBench, a_build, an_id, granted


def test_a_build_goes_on_with_all_that_its_host_needs() -> None:
    bench = RulesBench()
    key = bench.network(cidr="", mtu=1400, reachable=True)
    subnet: Subnet = bench.holdings.subnets[
        bench.subnet(key, "10.5.0.0/24", dns=("9.9.9.9",), routes=(("10.9.0.0/16", "10.5.0.254"),))
    ]
    group = bench.group()
    spec = replace(SPEC, security_groups=(group,), availability_zone="east")
    decision = granted(bench.build(a_build(NetworkWanted(network=key), spec=spec)))
    (wired,) = decision.build.ports
    port = bench.holdings.ports[wired.port]
    assert decision.host == "h1"
    assert (wired.segment, wired.mtu, wired.reachable) == (bench.holdings.networks[key].segment, 1400, True)
    assert (wired.addresses, wired.cidr, wired.gateway) == (("10.5.0.2",), "10.5.0.0/24", "10.5.0.1")
    assert (wired.dns, wired.routes, wired.security_groups) == (subnet.dns, subnet.routes, (group,))
    assert (port.device, port.device_owner, port.host, port.deed) == ("g1", "compute:east", "h1", 1)
    assert port.made_for == Lease(urn="urn:g1", guest="g1", deed=1)
    assert not port.active


def test_interfaces_come_in_the_order_asked_for() -> None:
    bench = RulesBench()
    one, other = bench.network(), bench.network(cidr="10.1.0.0/24")
    given = bench.port(other)
    wanted = (NetworkWanted(port=given.id), NetworkWanted(network=one, address="10.0.0.50"), NetworkWanted(network=one))
    decision = granted(bench.build(a_build(*wanted)))
    assert [wired.addresses for wired in decision.build.ports] == [("10.1.0.2",), ("10.0.0.50",), ("10.0.0.2",)]
    assert granted(bench.build(a_build(*wanted))) == decision
    assert len(bench.holdings.ports) == 3


def test_two_interfaces_of_one_build_never_share() -> None:
    bench = RulesBench()
    key = bench.network()
    decision = granted(bench.build(a_build(*[NetworkWanted(network=key)] * 5)))
    assert len({wired.mac for wired in decision.build.ports}) == 5
    assert len({wired.addresses for wired in decision.build.ports}) == 5
    assert list(bench.holdings.groups) == [bench.holdings.default_groups["p"]]


def test_no_networks_no_ports() -> None:
    bench = RulesBench()
    assert granted(bench.build(a_build())).build.ports == ()
    assert not bench.holdings.bookings


@pytest.mark.parametrize(
    ("build", "standing"),
    [
        (a_build(deed=0), Standing.NOT_OURS),
        (a_build(cluster="elsewhere"), Standing.NOT_OURS),
        (a_build(host=""), Standing.NOT_OURS),
        (a_build(expires=5), Standing.EXPIRED),
        (a_build(host="unheard"), Standing.UNHEARD),
        (a_build(guest="gone", deed=2), Standing.ENDED),
        (a_build(guest="gone", deed=1), Standing.ENDED),
        (a_build(guest="booked", deed=1), Standing.OUTDATED),
        (a_build(guest="booked", deed=2, host="h2"), Standing.CONTRADICTED),
        (a_build(guest="refused", deed=1), Standing.OUTDATED),
        (a_build(guest="begun", deed=1), Standing.OUTDATED),
    ],
)
def test_builds_that_are_dropped(build: Any, standing: Standing) -> None:
    bench = RulesBench()
    key = bench.network()
    granted(bench.build(a_build(NetworkWanted(network=key), guest="booked", deed=2)))
    bench.refuses("h1", "gone", 2)
    granted(bench.build(a_build(NetworkWanted(network=key), guest="refused", deed=2, host="h2")))
    bench.refuses("h2", "refused", 2)
    granted(bench.build(a_build(NetworkWanted(network=key), guest="begun", deed=2, host="h2")))
    bench.shows("h2", "begun", 2)
    bench.shows("h2", "begun", 0)  # it is gone before its host says that it refuses it
    bench.refuses("h2", "begun", 2)
    before = dict(bench.holdings.ports)
    build = replace(build, networks=(NetworkWanted(network=key),))
    assert bench.build(build) == Dropped(standing)
    assert bench.holdings.ports == before


def test_what_a_host_refuses_that_never_had_it_keeps_no_build_away() -> None:
    bench = RulesBench()
    key = bench.network()
    bench.refuses("fallen", "g1", 9)
    granted(bench.build(a_build(NetworkWanted(network=key), deed=1)))


def test_a_guest_refused_by_one_host_is_built_under_the_next_deed() -> None:
    bench = RulesBench()
    key = bench.network()
    bench.refuses("h1", "g1", 1)
    granted(bench.build(a_build(NetworkWanted(network=key), deed=2, host="h2")))
    granted(bench.build(a_build(NetworkWanted(network=key), guest="g2", deed=1, host="h1")))


def test_a_higher_deed_takes_the_same_ports_along() -> None:
    bench = RulesBench()
    key = bench.network()
    given = bench.port(key)
    wanted = (NetworkWanted(network=key), NetworkWanted(port=given.id))
    first = granted(bench.build(a_build(*wanted)))
    bench.shows("h1", "g1", 1)
    second = granted(bench.build(a_build(*wanted, deed=3, host="h2")))
    assert (second.build.ports, second.host) == (first.build.ports, "h2")
    for wired in second.build.ports:
        port = bench.holdings.ports[wired.port]
        assert (port.host, port.deed, port.active) == ("h2", 3, False)
    assert bench.holdings.ports[first.build.ports[0].port].made_for == Lease(urn="urn:g1", guest="g1", deed=3)
    assert bench.holdings.ports[given.id].made_for is None
    bench.refuses("h1", "g1", 1)
    bench.shows("h1", "g1", 0)
    assert len(bench.holdings.ports) == 2, "what the old host says is no evidence about the new one"


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ((NetworkWanted(network=an_id(1)),), "NotFound", "network"),
        ((NetworkWanted(network="THEIRS"),), "NotFound", "network"),
        ((NetworkWanted(network="BARE"),), "BadRequest", "no subnet"),
        ((NetworkWanted(network="FULL"),), "Conflict", "No address"),
        ((NetworkWanted(network="MINE"), NetworkWanted(network="FULL")), "Conflict", "No address"),
        ((NetworkWanted(network="MINE", address="10.0.0.1"),), "Conflict", "gateway"),
        ((NetworkWanted(port=an_id(1)),), "NotFound", "port"),
        ((NetworkWanted(port="THEIR_PORT"),), "NotFound", "port"),
        ((NetworkWanted(port="USED"),), "Conflict", "in use"),
        ((NetworkWanted(port="FREE"), NetworkWanted(port="FREE")), "BadRequest", "twice"),
        ((NetworkWanted(port="ADDRESSLESS"),), "BadRequest", "no address"),
        ((NetworkWanted(network="MINE"),) * 10, "QuotaExceeded", "quota"),
    ],
)
def test_builds_that_are_given_up_leave_nothing(wanted: tuple[NetworkWanted, ...], code: str, says: str) -> None:
    bench = RulesBench()
    names = {"THEIRS": bench.network("q"), "BARE": bench.network(cidr=""), "MINE": bench.network()}
    names["FULL"] = bench.network(cidr="")
    bench.subnet(names["FULL"], "10.7.0.0/29", pools=(("10.7.0.2", "10.7.0.2"),))
    bench.port(names["FULL"])
    names["FREE"] = bench.port(names["MINE"]).id
    names["USED"] = bench.port(names["MINE"]).id
    names["THEIR_PORT"] = bench.port(names["THEIRS"], "q").id
    names["ADDRESSLESS"] = bench.port(names["BARE"]).id
    granted(bench.build(a_build(NetworkWanted(port=names["USED"]), guest="other")))
    bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", ports=10)))
    before = dict(bench.holdings.ports)
    networks = tuple(
        replace(one, network=names.get(one.network, one.network), port=names.get(one.port, one.port)) for one in wanted
    )
    decision = bench.build(a_build(*networks))
    assert isinstance(decision, Impossible)
    assert (decision.deed, decision.fault.code) == (1, code)
    assert says in decision.fault.message
    assert bench.holdings.ports == before
    assert "g1" not in bench.holdings.bookings


def test_an_unprotected_network_gives_unprotected_ports() -> None:
    bench = RulesBench()
    key = bench.network(port_security=False)
    (wired,) = granted(bench.build(a_build(NetworkWanted(network=key)))).build.ports
    assert (wired.port_security, wired.security_groups) == (False, ())


# --- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "held"),
    [
        ([], True),
        ([("shows", "h1", 2)], True),
        ([("shows", "h1", 2), ("shows", "h1", 0)], False),
        ([("shows", "h1", 1), ("shows", "h1", 0)], True),
        ([("shows", "h1", 0)], True),
        ([("shows", "h2", 2), ("shows", "h2", 0)], True),
        ([("refuses", "h1", 2)], False),
        ([("refuses", "h1", 3)], False),
        ([("refuses", "h1", 1)], True),
        ([("refuses", "h2", 2)], True),
        ([("refuses", "h2", 99)], True),
        ([("shows", "h1", 2), ("refuses", "h1", 2), ("shows", "h1", 0)], False),
        ([("shows", "h1", 1), ("shows", "h1", 2), ("shows", "h1", 0)], False),
    ],
)
def test_what_ends_a_lease(steps: list[tuple[str, str, int]], held: bool) -> None:
    bench = RulesBench()
    key = bench.network()
    given = bench.port(key)
    granted(bench.build(a_build(NetworkWanted(network=key), NetworkWanted(port=given.id), deed=2)))
    for verb, host, deed in steps:
        getattr(bench, verb)(host, "g1", deed)
    assert ("g1" in bench.holdings.bookings) == held
    assert len(bench.holdings.ports) == (2 if held else 1)
    left = bench.holdings.ports[given.id]
    assert (left.device, left.device_owner, left.host, left.deed) == (
        ("g1", "compute:nova", "h1", 2) if held else ("", "", "", 0)
    )
    assert not list(contradictions(bench.holdings))


def test_a_late_build_cannot_bring_a_deleted_guest_back() -> None:
    bench = RulesBench()
    build = a_build(NetworkWanted(network=bench.network()))
    granted(bench.build(build))
    bench.shows("h1", "g1", 1)
    bench.refuses("h1", "g1", 1)
    bench.shows("h1", "g1", 0)
    assert bench.build(build) == Dropped(Standing.ENDED)
    assert not bench.holdings.ports


def test_what_was_said_is_forgotten_when_it_can_decide_nothing_more() -> None:
    bench = RulesBench()
    granted(bench.build(a_build(NetworkWanted(network=bench.network()))))
    bench.shows("h1", "g1", 1)
    bench.shows("h1", "elsewhere", 1)
    bench.refuses("h1", "g1", 1)
    bench.shows("h1", "g1", 0)
    assert [sight.guest for sight in bench.holdings.sights.values()] == ["g1"]
    bench.refuses("h1", "g1", 0)
    assert not bench.holdings.sights


@pytest.mark.parametrize("state", list(GuestState))
def test_ports_are_active_while_their_guest_runs(state: GuestState) -> None:
    bench = RulesBench()
    (wired,) = granted(bench.build(a_build(NetworkWanted(network=bench.network()), deed=2))).build.ports
    bench.shows("h1", "g1", 1, state)
    bench.shows("h2", "g1", 2, state)
    assert not bench.holdings.ports[wired.port].active
    bench.shows("h1", "g1", 2, state)
    assert bench.holdings.ports[wired.port].active is ACTIVE[state]
    bench.shows("h1", "g1", 2, GuestState.STOPPED)
    assert not bench.holdings.ports[wired.port].active


class LeaseMachine(RuleBasedStateMachine):
    """Builds, doubled and late, and hosts that say things in any order: no address twice, and nothing leaks."""

    guests = st.sampled_from(["g1", "g2", "g3"])
    deeds = st.integers(1, 4)

    def __init__(self) -> None:
        super().__init__()
        self.bench = RulesBench()
        self.network = self.bench.network(cidr="10.0.0.0/28")
        self.given = self.bench.port(self.network).id

    @rule(guest=guests, deed=deeds, with_given=st.booleans())
    def build(self, guest: str, deed: int, with_given: bool) -> None:
        wanted = [NetworkWanted(network=self.network)] * 2 + [NetworkWanted(port=self.given)] * with_given
        self.bench.build(a_build(*wanted, guest=guest, deed=deed, host=f"h{deed % 2}"))

    @rule(guest=guests, deed=deeds, state=st.sampled_from(list(GuestState)))
    def show(self, guest: str, deed: int, state: GuestState) -> None:
        self.bench.shows(f"h{deed % 2}", guest, deed, state)

    @rule(guest=guests, host=st.sampled_from(["h0", "h1"]))
    def show_no_more(self, guest: str, host: str) -> None:
        self.bench.shows(host, guest, 0)

    @rule(guest=guests, deed=deeds)
    def refuse(self, guest: str, deed: int) -> None:
        self.bench.refuses(f"h{deed % 2}", guest, deed)

    @invariant()
    def nothing_contradicts(self) -> None:
        serious = [what for what in contradictions(self.bench.holdings) if "has guest" not in what]
        assert not serious

    @invariant()
    def indexes_are_what_records_say(self) -> None:
        holdings = self.bench.holdings
        for port in holdings.ports.values():
            assert holdings.macs[port.mac] == port.id
        held = {(port.addresses[0].address, port.id) for port in holdings.ports.values()}
        (book,) = holdings.books.values()
        assert {
            (FixedAddress(subnet="", address=f"10.0.0.{n & 0xF}").address, p) for n, p in book.holders.items()
        } == held
        made = [port for port in holdings.ports.values() if port.made_for is not None]
        assert len(made) == 2 * len(holdings.bookings)

    def teardown(self) -> None:
        for guest in ("g1", "g2", "g3"):
            for host in ("h0", "h1"):
                self.bench.refuses(host, guest, 99)
        assert list(self.bench.holdings.ports) == [self.given]
        self.bench.ask(DeleteOf(kind="port", id=self.given))
        network = replace(self.bench.holdings.networks[self.network], name="last")
        self.bench.ask(SaveNetwork(network=network))
        self.bench.ask(DeleteOf(kind="network", id=self.network))


TestLeases = LeaseMachine.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
