"""Security groups and their rules."""

from ipaddress import ip_network
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.caller import SYSTEM_PROJECT
from freehold.api.network.frame import (
    BULK_MAX,
    Document,
    Noun,
    cluster_of,
    given,
    listed,
    made,
    project_of,
    with_fields,
)
from freehold.api.reading import every, not_found, one
from freehold.api.wire import Identifier, Name, NameOrNothing, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.network import (
    AddRules,
    DeleteOf,
    Direction,
    EnsureDefaultGroup,
    Rule,
    SaveSecurityGroup,
    SecurityGroup,
)
from freehold.vocabulary.units import iso_seconds

GROUP: Final = Noun("security_group", "security_groups", "Security group")
RULE: Final = Noun("security_group_rule", "security_group_rules", "Security group rule")
DEFAULT: Final = "default"

PortNumber = Annotated[int, Meta(ge=-1, le=65535)]


class GroupIn(Body, frozen=True, kw_only=True):
    """What may be given of a security group."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    stateful: bool | UnsetType | None = UNSET
    tenant_id: NameOrNothing | UnsetType | None = UNSET
    project_id: NameOrNothing | UnsetType | None = UNSET
    availability_zone_hints: Annotated[list[NameOrNothing], Meta(max_length=1)] = []
    """The cluster whose networks' ports may have it. Neutron has none: its groups hold everywhere."""


class GroupBody(Body, frozen=True, kw_only=True):
    """The body of a create (one or several) or an update (one)."""

    security_group: GroupIn | UnsetType = UNSET
    security_groups: Annotated[list[GroupIn], Meta(max_length=BULK_MAX)] | UnsetType = UNSET


class RuleIn(Body, frozen=True, kw_only=True):
    """What may be given of a rule."""

    security_group_id: Identifier
    direction: Direction
    ethertype: Annotated[str, Meta(max_length=8)] | UnsetType | None = UNSET
    protocol: Annotated[str, Meta(max_length=32)] | Annotated[int, Meta(ge=0, le=255)] | UnsetType | None = UNSET
    port_range_min: PortNumber | UnsetType | None = UNSET
    port_range_max: PortNumber | UnsetType | None = UNSET
    remote_ip_prefix: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    remote_group_id: Identifier | UnsetType | None = UNSET
    remote_address_group_id: UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    tenant_id: NameOrNothing | UnsetType | None = UNSET
    project_id: NameOrNothing | UnsetType | None = UNSET


class RuleBody(Body, frozen=True, kw_only=True):
    """The body of a create, of one or several."""

    security_group_rule: RuleIn | UnsetType = UNSET
    security_group_rules: Annotated[list[RuleIn], Meta(max_length=BULK_MAX)] | UnsetType = UNSET


def _shown(call: Call, group: SecurityGroup) -> Document:
    return shown(group, _cluster(call, group.id) or call.cloud.cluster)


def _cluster(call: Call, group: str) -> str:
    """The cluster whose network worker owns a group; empty for one that isn't there."""
    owner = call.cloud.view.owner_seen(call.cloud.view.owner(SecurityGroup, group))
    return "" if owner is None else owner.owner.cluster


def shown(group: SecurityGroup, cluster: str) -> Document:
    """A group as Neutron shows it, and its cluster as a network has it."""
    return {
        "id": group.id,
        "name": group.name,
        "tenant_id": group.project,
        "project_id": group.project,
        "description": group.description,
        "stateful": group.stateful,
        "shared": False,
        "availability_zone_hints": [],
        "availability_zones": [cluster],
        "security_group_rules": [shown_rule(group, rule) for rule in group.rules],
        "created_at": iso_seconds(group.created),
        "updated_at": iso_seconds(group.updated or group.created),
        "revision_number": group.revision,
        "tags": [],
    }


def shown_rule(group: SecurityGroup, rule: Rule) -> Document:
    """A rule as Neutron shows it."""
    return {
        "id": rule.id,
        "security_group_id": group.id,
        "tenant_id": group.project,
        "project_id": group.project,
        "direction": rule.direction.value,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.port_first,
        "port_range_max": rule.port_last,
        "remote_ip_prefix": rule.remote_cidr,
        "normalized_cidr": None if rule.remote_cidr is None else str(ip_network(rule.remote_cidr, strict=False)),
        "remote_group_id": rule.remote_group,
        "remote_address_group_id": None,
        "belongs_to_default_sg": group.name == DEFAULT,
        "description": rule.description,
        "created_at": iso_seconds(rule.created),
        "updated_at": iso_seconds(rule.created),
        "revision_number": 0,
        "tags": [],
    }


async def _all(call: Call) -> list[SecurityGroup]:
    """The groups that the caller sees; their project's ``default`` is made if it isn't there."""
    project = call.caller.project
    if project != SYSTEM_PROJECT:
        own = await every(call, SecurityGroup, project)
        if all(group.name != DEFAULT for group in own):
            await asking.networks(call, EnsureDefaultGroup(project=project))
    everything = await every(call, SecurityGroup, None if call.caller.is_admin else project, newest_first=False)
    return list(everything)


async def index(call: Call) -> Answer:
    """GET /security-groups."""
    return listed(call, GROUP, [_shown(call, group) for group in await _all(call)], shown(_EXAMPLE, ""))


_EXAMPLE: Final = SecurityGroup(id="", name="", project="")
_EXAMPLE_RULE: Final = Rule(id="", direction=Direction.INGRESS)


async def _owned(call: Call, key: str) -> SecurityGroup:
    group = await one(call, SecurityGroup, key, GROUP.title)
    if not call.caller.owns(group.project):
        raise NotFound(not_found(GROUP.title, key))
    return group


async def _document(call: Call, key: str) -> Document:
    return _shown(call, await _owned(call, key))


async def show(call: Call) -> Answer:
    """GET /security-groups/{group_id}."""
    return Answer(body={GROUP.one: with_fields(call, await _document(call, call.params["group_id"]))})


async def create(call: Call) -> Answer:
    """POST /security-groups: everything may go out, nothing may come in."""
    body = call.read(GroupBody)

    async def make(wanted: GroupIn) -> str:
        if isinstance(wanted.name, UnsetType):
            raise BadRequest("Failed to parse request. Required attribute 'name' not specified.")
        project = await project_of(call, wanted.tenant_id, wanted.project_id)
        rules = tuple(
            Rule(id=new_id(call.cloud.chance), direction=Direction.EGRESS, ethertype=ethertype)
            for ethertype in ("IPv4", "IPv6")
        )
        blank = SecurityGroup(id=new_id(call.cloud.chance), name="", project=project, rules=rules)
        cluster = cluster_of(call, wanted.availability_zone_hints)
        await asking.networks(call, SaveSecurityGroup(group=_changed(blank, wanted), new=True), cluster)
        return blank.id

    return await made(call, GROUP, body.security_group, body.security_groups, make, lambda key: _document(call, key))


def _changed(group: SecurityGroup, wanted: GroupIn) -> SecurityGroup:
    if given(wanted.stateful, True) is False:
        raise BadRequest("Stateless security groups aren't offered.")
    changes: dict[str, Any] = {
        "name": given(wanted.name, group.name),
        "description": given(wanted.description, group.description),
    }
    return msgspec.structs.replace(group, **changes)


async def update(call: Call) -> Answer:
    """PUT /security-groups/{group_id}."""
    wanted = call.read(GroupBody).security_group
    if isinstance(wanted, UnsetType):
        raise BadRequest("Unable to find 'security_group' in the request body.")
    group = await _owned(call, call.params["group_id"])
    if wanted.tenant_id is not UNSET or wanted.project_id is not UNSET or wanted.availability_zone_hints:
        raise BadRequest("The project and the availability zone of a security group can't be changed.")
    await asking.networks(call, SaveSecurityGroup(group=_changed(group, wanted)), _cluster(call, group.id))
    return Answer(body={GROUP.one: await _document(call, group.id)})


async def delete(call: Call) -> Answer:
    """DELETE /security-groups/{group_id}."""
    group = await _owned(call, call.params["group_id"])
    await asking.networks(call, DeleteOf(kind="security_group", id=group.id), _cluster(call, group.id))
    return Answer(204)


# --- rules -----------------------------------------------------------------------------------------------------------


async def rules(call: Call) -> Answer:
    """GET /security-group-rules."""
    documents = [shown_rule(group, rule) for group in await _all(call) for rule in group.rules]
    return listed(call, RULE, documents, shown_rule(_EXAMPLE, _EXAMPLE_RULE))


async def _rule(call: Call, key: str) -> Document:
    project = None if call.caller.is_admin else call.caller.project
    for group in await every(call, SecurityGroup, project):
        for rule in group.rules:
            if rule.id == key:
                return shown_rule(group, rule)
    raise NotFound(not_found(RULE.title, key))


async def show_rule(call: Call) -> Answer:
    """GET /security-group-rules/{rule_id}."""
    return Answer(body={RULE.one: with_fields(call, await _rule(call, call.params["rule_id"]))})


async def create_rule(call: Call) -> Answer:
    """POST /security-group-rules."""
    body = call.read(RuleBody)

    async def make(wanted: RuleIn) -> str:
        group = await _owned(call, wanted.security_group_id)
        rule = _new_rule(new_id(call.cloud.chance), wanted)
        await asking.networks(call, AddRules(group=group.id, rules=(rule,)), _cluster(call, group.id))
        return rule.id

    one_, many = body.security_group_rule, body.security_group_rules
    return await made(call, RULE, one_, many, make, lambda key: _rule(call, key))


def _new_rule(identifier: str, wanted: RuleIn) -> Rule:
    protocol = given(wanted.protocol, "")
    prefix = given(wanted.remote_ip_prefix, "")
    first, last = given(wanted.port_range_min, -1), given(wanted.port_range_max, -1)
    return Rule(
        id=identifier,
        direction=wanted.direction,
        ethertype=given(wanted.ethertype, "IPv4"),
        protocol=str(protocol) if protocol != "" else None,
        port_first=None if first < 0 else first,
        port_last=None if last < 0 else last,
        remote_cidr=prefix or None,
        remote_group=given(wanted.remote_group_id, "") or None,
        description=given(wanted.description, ""),
    )


async def delete_rule(call: Call) -> Answer:
    """DELETE /security-group-rules/{rule_id}."""
    rule = await _rule(call, call.params["rule_id"])
    cluster = _cluster(call, rule["security_group_id"])
    await asking.networks(call, DeleteOf(kind="security_group_rule", id=rule["id"]), cluster)
    return Answer(204)
