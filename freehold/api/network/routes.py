"""Everything that passes the network door, mounted at ``/network``."""

from typing import Final

from freehold.api import faults
from freehold.api.call import Door, Route, Routes
from freehold.api.network import agents, groups, networks, ports, quotas, subnets, versions

_ABSENT = ("routers", "floatingips", "subnetpools")


def _absent() -> dict[tuple[str, str], Route]:
    """Collections that clients look into, and that have nothing in this release."""
    routes: dict[tuple[str, str], Route] = {}
    for name in _ABSENT:
        routes[("GET", f"/v2.0/{name}")] = Route(agents.nothing, "network:read")
        routes[("POST", f"/v2.0/{name}")] = Route(agents.refuse, "network:write")
        for method, policy in (("GET", "network:read"), ("PUT", "network:write"), ("DELETE", "network:write")):
            routes[(method, f"/v2.0/{name}/{{id}}")] = Route(agents.not_there, policy)
    return routes


ROUTES: Final[Routes] = {
    ("GET", "/"): Route(versions.index, "discover"),
    ("GET", "/v2.0"): Route(versions.show, "discover"),
    ("GET", "/v2.0/extensions"): Route(versions.extensions, "network:read"),
    ("GET", "/v2.0/extensions/{alias}"): Route(versions.extension, "network:read"),
    ("GET", "/v2.0/networks"): Route(networks.index, "network:read"),
    ("POST", "/v2.0/networks"): Route(networks.create, "network:write"),
    ("GET", "/v2.0/networks/{network_id}"): Route(networks.show, "network:read"),
    ("PUT", "/v2.0/networks/{network_id}"): Route(networks.update, "network:write"),
    ("DELETE", "/v2.0/networks/{network_id}"): Route(networks.delete, "network:write"),
    ("GET", "/v2.0/subnets"): Route(subnets.index, "network:read"),
    ("POST", "/v2.0/subnets"): Route(subnets.create, "network:write"),
    ("GET", "/v2.0/subnets/{subnet_id}"): Route(subnets.show, "network:read"),
    ("PUT", "/v2.0/subnets/{subnet_id}"): Route(subnets.update, "network:write"),
    ("DELETE", "/v2.0/subnets/{subnet_id}"): Route(subnets.delete, "network:write"),
    ("GET", "/v2.0/ports"): Route(ports.index, "network:read"),
    ("POST", "/v2.0/ports"): Route(ports.create, "network:write"),
    ("GET", "/v2.0/ports/{port_id}"): Route(ports.show, "network:read"),
    ("PUT", "/v2.0/ports/{port_id}"): Route(ports.update, "network:write"),
    ("DELETE", "/v2.0/ports/{port_id}"): Route(ports.delete, "network:write"),
    ("GET", "/v2.0/security-groups"): Route(groups.index, "network:read"),
    ("POST", "/v2.0/security-groups"): Route(groups.create, "network:write"),
    ("GET", "/v2.0/security-groups/{group_id}"): Route(groups.show, "network:read"),
    ("PUT", "/v2.0/security-groups/{group_id}"): Route(groups.update, "network:write"),
    ("DELETE", "/v2.0/security-groups/{group_id}"): Route(groups.delete, "network:write"),
    ("GET", "/v2.0/security-group-rules"): Route(groups.rules, "network:read"),
    ("POST", "/v2.0/security-group-rules"): Route(groups.create_rule, "network:write"),
    ("GET", "/v2.0/security-group-rules/{rule_id}"): Route(groups.show_rule, "network:read"),
    ("DELETE", "/v2.0/security-group-rules/{rule_id}"): Route(groups.delete_rule, "network:write"),
    ("GET", "/v2.0/quotas"): Route(quotas.index, "network:admin"),
    ("GET", "/v2.0/quotas/tenant"): Route(quotas.tenant, "network:read"),
    ("GET", "/v2.0/quotas/{project_id}"): Route(quotas.show, "network:read"),
    ("PUT", "/v2.0/quotas/{project_id}"): Route(quotas.update, "network:admin"),
    ("DELETE", "/v2.0/quotas/{project_id}"): Route(quotas.delete, "network:admin"),
    ("GET", "/v2.0/quotas/{project_id}/default"): Route(quotas.default, "network:read"),
    ("GET", "/v2.0/quotas/{project_id}/details"): Route(quotas.details, "network:read"),
    ("GET", "/v2.0/quotas/{project_id}/details.json"): Route(quotas.details, "network:read"),
    ("GET", "/v2.0/agents"): Route(agents.agents, "network:admin"),
    ("GET", "/v2.0/agents/{agent_id}"): Route(agents.agent, "network:admin"),
    ("GET", "/v2.0/availability_zones"): Route(agents.zones, "network:read"),
    **_absent(),
}

DOOR: Final = Door("network", ROUTES, faults.neutron)
