"""The nftables text of a network's router."""

from freehold.drivers.fabric.records import NetworkRecord
from freehold.drivers.fabric.router import router_rules


def rules(*, reachable: bool) -> str:
    return router_rules(NetworkRecord(id="n", slot=7, mtu=1450, reachable=reachable, ranges=()))


def test_a_network_that_is_not_reachable_is_translated_and_nobody_comes_in() -> None:
    text = rules(reachable=False)
    assert "oifname uplink masquerade" in text
    assert "iifname uplink oifname guests accept" not in text


def test_a_reachable_network_keeps_its_addresses() -> None:
    text = rules(reachable=True)
    assert "masquerade" not in text
    assert "iifname uplink oifname guests accept" in text


def test_link_local_addresses_are_refused_before_anything_is_forwarded() -> None:
    lines = [line for line in rules(reachable=True).splitlines() if " forward " in line]
    assert lines.index("add rule inet freehold forward ip daddr 169.254.0.0/16 drop") < lines.index(
        "add rule inet freehold forward iifname guests accept"
    )


def test_on_a_physical_network_nothing_is_forwarded() -> None:
    text = router_rules(NetworkRecord(id="n", slot=7, mtu=1500, reachable=False, ranges=(), physical="public"))
    assert "add rule inet freehold forward" not in text
    assert "policy drop" in next(line for line in text.splitlines() if "chain inet freehold forward" in line)
