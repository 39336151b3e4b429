"""Security groups as Neutron's clients know them."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NotFound, QuotaExceeded
from freehold.vocabulary.network import (
    AddRules,
    DeleteOf,
    Direction,
    EnsureDefaultGroup,
    NetworkQuota,
    Rule,
    SaveNetworkQuota,
    SaveSecurityGroup,
    SecurityGroup,
)
from freehold.workers.network.groups import checked_rule
from tests.workers.network.rules_bench import RulesBench, an_id


def ingress(**fields: Any) -> Rule:
    return Rule(id="", direction=Direction.INGRESS, **fields)


def tcp(first: int, last: int, **fields: Any) -> Rule:
    return ingress(protocol="tcp", port_first=first, port_last=last, **fields)


def test_the_default_group_is_made_once_and_lets_its_members_talk() -> None:
    bench = RulesBench()
    key = bench.ask(EnsureDefaultGroup(project="p"))
    assert bench.ask(EnsureDefaultGroup(project="p")) == key
    assert bench.ask(EnsureDefaultGroup(project="q")) != key
    group = bench.holdings.groups[key]
    assert group.name == "default"
    assert {(rule.direction, rule.ethertype, rule.remote_group) for rule in group.rules} == {
        (Direction.EGRESS, "IPv4", None),
        (Direction.EGRESS, "IPv6", None),
        (Direction.INGRESS, "IPv4", key),
        (Direction.INGRESS, "IPv6", key),
    }


def test_the_default_group_stays_what_it_is() -> None:
    bench = RulesBench()
    key = bench.ask(EnsureDefaultGroup(project="p"))
    group = bench.holdings.groups[key]
    with pytest.raises(Conflict):
        bench.ask(DeleteOf(kind="security_group", id=key))
    with pytest.raises(Conflict):
        bench.ask(SaveSecurityGroup(group=replace(group, name="other")))
    with pytest.raises(Conflict):
        bench.group("default")
    other = bench.holdings.groups[bench.group("web")]
    with pytest.raises(Conflict):
        bench.ask(SaveSecurityGroup(group=replace(other, name="default")))
    bench.ask(AddRules(group=key, rules=(tcp(22, 22),)))
    assert len(bench.holdings.groups[key].rules) == 5


@pytest.mark.parametrize(
    ("rule", "protocol", "remote"),
    [
        (ingress(), None, None),
        (ingress(protocol="any"), None, None),
        (ingress(protocol="TCP"), "tcp", None),
        (ingress(protocol="6"), "tcp", None),
        (ingress(protocol="1", port_first=8, port_last=0), "icmp", None),
        (ingress(protocol="icmp", port_first=8), "icmp", None),
        (ingress(protocol="icmpv6", ethertype="IPv6"), "ipv6-icmp", None),
        (ingress(protocol="icmp", ethertype="IPv6"), "ipv6-icmp", None),
        (ingress(protocol="58", ethertype="IPv6"), "ipv6-icmp", None),
        (ingress(protocol="253"), "253", None),
        (ingress(protocol="vrrp"), "vrrp", None),
        (ingress(remote_cidr="10.1.2.3"), None, "10.1.2.3/32"),
        (ingress(remote_cidr="10.1.2.3/8"), None, "10.0.0.0/8"),
        (ingress(remote_cidr="2001:db8::/32", ethertype="IPv6"), None, "2001:db8::/32"),
    ],
)
def test_one_spelling_of_a_rule(rule: Rule, protocol: str | None, remote: str | None) -> None:
    made = checked_rule(rule)
    assert (made.protocol, made.remote_cidr) == (protocol, remote)


@pytest.mark.parametrize(
    "rule",
    [
        ingress(protocol="tpc"),
        ingress(protocol="256"),
        ingress(protocol="-1"),
        ingress(port_first=22, port_last=22),
        ingress(protocol="vrrp", port_first=22, port_last=22),
        tcp(23, 22),
        tcp(1, 65536),
        ingress(protocol="tcp", port_first=22),
        ingress(protocol="udp", port_last=22),
        ingress(protocol="icmp", port_last=0),
        ingress(protocol="icmp", port_first=256),
        ingress(protocol="icmp", port_first=8, port_last=256),
        ingress(ethertype="IPX"),
        ingress(remote_cidr="everywhere"),
        ingress(remote_cidr="2001:db8::/32"),
        ingress(remote_cidr="10.0.0.0/8", ethertype="IPv6"),
        ingress(remote_cidr="10.0.0.0/8", remote_group="g"),
        ingress(protocol="ipv6-icmp"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rule: Rule) -> None:
    with pytest.raises(BadRequest):
        checked_rule(rule)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tcp(22, 22), tcp(22, 22)),
        (tcp(22, 22), ingress(protocol="6", port_first=22, port_last=22, description="another")),
        (ingress(protocol="tcp"), tcp(1, 65535)),
        (ingress(), ingress(remote_cidr="0.0.0.0/0")),
        (ingress(remote_cidr="10.0.0.1"), ingress(remote_cidr="10.0.0.1/32")),
    ],
)
def test_a_rule_is_there_once(one: Rule, other: Rule) -> None:
    bench = RulesBench()
    key = bench.group(rules=(one,))
    with pytest.raises(Conflict, match="already exists"):
        bench.ask(AddRules(group=key, rules=(other,)))
    with pytest.raises(Conflict, match="already exists"):
        bench.group("both", rules=(one, other))


def test_rules_added_at_the_same_time_are_all_there() -> None:
    bench = RulesBench()
    key = bench.group()
    rules = [tcp(port, port) for port in range(1, 11)]
    keys = [bench.ask(AddRules(group=key, rules=(rule,))) for rule in rules]
    assert [rule.id for rule in bench.holdings.groups[key].rules] == keys
    bench.ask(DeleteOf(kind="security_group_rule", id=keys[3]))
    assert [rule.id for rule in bench.holdings.groups[key].rules] == keys[:3] + keys[4:]
    with pytest.raises(NotFound):
        bench.ask(DeleteOf(kind="security_group_rule", id=keys[3]))


def test_a_question_that_the_bus_doubled_changes_nothing() -> None:
    bench = RulesBench()
    group = SecurityGroup(id=an_id(5), name="web", project="p")
    assert bench.ask(SaveSecurityGroup(group=group, new=True)) == group.id
    before = bench.holdings.groups[group.id]
    assert bench.ask(SaveSecurityGroup(group=group, new=True)) == group.id
    assert bench.holdings.groups[group.id] == before
    rule = replace(tcp(22, 22), id=an_id(6))
    assert bench.ask(AddRules(group=group.id, rules=(rule,))) == rule.id
    assert bench.ask(AddRules(group=group.id, rules=(rule,))) == rule.id
    assert len(bench.holdings.groups[group.id].rules) == 1


def test_replacing_rules_that_somebody_changed_meanwhile_is_refused() -> None:
    bench = RulesBench()
    key = bench.group()
    stale = bench.holdings.groups[key]
    bench.ask(AddRules(group=key, rules=(tcp(22, 22),)))
    with pytest.raises(Conflict, match="meanwhile"):
        bench.ask(SaveSecurityGroup(group=replace(stale, rules=(tcp(80, 80),))))
    current = bench.holdings.groups[key]
    bench.ask(SaveSecurityGroup(group=replace(current, name="www", rules=(*current.rules, tcp(80, 80)))))
    after = bench.holdings.groups[key]
    assert (after.name, len(after.rules), after.rules[0]) == ("www", 2, current.rules[0])


def test_a_remote_group_must_be_the_projects_own() -> None:
    bench = RulesBench()
    mine, theirs = bench.group(), bench.group("theirs", "q")
    for remote in (theirs, an_id(9)):
        with pytest.raises(NotFound):
            bench.ask(AddRules(group=mine, rules=(ingress(remote_group=remote),)))
    bench.ask(AddRules(group=mine, rules=(ingress(remote_group=mine),)))


def test_deleting_a_group_takes_the_rules_that_name_it_along() -> None:
    bench = RulesBench()
    web, database = bench.group("web"), bench.group("db")
    bench.ask(AddRules(group=database, rules=(ingress(remote_group=web), tcp(22, 22))))
    bench.ask(DeleteOf(kind="security_group", id=web))
    assert [rule.port_first for rule in bench.holdings.groups[database].rules] == [22]


def test_a_group_in_use_stays() -> None:
    bench = RulesBench()
    group = bench.group()
    port = bench.port(bench.network(), security_groups=(group,))
    with pytest.raises(Conflict, match=port.id):
        bench.ask(DeleteOf(kind="security_group", id=group))
    bench.ask(DeleteOf(kind="port", id=port.id))
    bench.ask(DeleteOf(kind="security_group", id=group))
    with pytest.raises(NotFound):
        bench.ask(DeleteOf(kind="security_group", id=group))


@pytest.mark.parametrize("limits", [{"security_groups": 1}, {"security_group_rules": 1}])
def test_quotas_hold(limits: dict[str, int]) -> None:
    bench = RulesBench()
    bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", **limits)))
    first = bench.group(rules=(tcp(22, 22),))

    def one_more() -> None:
        bench.group("more")
        bench.ask(AddRules(group=first, rules=(tcp(80, 80),)))

    with pytest.raises(QuotaExceeded):
        one_more()
    assert bench.ask(EnsureDefaultGroup(project="p"))
    bench.group("free", "q")


def test_an_unknown_group_is_not_found() -> None:
    bench = RulesBench()
    questions = (
        AddRules(group=an_id(1), rules=(tcp(1, 1),)),
        SaveSecurityGroup(group=SecurityGroup(id=an_id(1), name="x", project="p")),
    )
    for question in questions:
        with pytest.raises(FreeholdError) as caught:
            bench.ask(question)
        assert isinstance(caught.value, NotFound)
