"""Security groups of a server, in Nova's old shape."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute.server_view import groups_of
from freehold.api.compute.servers import server_of
from freehold.vocabulary.network import Direction, Rule, SecurityGroup


async def index(call: Call) -> Answer:
    """GET /servers/{id}/os-security-groups."""
    groups = groups_of(call, await server_of(call))
    return Answer(body={"security_groups": [_shown(call, group) for group in groups]})


def _shown(call: Call, group: SecurityGroup) -> dict[str, Any]:
    rules = [_rule(call, group, rule) for rule in group.rules if rule.direction is Direction.INGRESS]
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project,
        "rules": rules,
    }


def _rule(call: Call, group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    remote = call.cloud.view.get(SecurityGroup, rule.remote_group) if rule.remote_group else None
    return {
        "id": rule.id,
        "parent_group_id": group.id,
        "ip_protocol": rule.protocol,
        "from_port": rule.port_first,
        "to_port": rule.port_last,
        "ip_range": {} if rule.remote_group else {"cidr": rule.remote_cidr or "0.0.0.0/0"},
        "group": {} if remote is None else {"name": remote.name, "tenant_id": remote.project},
    }
