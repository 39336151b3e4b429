"""Versions of the network API, and the extensions that are truly there."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.discovery import version
from freehold.vocabulary.errors import NotFound

_COLLECTIONS: Final = (
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"),
    ("quota", "quotas"),
)

_EXTENSIONS: Final = {
    "agent": ("agent", "Network workers are listed as agents"),
    "availability_zone": ("Availability Zone", "Availability zones are clusters"),
    "binding": ("Port Binding", "Where a port is plugged, shown to admins"),
    "filter-validation": ("Filter parameters validation", "Unknown filters are refused"),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of their address"),
    "net-mtu": ("Network MTU", "MTU of networks"),
    "net-mtu-writable": ("Network MTU (writable)", "MTU of networks can be given"),
    "network_availability_zone": ("Network Availability Zone", "Networks belong to a cluster"),
    "pagination": ("Pagination support", "Lists in pages"),
    "port-security": ("Port Security", "Anti-spoofing and security groups can be turned off for a port"),
    "project-id": ("project_id field enabled", "project_id beside tenant_id"),
    "provider": ("Provider Network", "Segments of networks, shown to admins"),
    "quota_details": ("Quota details management support", "Quotas with what is used"),
    "quotas": ("Quota management support", "Quotas of projects"),
    "security-group": ("security-group", "Security groups"),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "Ranges in canonical form"),
    "sorting": ("Sorting support", "Lists in an order"),
    "standard-attr-description": ("standard-attr-description", "Descriptions"),
    "standard-attr-revisions": ("Resource revision numbers", "Revision numbers"),
    "standard-attr-timestamp": ("Resource timestamps", "Times of creation and change"),
}
"""Alias: the name that clients look for, and what it means here. Only what is truly there."""


async def index(call: Call) -> Answer:
    """GET /: the versions."""
    return Answer(body={"versions": [version("v2.0", f"{call.base_url}/v2.0/")]})


async def show(call: Call) -> Answer:
    """GET /v2.0: the collections."""
    return Answer(body={"resources": [_resource(call, one, many) for one, many in _COLLECTIONS]})


def _resource(call: Call, one: str, many: str) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{call.base_url}/v2.0/{many}"}]
    return {"name": one, "collection": many.replace("-", "_"), "links": links}


def _extension(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    more = {"updated": "2026-01-01T00:00:00-00:00", "links": []}
    return {"alias": alias, "name": name, "description": description, **more}


async def extensions(call: Call) -> Answer:
    """GET /v2.0/extensions."""
    del call
    return Answer(body={"extensions": [_extension(alias) for alias in _EXTENSIONS]})


async def extension(call: Call) -> Answer:
    """GET /v2.0/extensions/{alias}: clients ask this way what there is, and take a 404 for no."""
    alias = call.params["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias[:64]} does not exist")
    return Answer(body={"extension": _extension(alias)})
