"""Ranges, and what allocation promises: no address twice, none outside the pools, what is given back comes again."""

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError
from freehold.vocabulary.network import Subnet
from freehold.workers.network.addressing import AddressBook, checked


def subnet(cidr: str = "10.0.0.0/29", **fields: Any) -> Subnet:
    defaults: dict[str, Any] = {"gateway": "", "pools": ()}
    return Subnet(id="s", name="", project="p", network="n", cidr=cidr, **{**defaults, **fields})


def number(text: str) -> int:
    return int(IPv4Address(text))


@pytest.mark.parametrize(
    ("given_subnet", "gateway", "pools"),
    [
        (subnet("10.0.0.0/24"), "10.0.0.1", (("10.0.0.2", "10.0.0.254"),)),
        (subnet("10.0.0.77/24"), "10.0.0.1", (("10.0.0.2", "10.0.0.254"),)),
        (subnet("10.0.0.0/24", gateway=None), None, (("10.0.0.1", "10.0.0.254"),)),
        (subnet("10.0.0.0/24", gateway="10.0.0.254"), "10.0.0.254", (("10.0.0.1", "10.0.0.253"),)),
        (
            subnet("10.0.0.0/29", gateway="10.0.0.3"),
            "10.0.0.3",
            (("10.0.0.1", "10.0.0.2"), ("10.0.0.4", "10.0.0.6")),
        ),
        (
            subnet("10.0.0.0/24", pools=(("10.0.0.50", "10.0.0.60"), ("10.0.0.10", "10.0.0.20"))),
            "10.0.0.1",
            (("10.0.0.10", "10.0.0.20"), ("10.0.0.50", "10.0.0.60")),
        ),
        (subnet("10.0.0.0/8"), "10.0.0.1", (("10.0.0.2", "10.255.255.254"),)),
    ],
)
def test_what_a_subnet_becomes(given_subnet: Subnet, gateway: str | None, pools: object) -> None:
    made = checked(given_subnet)
    assert (made.gateway, made.pools) == (gateway, pools)


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (subnet("2001:db8::/64"), BadRequest, "IPv6"),
        (subnet("ten"), BadRequest, "CIDR"),
        (subnet("10.0.0.0/30"), BadRequest, "/8 to /29"),
        (subnet("8.0.0.0/7"), BadRequest, "/8 to /29"),
        (subnet("169.254.169.0/24"), BadRequest, "169.254.0.0/16"),
        (subnet("127.0.0.0/8"), BadRequest, "127.0.0.0/8"),
        (subnet(gateway="10.0.0.0"), BadRequest, "gateway"),
        (subnet(gateway="10.0.0.7"), BadRequest, "gateway"),
        (subnet(gateway="10.0.1.1"), BadRequest, "gateway"),
        (subnet(gateway="fe80::1"), BadRequest, "IPv6"),
        (subnet(pools=(("10.0.0.2", "10.0.0.7"),)), BadRequest, "not within"),
        (subnet(pools=(("10.0.0.5", "10.0.0.2"),)), BadRequest, "ends before"),
        (subnet(pools=(("10.0.0.1", "10.0.0.2"),)), Conflict, "gateway"),
        (subnet(pools=(("10.0.0.2", "10.0.0.4"), ("10.0.0.4", "10.0.0.5"))), Conflict, "overlap"),
        (subnet(dns=("1.1.1.1",) * 6), BadRequest, "at most 5"),
        (subnet(dns=("resolver",)), BadRequest, "not an IP"),
        (subnet(routes=(("0.0.0.0/33", "10.0.0.1"),)), BadRequest, "CIDR"),
    ],
)
def test_what_a_subnet_cannot_be(bad: Subnet, error: type[FreeholdError], says: str) -> None:
    with pytest.raises(error, match=says):
        checked(bad)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("10.0.0.0", BadRequest),
        ("10.0.0.7", BadRequest),
        ("10.0.1.2", BadRequest),
        ("nine", BadRequest),
        ("10.0.0.1", Conflict),
        ("10.0.0.3", Conflict),
        ("10.0.0.4", Conflict),
    ],
)
def test_addresses_that_cannot_be_asked_for(address: str, error: type[FreeholdError]) -> None:
    book = AddressBook(checked(subnet()))
    book.take("10.0.0.3", "a")
    with pytest.raises(error):
        book.check_given(address, {number("10.0.0.4")})


def test_an_address_outside_the_pools_may_be_asked_for_and_is_never_handed_out() -> None:
    book = AddressBook(checked(subnet(pools=(("10.0.0.2", "10.0.0.2"),))))
    assert book.check_given("10.0.0.5") == number("10.0.0.5")
    book.take("10.0.0.5", "a")
    book.give_back("10.0.0.5", "a")
    book.take("10.0.0.2", "b")
    assert book.next_free() is None


def test_an_address_given_back_rests_until_the_fresh_ones_are_used() -> None:
    book = AddressBook(checked(subnet("10.0.0.0/28")))
    for last in (2, 3, 4):
        assert book.next_free() == number(f"10.0.0.{last}")
        book.take(f"10.0.0.{last}", "p")
    book.give_back("10.0.0.3", "p")
    book.give_back("10.0.0.2", "p")
    later = []
    while (free := book.next_free()) is not None:
        later.append(free & 0xF)
        book.take(str(IPv4Address(free)), "q")
    assert later == [*range(5, 15), 3, 2]


def test_an_address_asked_for_out_of_turn_rests_anew() -> None:
    book = AddressBook(checked(subnet("10.0.0.0/29")))
    for last in range(2, 7):
        assert book.next_free() == number(f"10.0.0.{last}")
        book.take(f"10.0.0.{last}", "p")
    assert book.next_free() is None
    book.give_back("10.0.0.2", "p")
    book.give_back("10.0.0.3", "p")
    book.take("10.0.0.2", "q")
    book.give_back("10.0.0.2", "q")
    assert book.next_free() == number("10.0.0.3")


def test_only_the_holder_gives_back() -> None:
    book = AddressBook(checked(subnet()))
    book.take("10.0.0.2", "a")
    book.take("10.0.0.2", "b")
    book.give_back("10.0.0.2", "b")
    assert book.holders == {number("10.0.0.2"): "a"}


def test_a_16_fills_in_steps_that_do_not_grow() -> None:
    book = AddressBook(checked(subnet("10.0.0.0/16")))
    count = 0
    while (free := book.next_free()) is not None:
        book.take(str(IPv4Address(free)), "p")
        count += 1
    assert count == 2**16 - 3
    for _ in range(20_000):
        book.give_back("10.0.9.9", "p")
        assert book.next_free() == number("10.0.9.9")
        book.take("10.0.9.9", "p")


class AllocationMachine(RuleBasedStateMachine):
    """Any mixture of taking, asking for and giving back, and restarts in between."""

    SUBNET = checked(subnet("10.0.0.0/28", pools=(("10.0.0.3", "10.0.0.6"), ("10.0.0.9", "10.0.0.12"))))
    POOL = frozenset((*range(3, 7), *range(9, 13)))

    def __init__(self) -> None:
        super().__init__()
        self.book = AddressBook(self.SUBNET)
        self.held: dict[int, str] = {}
        self.ports = 0

    def _hold(self, last: int) -> None:
        self.ports += 1
        self.held[last] = f"port-{self.ports}"
        self.book.take(f"10.0.0.{last}", self.held[last])

    @rule()
    def allocate(self) -> None:
        free = self.book.next_free()
        left = self.POOL - set(self.held)
        if free is None:
            assert not left
        else:
            assert free & 0xF in left
            self._hold(free & 0xF)

    @rule()
    def allocate_two_in_one_decision(self) -> None:
        first = self.book.next_free()
        second = None if first is None else self.book.next_free({first})
        assert (second is None) == (len(self.POOL - set(self.held)) < 2)
        assert second is None or second & 0xF in self.POOL - set(self.held) - {(first or 0) & 0xF}

    @rule(last=st.integers(0, 15))
    def ask_for(self, last: int) -> None:
        try:
            self.book.check_given(f"10.0.0.{last}")
        except FreeholdError:
            assert last in self.held or last in (0, 1, 15)
        else:
            assert last not in self.held and last not in (0, 1, 15)
            self._hold(last)

    @rule(choice=st.randoms(use_true_random=False))
    def give_back(self, choice: Any) -> None:
        if self.held:
            last = choice.choice(sorted(self.held))
            self.book.give_back(f"10.0.0.{last}", self.held.pop(last))

    @rule()
    def start_again(self) -> None:
        self.book = AddressBook(self.SUBNET)
        for last, port in self.held.items():
            self.book.take(f"10.0.0.{last}", port)

    @invariant()
    def knows_the_holders(self) -> None:
        assert {address & 0xF: port for address, port in self.book.holders.items()} == self.held


TestAllocation = AllocationMachine.TestCase
TestAllocation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.integers(8, 29), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_default_pools_hold_all_but_network_broadcast_and_gateway(bits: int, base: int) -> None:
    try:
        made = checked(subnet(f"{IPv4Address(base)}/{bits}"))
    except BadRequest:
        return
    held = sum(number(last) - number(first) + 1 for first, last in made.pools)
    assert held == 2 ** (32 - bits) - 3
