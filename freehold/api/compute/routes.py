"""Everything that passes the compute door, mounted at ``/compute``."""

from typing import Final

from freehold.api import faults
from freehold.api.call import Door, Route, Routes
from freehold.api.compute import actions, microversion, server_create, server_list, servers
from freehold.api.compute.microversion import negotiated

_SERVER: Final = "/v2.1/servers/{server_id}"

_TABLE: Final[Routes] = {
    ("GET", "/v2.1/servers"): Route(server_list.index, "compute:read"),
    ("POST", "/v2.1/servers"): Route(server_create.create, "compute:write"),
    ("GET", "/v2.1/servers/detail"): Route(server_list.detail, "compute:read"),
    ("GET", _SERVER): Route(servers.show, "compute:read"),
    ("PUT", _SERVER): Route(servers.update, "compute:write"),
    ("DELETE", _SERVER): Route(servers.delete, "compute:write"),
    ("POST", f"{_SERVER}/action"): Route(actions.act, "compute:write"),
}

ROUTES: Final[Routes] = {way: Route(negotiated(route.serve), route.policy) for way, route in _TABLE.items()}

DOOR: Final = Door("compute", ROUTES, faults.nova, microversion.headers)
