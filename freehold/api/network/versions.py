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
    "agent": "Network workers are listed as agents",
    "availability_zone": "Availability zones are clusters",
    "binding": "Where a port is plugged, shown to admins",
    "filter-validation": "Unknown filters are refused",
    "ip-substring-filtering": "Ports by a part of their address",
    "net-mtu": "MTU of networks",
    "net-mtu-writable": "MTU of networks can be given",
    "network_availability_zone": "Networks belong to a cluster",
    "pagination": "Lists in pages",
    "port-security": "Anti-spoofing and security groups can be turned off for a port",
    "project-id": "project_id beside tenant_id",
    "provider": "Segments of networks, shown to admins",
    "quota_details": "Quotas with what is used",
    "quotas": "Quotas of projects",
    "security-group": "Security groups",
    "security-groups-normalized-cidr": "Ranges of rules in canonical form",
    "sorting": "Lists in an order",
    "standard-attr-description": "Descriptions",
    "standard-attr-revisions": "Revision numbers",
    "standard-attr-timestamp": "Times of creation and change",
}


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
    more = {"updated": "2026-01-01T00:00:00-00:00", "links": []}
    return {"alias": alias, "name": alias, "description": _EXTENSIONS[alias], **more}


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
