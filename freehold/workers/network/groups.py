"""Rules of security groups."""

from ipaddress import ip_network
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.network import Direction, Rule, SecurityGroup
from freehold.workers.network.draft import Draft

DEFAULT: Final = "default"

PROTOCOLS: Final = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6-encap": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ospf": 89,
    "vrrp": 112,
    "pgm": 113,
    "sctp": 132,
    "udplite": 136,
}
"""Neutron's names of IP protocols."""

_WITH_PORTS: Final = (6, 17)
_ICMP: Final = (1, 58)
_SPOKEN: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
"""Numbers that hosts look at by name, so that there is one spelling of each."""

_ANYWHERE: Final = (None, "0.0.0.0/0", "::/0")


def ensure_default(draft: Draft, project: str) -> str:
    """The id of the project's group ``default``, made unless it is there.

    No quota stops it: no port could be made without it.
    """
    known = draft.default_group(project)
    if known is not None:
        return known
    key = draft.new_id()
    shapes = (
        (Direction.EGRESS, "IPv4", None),
        (Direction.EGRESS, "IPv6", None),
        (Direction.INGRESS, "IPv4", key),
        (Direction.INGRESS, "IPv6", key),
    )
    rules = tuple(
        Rule(id=draft.new_id(), direction=direction, ethertype=ethertype, remote_group=remote, created=draft.now)
        for direction, ethertype, remote in shapes
    )
    draft.put(
        SecurityGroup(
            id=key,
            name=DEFAULT,
            project=project,
            rules=rules,
            description="Default security group",
            created=draft.now,
            updated=draft.now,
        )
    )
    return key


def save_group(draft: Draft, group: SecurityGroup, new: bool) -> str:
    """Makes or changes a group with its rules. BadRequest, NotFound, Conflict, QuotaExceeded. Gives its id."""
    return _make_group(draft, group) if new else _change_group(draft, group)


def _make_group(draft: Draft, group: SecurityGroup) -> str:
    key = draft.new_id(group.id)
    known = draft.holdings.groups.get(key)
    if known is not None:
        if known.project != group.project:
            raise Conflict(f"The id {key} is in use.")
        return key
    if group.name == DEFAULT:
        raise Conflict("A project has one security group named 'default', and it is made by itself.")
    draft.within_quota("security_group", group.project)
    draft.within_quota("security_group_rule", group.project, len(group.rules))
    made = replace(group, id=key, rules=(), created=draft.now, updated=draft.now, revision=1)
    draft.put(replace(made, rules=_checked_rules(draft, made, group.rules)))
    return key


def _change_group(draft: Draft, group: SecurityGroup) -> str:
    before = draft.holdings.group(group.id)
    if (group.name == DEFAULT) != (before.name == DEFAULT):
        raise Conflict("The security group 'default' can't be renamed, nor another be given its name.")
    if group.rules != before.rules and group.revision != before.revision:
        raise Conflict(f"The rules of security group {group.id} were changed meanwhile: read it again.")
    kept = {rule.id: rule for rule in before.rules}
    fresh = tuple(rule for rule in group.rules if kept.get(rule.id) != rule)
    draft.within_quota("security_group_rule", before.project, len(group.rules) - len(before.rules))
    staying = replace(before, rules=tuple(rule for rule in group.rules if kept.get(rule.id) == rule))
    rules = {rule.id: rule for rule in (*staying.rules, *_checked_rules(draft, staying, fresh))}
    draft.put(
        replace(
            group,
            project=before.project,
            rules=tuple(rules.values()),
            created=before.created,
            updated=draft.now,
            revision=before.revision + 1,
        )
    )
    return group.id


def add_rules(draft: Draft, key: str, rules: tuple[Rule, ...]) -> str:
    """Adds rules to a group, all or none.

    BadRequest, NotFound, Conflict (there already), QuotaExceeded. Gives the id of the last.
    """
    group = draft.holdings.group(key)
    home = {rule.id: draft.holdings.rule_homes.get(rule.id) for rule in rules if rule.id}
    if rules and len(home) == len(rules) and set(home.values()) == {key}:
        return rules[-1].id
    draft.within_quota("security_group_rule", group.project, len(rules))
    added = _checked_rules(draft, group, rules)
    draft.put(replace(group, rules=(*group.rules, *added), updated=draft.now, revision=group.revision + 1))
    return added[-1].id if added else key


def delete_rule(draft: Draft, key: str) -> None:
    """Deletes a rule from its group."""
    home = draft.holdings.rule_homes.get(key)
    if home is None:
        raise NotFound(f"There is no security group rule {key}.")
    group = draft.holdings.group(home)
    kept = tuple(rule for rule in group.rules if rule.id != key)
    draft.put(replace(group, rules=kept, updated=draft.now, revision=group.revision + 1))


def delete_group(draft: Draft, key: str) -> None:
    """Deletes a group and the rules of others that name it. Conflict while a port has it, and for ``default``."""
    holdings = draft.holdings
    group = holdings.group(key)
    if group.name == DEFAULT:
        raise Conflict("The security group 'default' can't be deleted.")
    ports = holdings.ports_in(key)
    if ports:
        raise Conflict(
            f"The security group {key} can't be deleted: {len(ports)} ports use it, for example {min(ports)}."
        )
    for other in holdings.groups_naming(key):
        if other.id != key:
            kept = tuple(rule for rule in other.rules if rule.remote_group != key)
            draft.put(replace(other, rules=kept, updated=draft.now, revision=other.revision + 1))
    draft.drop("security_group", key)


def _checked_rules(draft: Draft, group: SecurityGroup, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """`rules` in canonical form with ids and times, none of them like another of the group's."""
    known = {_meaning(rule): rule.id for rule in group.rules}
    made: list[Rule] = []
    for rule in rules:
        fit = replace(checked_rule(rule), id=draft.new_id(rule.id), created=draft.now)
        home = draft.holdings.rule_homes.get(fit.id)
        if home not in (None, group.id) or any(fit.id == other.id for other in (*group.rules, *made)):
            raise Conflict(f"The id {fit.id} is in use.")
        _check_remote(draft, group, fit)
        meaning = _meaning(fit)
        if meaning in known:
            raise Conflict(f"Security group rule already exists. Rule id is {known[meaning]}.")
        known[meaning] = fit.id
        made.append(fit)
    return tuple(made)


def _check_remote(draft: Draft, group: SecurityGroup, rule: Rule) -> None:
    if rule.remote_group in (None, group.id):
        return
    assert rule.remote_group is not None
    if draft.holdings.group(rule.remote_group).project != group.project:
        raise NotFound(f"There is no security group {rule.remote_group}.")


def checked_rule(rule: Rule) -> Rule:
    """`rule` with its protocol and range spelled the one way. BadRequest says what doesn't fit together."""
    if rule.ethertype not in ("IPv4", "IPv6"):
        raise BadRequest(f"The ethertype '{rule.ethertype}' is neither IPv4 nor IPv6.")
    if rule.remote_cidr is not None and rule.remote_group is not None:
        raise BadRequest("A rule names a remote range or a remote group, not both.")
    protocol = _spelled(rule)
    _check_ports(rule, protocol)
    return replace(rule, protocol=protocol, remote_cidr=_checked_remote_range(rule))


def _spelled(rule: Rule) -> str | None:
    if rule.protocol is None or rule.protocol.lower() in ("any", ""):
        return None
    text = rule.protocol.lower()
    if text == "icmpv6" or (rule.ethertype == "IPv6" and text == "icmp"):
        text = "ipv6-icmp"
    if text in PROTOCOLS:
        spelled = text
    elif text.isascii() and text.isdigit() and int(text) <= 255:
        spelled = _SPOKEN.get(int(text), str(int(text)))
    else:
        raise BadRequest(
            f"The protocol '{rule.protocol}' is neither a number up to 255 nor one of {', '.join(PROTOCOLS)}."
        )
    if rule.ethertype == "IPv4" and spelled.startswith("ipv6-"):
        raise BadRequest(f"The protocol {spelled} belongs to IPv6, the rule is for IPv4.")
    return spelled


def protocol_number(protocol: str | None) -> int | None:
    """The number of a protocol in canonical spelling; None for any."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def _check_ports(rule: Rule, protocol: str | None) -> None:
    first, last = rule.port_first, rule.port_last
    if first is None and last is None:
        return
    number = protocol_number(protocol)
    if number in _ICMP:
        _check_icmp(first, last)
    elif number not in _WITH_PORTS:
        raise BadRequest("Ports can be given for the protocols tcp, udp and icmp only.")
    elif first is None or last is None or not 0 <= first <= last <= 65535:
        raise BadRequest(f"The port range {first} to {last} is not two ports in order, 0 to 65535.")


def _check_icmp(kind: int | None, code: int | None) -> None:
    if kind is None:
        raise BadRequest("An ICMP code needs an ICMP type before it.")
    if not 0 <= kind <= 255 or not 0 <= (code or 0) <= 255:
        raise BadRequest(f"The ICMP type {kind} and code {code} are not between 0 and 255.")


def _checked_remote_range(rule: Rule) -> str | None:
    if rule.remote_cidr is None:
        return None
    try:
        network = ip_network(rule.remote_cidr, strict=False)
    except ValueError:
        raise BadRequest(f"The remote range '{rule.remote_cidr}' is not a CIDR.") from None
    if f"IPv{network.version}" != rule.ethertype:
        raise BadRequest(f"The remote range {network} doesn't belong to {rule.ethertype}.")
    return str(network)


def _meaning(rule: Rule) -> tuple[object, ...]:
    """Equal for rules that let the same pass, as Neutron compares them: all ports are no ports, from anywhere is from
    any range.
    """
    number = protocol_number(rule.protocol)
    ports: tuple[int | None, int | None] = (rule.port_first, rule.port_last)
    if number in _WITH_PORTS and (ports[0] or 0) <= 1 and ports[1] == 65535:
        ports = (None, None)
    remote = None if rule.remote_cidr in _ANYWHERE else rule.remote_cidr
    return (rule.direction, rule.ethertype, number, ports, remote, rule.remote_group)
