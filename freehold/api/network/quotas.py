"""What a project may have of networks and what belongs to them, in each cluster."""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.network.frame import Document
from freehold.api.reading import every, find, one
from freehold.api.wire import Limit
from freehold.vocabulary.errors import Forbidden
from freehold.vocabulary.network import DeleteOf, Network, NetworkQuota, Port, SaveNetworkQuota, SecurityGroup, Subnet
from freehold.vocabulary.tenant import Project

_LIMITS: Final = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}
"""Neutron's names and ours."""

_ABSENT: Final = ("router", "floatingip", "subnetpool", "rbac_policy")
"""What isn't offered: none of it may be had."""


class QuotaIn(Body, frozen=True, kw_only=True):
    """Limits to set."""

    network: Limit | UnsetType = UNSET
    subnet: Limit | UnsetType = UNSET
    port: Limit | UnsetType = UNSET
    security_group: Limit | UnsetType = UNSET
    security_group_rule: Limit | UnsetType = UNSET


class QuotaBody(Body, frozen=True, kw_only=True):
    """The body of an update."""

    quota: QuotaIn


def _limits(quota: NetworkQuota) -> Document:
    return {name: getattr(quota, ours) for name, ours in _LIMITS.items()} | dict.fromkeys(_ABSENT, 0)


async def _of(call: Call) -> NetworkQuota:
    """The quota of the project in the path: its own or the defaults. Raises Forbidden for another's."""
    project = call.params["project_id"]
    if not call.caller.owns(project):
        raise Forbidden("Only an admin sees the quotas of another project.")
    return await find(call, NetworkQuota, project) or NetworkQuota(project=project)


async def index(call: Call) -> Answer:
    """GET /quotas: projects that have a quota of their own."""
    rows = [
        {**_limits(quota), "project_id": quota.project, "tenant_id": quota.project}
        for quota in await every(call, NetworkQuota)
    ]
    return Answer(body={"quotas": rows})


async def show(call: Call) -> Answer:
    """GET /quotas/{project_id}."""
    return Answer(body={"quota": _limits(await _of(call))})


async def default(call: Call) -> Answer:
    """GET /quotas/{project_id}/default."""
    quota = await _of(call)
    return Answer(body={"quota": _limits(NetworkQuota(project=quota.project))})


async def tenant(call: Call) -> Answer:
    """GET /quotas/tenant: whose quotas the caller's are."""
    return Answer(body={"tenant": {"tenant_id": call.caller.project}})


async def details(call: Call) -> Answer:
    """GET /quotas/{project_id}/details.json: limits with what is used."""
    quota = await _of(call)
    groups = list(await every(call, SecurityGroup, quota.project))
    used = {
        "network": sum(1 for _ in await every(call, Network, quota.project)),
        "subnet": sum(1 for _ in await every(call, Subnet, quota.project)),
        "port": sum(1 for _ in await every(call, Port, quota.project)),
        "security_group": len(groups),
        "security_group_rule": sum(len(group.rules) for group in groups),
    }
    rows = {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in _limits(quota).items()}
    return Answer(body={"quota": rows})


async def update(call: Call) -> Answer:
    """PUT /quotas/{project_id}: an admin's."""
    wanted = call.read(QuotaBody).quota
    await one(call, Project, call.params["project_id"], "Project")
    changes = {ours: getattr(wanted, name) for name, ours in _LIMITS.items() if getattr(wanted, name) is not UNSET}
    quota = msgspec.structs.replace(await _of(call), **changes)
    await asking.every_network(call, SaveNetworkQuota(quota=quota))
    return Answer(body={"quota": _limits(quota)})


async def delete(call: Call) -> Answer:
    """DELETE /quotas/{project_id}: back to the defaults."""
    quota = await _of(call)
    await asking.every_network(call, DeleteOf(kind="network_quota", id=quota.project))
    return Answer(204)
