"""The nftables text of one host, as the kernel takes it."""

import uuid

import pytest

from freehold.drivers.fabric import names
from freehold.drivers.fabric.interface import Filter
from freehold.drivers.fabric.records import NetworkRecord, PortRecord
from freehold.drivers.fabric.ruleset import Ruleset
from freehold.vocabulary.network import Direction, PortWiring, Rule

HOST, NETWORK, PORT = (str(uuid.UUID(int=number << 96 | number)) for number in (1, 2, 3))
TAP = names.tap(PORT)


def port(*, port_security: bool = True, rules: tuple[Rule, ...] = ()) -> PortRecord:
    wiring = PortWiring(
        port=PORT, network=NETWORK, network_name="net", segment=1, mtu=1450, mac="fa:16:3e:00:00:05",
        addresses=("10.0.0.5",), cidr="10.0.0.0/24", gateway="10.0.0.1", port_security=port_security,
    )  # fmt: skip
    return PortRecord(wiring=wiring, hostname="web", mark=4, filter=Filter(port=PORT, rules=rules))


def network(*, reachable: bool = False) -> NetworkRecord:
    return NetworkRecord(id=NETWORK, slot=7, mtu=1450, reachable=reachable, ranges=())


@pytest.fixture
def ruleset() -> Ruleset:
    return Ruleset(HOST, outbound=True)


def rules_of(text: str, chain: str) -> list[str]:
    """What stands in a chain when the text has run."""
    rules: list[str] = []
    for line in text.splitlines():
        words = line.split(maxsplit=5)
        if words[:2] in (["flush", "chain"], ["delete", "chain"]) and words[4] == chain:
            rules = []
        elif words[:2] == ["add", "rule"] and words[4] == chain:
            rules.append(words[5])
    return rules


def test_who_is_in_a_group_takes_the_place_of_whoever_was(ruleset: Ruleset) -> None:
    """Whatever an earlier transaction did that nobody heard the end of."""
    group = str(uuid.UUID(int=5))
    text = ruleset.members(group, ("10.0.0.2", "10.0.0.3"))
    told = [line.split("{")[0].split()[:2] for line in text.splitlines()]
    assert told == [["add", "set"], ["flush", "set"], ["add", "element"]]
    assert text.splitlines()[-1].endswith("{ 10.0.0.2, 10.0.0.3 }")
    assert [line.split()[0] for line in ruleset.members(group, ()).splitlines()] == ["add", "flush"]


def test_a_guest_is_held_to_its_mac_and_addresses(ruleset: Ruleset) -> None:
    rules = rules_of(ruleset.port(port()), TAP)
    assert rules[0].startswith("ether saddr != fa:16:3e:00:00:05 counter drop")
    assert any(rule.startswith("ip saddr != { 10.0.0.5 } counter drop") for rule in rules)
    assert any(rule.startswith("arp saddr ip != { 10.0.0.5, 0.0.0.0 } counter drop") for rule in rules)
    assert rules[-1] == "meta mark set 4"


def test_a_filter_ends_with_drop_in_both_directions(ruleset: Ruleset) -> None:
    tcp = Rule(id="r", direction=Direction.INGRESS, protocol="tcp")
    text = ruleset.port(port(rules=(tcp,)))
    assert rules_of(text, f"in_{TAP}") == ["meta nfproto ipv4 meta l4proto 6 accept", "counter drop"]
    assert rules_of(text, f"out_{TAP}") == ["counter drop"]


def test_a_filter_replaces_only_the_ports_own_chains(ruleset: Ruleset) -> None:
    changed = {line.split()[4] for line in ruleset.filter(port()).splitlines()}
    assert changed == {f"in_{TAP}", f"out_{TAP}"}


def test_without_port_security_nothing_is_filtered(ruleset: Ruleset) -> None:
    text = ruleset.port(port(port_security=False))
    assert ruleset.filter(port(port_security=False)) == ""
    assert not rules_of(text, f"in_{TAP}")
    assert [rule for rule in rules_of(text, TAP) if "drop" in rule and "169.254.169.254" not in rule] == []


def test_what_is_taken_in_is_taken_out_again(ruleset: Ruleset) -> None:
    def elements(text: str) -> set[str]:
        left: set[str] = set()
        for line in text.splitlines():
            verb, what, element = line.split(maxsplit=2)
            if what == "element":
                left = left | {element} if verb == "add" else left - {element}
        return left

    assert elements(ruleset.port(port()))
    assert elements(ruleset.port(port()) + ruleset.port_gone(port())) == set()
    assert elements(ruleset.network(network(reachable=True)))
    assert elements(ruleset.network(network(reachable=True)) + ruleset.network_gone(network(reachable=True))) == set()


def test_only_a_reachable_network_is_reachable(ruleset: Ruleset) -> None:
    assert " reachable " in ruleset.network(network(reachable=True))
    assert " reachable " not in ruleset.network(network())


def test_without_outbound_nothing_is_translated() -> None:
    assert "masquerade" in Ruleset(HOST, outbound=True).base()
    assert "masquerade" not in Ruleset(HOST, outbound=False).base()
