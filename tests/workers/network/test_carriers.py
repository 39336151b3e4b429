"""Where hosts are on the underlay, from their records to what others are told."""

import pytest

from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Carriage, Carrier
from freehold.workers.network.carriers import hear_host
from freehold.workers.network.draft import Draft
from freehold.workers.network.holdings import Change
from tests.owners import a_host
from tests.workers.network.rules_bench import RulesBench


def at(address: str, incarnation: str = "first") -> Host:
    return a_host("h1", carriage=Carriage(underlay=address, overlay_mtu=1450), incarnation=incarnation)


def heard(bench: RulesBench, host: Host | None) -> list[Change]:
    """What hearing it changes."""
    changes: list[Change] = []

    def hear(draft: Draft) -> None:
        hear_host(draft, "h1", host)
        changes.extend(draft.changes)

    bench.decide(hear)
    return changes


def test_what_a_host_says_of_itself_is_told_when_it_changes() -> None:
    bench = RulesBench()
    assert heard(bench, at("192.0.2.1")) == [Carrier(host="h1", address="192.0.2.1", incarnation="first")]
    assert heard(bench, at("192.0.2.1")) == [], "what is known isn't told again with every claim"
    heard(bench, at("192.0.2.9"))
    assert bench.holdings.carriers["h1"].address == "192.0.2.9"
    heard(bench, at("192.0.2.9", "second"))
    assert bench.holdings.carriers["h1"] == Carrier(host="h1", address="192.0.2.9", incarnation="second")
    heard(bench, at("", "second"))
    assert bench.holdings.carriers["h1"] == Carrier(host="h1", incarnation="second"), "it is nowhere, and was heard"
    heard(bench, None)
    assert "h1" not in bench.holdings.carriers
    assert heard(bench, None) == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "name", "192.0.2.1 }; accept", "010.0.0.1"],
)
def test_an_address_that_can_not_be_is_left_aside(address: str) -> None:
    bench = RulesBench()
    heard(bench, at("192.0.2.1"))
    with pytest.raises(ValueError, match="underlay"):
        heard(bench, at(address))
    assert bench.holdings.carriers["h1"].address == "192.0.2.1"
