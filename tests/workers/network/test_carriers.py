"""Where hosts are on the underlay, from their records to what others are told."""

import pytest

from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Carriage, Carrier
from freehold.workers.network.carriers import hear_host
from freehold.workers.network.holdings import Change, Gone, name_of
from tests.owners import a_host
from tests.workers.network.rules_bench import RulesBench


def at(address: str) -> Host:
    return a_host("h1", carriage=Carriage(underlay=address, overlay_mtu=1450))


def name(change: Change) -> str:
    return change.kind if isinstance(change, Gone) else name_of(change).kind


def heard(bench: RulesBench, host: Host | None) -> list[object]:
    """What hearing it changes of where it is."""
    changes: list[object] = []

    def hear(draft) -> None:  # type: ignore[no-untyped-def]
        hear_host(draft, "h1", host)
        changes.extend(change for change in draft.changes if name(change) != "incarnation")

    bench.decide(hear)
    return changes


def test_a_host_is_told_of_where_it_says_it_is_and_no_more_when_it_says_nothing() -> None:
    bench = RulesBench()
    assert heard(bench, at("192.0.2.1")) == [Carrier(host="h1", address="192.0.2.1")]
    assert heard(bench, at("192.0.2.1")) == [], "what is known isn't told again with every claim"
    heard(bench, at("192.0.2.9"))
    assert bench.holdings.carriers == {"h1": Carrier(host="h1", address="192.0.2.9")}
    heard(bench, at(""))
    assert bench.holdings.carriers == {}
    assert heard(bench, None) == []
    heard(bench, at("192.0.2.1"))
    heard(bench, None)
    assert bench.holdings.carriers == {}


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
