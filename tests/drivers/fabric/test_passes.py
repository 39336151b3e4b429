"""Security group rules as nftables matches."""

import msgspec
import pytest

from freehold.drivers.fabric.passes import matches, protocol_number
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.network import Direction, Rule

GROUP = "11111111-2222-4333-8444-555555555555"


def one(words: dict[str, object], direction: Direction = Direction.INGRESS) -> list[str]:
    rule = msgspec.structs.replace(Rule(id="r", direction=direction), **words)
    return list(matches((rule,), direction))


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({}, ""),
        ({"protocol": "any"}, ""),
        ({"remote_cidr": "0.0.0.0/0"}, ""),
        ({"protocol": "tcp", "port_first": 22, "port_last": 22}, " meta l4proto 6 th dport 22"),
        ({"protocol": "udp", "port_first": 1, "port_last": 65535}, " meta l4proto 17 th dport 1-65535"),
        ({"protocol": "17", "port_first": 53}, " meta l4proto 17 th dport 53"),
        ({"protocol": "tcp"}, " meta l4proto 6"),
        ({"protocol": "icmp", "port_first": 8, "port_last": 0}, " meta l4proto 1 icmp type 8 icmp code 0"),
        ({"protocol": "icmp", "port_first": 8}, " meta l4proto 1 icmp type 8"),
        ({"protocol": "gre"}, " meta l4proto 47"),
        ({"remote_cidr": "10.1.0.0/16"}, " ip saddr 10.1.0.0/16"),
        ({"remote_cidr": "10.1.2.3/16"}, " ip saddr 10.1.0.0/16"),
    ],
)
def test_what_a_rule_matches(words: dict[str, object], match: str) -> None:
    assert one(words) == [f"meta nfproto ipv4{match}"]


def test_the_remote_of_an_egress_rule_is_the_destination() -> None:
    assert one({"remote_cidr": "10.1.0.0/16"}, Direction.EGRESS) == ["meta nfproto ipv4 ip daddr 10.1.0.0/16"]


def test_a_remote_group_is_the_set_of_its_members() -> None:
    found = one({"remote_group": GROUP})
    assert found == ["meta nfproto ipv4 ip saddr @g_11111111222243338444555555555555"]


@pytest.mark.parametrize("words", [{"ethertype": "IPv6"}, {"remote_cidr": "fd00::/8"}])
def test_a_rule_that_means_nobody_here_matches_nothing(words: dict[str, object]) -> None:
    assert one(words) == []


def test_a_rule_of_the_other_direction_is_left_out() -> None:
    rule = Rule(id="r", direction=Direction.EGRESS)
    assert list(matches((rule,), Direction.INGRESS)) == []


@pytest.mark.parametrize(
    "words",
    [
        {"protocol": "tcp; flush ruleset"},
        {"protocol": "256"},
        {"protocol": "²"},
        {"protocol": "tcp", "port_first": 5, "port_last": 4},
        {"protocol": "tcp", "port_first": 5, "port_last": 65536},
        {"protocol": "icmp", "port_first": 256},
        {"remote_group": "g; flush ruleset"},
    ],
)
def test_a_rule_that_can_not_be_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        one(words)


def test_protocols_have_names_and_numbers() -> None:
    assert [protocol_number(name) for name in ("tcp", "6", "vrrp", "255")] == [6, 6, 112, 255]
