"""Slots: conntrack zones and uplink addresses."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from freehold.drivers.fabric.uplinks import SLOTS, choose, pair, slot_of
from freehold.vocabulary.errors import Broken


def test_every_slot_has_two_link_local_addresses_of_its_own_and_never_the_metadata_address() -> None:
    seen: set[str] = set()
    for slot in range(1, SLOTS + 1):
        ends = pair(slot)
        assert int(IPv4Address(ends.machine)) % 2 == 0  # a /31 begins at an even address
        assert int(IPv4Address(ends.router)) == int(IPv4Address(ends.machine)) + 1
        assert slot_of(ends.machine) == slot_of(ends.router) == slot
        seen |= set(ends)
    assert len(seen) == 2 * SLOTS
    assert "169.254.169.254" not in seen
    assert all(IPv4Address(address) in IPv4Network("169.254.0.0/16") for address in (min(seen), max(seen)))


@pytest.mark.parametrize("address", ["169.254.0.1", "169.254.169.254", "192.0.2.1", "169.253.255.255"])
def test_other_addresses_belong_to_no_slot(address: str) -> None:
    assert slot_of(address) is None


def test_the_same_network_gets_the_same_slot_unless_it_is_taken() -> None:
    first = choose("host", "network", frozenset())
    assert choose("host", "network", frozenset()) == first
    second = choose("host", "network", {first})
    assert second not in (first, 0)
    assert choose("host", "network", set(range(1, SLOTS + 1)) - {first}) == first


def test_when_all_are_taken_it_says_so() -> None:
    with pytest.raises(Broken, match="slots"):
        choose("host", "network", range(1, SLOTS + 1))
