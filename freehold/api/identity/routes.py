"""Everything that passes the identity door, mounted at ``/identity``."""

from collections.abc import Mapping
from typing import Final

from freehold.api import faults
from freehold.api.call import Call, Door, Route, Routes
from freehold.api.identity import catalog, credentials, domains, projects, roles, tokens, users, versions

_USER = "/v3/users/{user_id}"
_CREDENTIALS = f"{_USER}/application_credentials"
_PROJECT = "/v3/projects/{project_id}"

ROUTES: Final[Routes] = {
    ("GET", "/"): Route(versions.index, "discover"),
    ("GET", "/v3"): Route(versions.show, "discover"),
    ("POST", "/v3/auth/tokens"): Route(tokens.create, "token:create"),
    ("GET", "/v3/auth/tokens"): Route(tokens.show, "token:read"),
    ("DELETE", "/v3/auth/tokens"): Route(tokens.revoke, "token:revoke"),
    ("GET", "/v3/auth/catalog"): Route(catalog.show, "own:read"),
    ("GET", "/v3/auth/projects"): Route(projects.own, "own:read"),
    ("GET", "/v3/auth/domains"): Route(domains.index, "own:read"),
    ("GET", "/v3/projects"): Route(projects.index, "project:list"),
    ("POST", "/v3/projects"): Route(projects.create, "project:write"),
    ("GET", _PROJECT): Route(projects.show, "project:read"),
    ("PATCH", _PROJECT): Route(projects.update, "project:write"),
    ("DELETE", _PROJECT): Route(projects.delete, "project:write"),
    ("GET", f"{_PROJECT}/users/{{user_id}}/roles"): Route(roles.of_user, "assignment:read"),
    ("GET", f"{_PROJECT}/users/{{user_id}}/roles/{{role_id}}"): Route(roles.check, "assignment:write"),
    ("PUT", f"{_PROJECT}/users/{{user_id}}/roles/{{role_id}}"): Route(roles.grant, "assignment:write"),
    ("DELETE", f"{_PROJECT}/users/{{user_id}}/roles/{{role_id}}"): Route(roles.withdraw, "assignment:write"),
    ("GET", "/v3/system/users/{user_id}/roles"): Route(roles.of_user, "assignment:read"),
    ("GET", "/v3/system/users/{user_id}/roles/{role_id}"): Route(roles.check, "assignment:write"),
    ("PUT", "/v3/system/users/{user_id}/roles/{role_id}"): Route(roles.grant, "assignment:write"),
    ("DELETE", "/v3/system/users/{user_id}/roles/{role_id}"): Route(roles.withdraw, "assignment:write"),
    ("GET", "/v3/role_assignments"): Route(roles.assignments, "assignment:read"),
    ("GET", "/v3/roles"): Route(roles.index, "role:read"),
    ("POST", "/v3/roles"): Route(roles.create, "role:write"),
    ("GET", "/v3/roles/{role_id}"): Route(roles.show, "role:read"),
    ("PATCH", "/v3/roles/{role_id}"): Route(roles.update, "role:write"),
    ("DELETE", "/v3/roles/{role_id}"): Route(roles.delete, "role:write"),
    ("GET", "/v3/users"): Route(users.index, "user:list"),
    ("POST", "/v3/users"): Route(users.create, "user:write"),
    ("GET", _USER): Route(users.show, "user:read"),
    ("PATCH", _USER): Route(users.update, "user:write"),
    ("DELETE", _USER): Route(users.delete, "user:write"),
    ("POST", f"{_USER}/password"): Route(users.change_password, "user:password"),
    ("GET", f"{_USER}/projects"): Route(projects.index_of_user, "own:read"),
    ("GET", f"{_USER}/groups"): Route(domains.no_groups, "own:read"),
    ("GET", _CREDENTIALS): Route(credentials.index, "credential:read"),
    ("POST", _CREDENTIALS): Route(credentials.create, "credential:write"),
    ("GET", f"{_CREDENTIALS}/{{credential_id}}"): Route(credentials.show, "credential:read"),
    ("DELETE", f"{_CREDENTIALS}/{{credential_id}}"): Route(credentials.delete, "credential:write"),
    ("GET", "/v3/groups"): Route(domains.no_groups, "own:read"),
    ("GET", "/v3/domains"): Route(domains.index, "domain:read"),
    ("POST", "/v3/domains"): Route(domains.refuse, "domain:write"),
    ("GET", "/v3/domains/{domain_id}"): Route(domains.show, "domain:read"),
    ("PATCH", "/v3/domains/{domain_id}"): Route(domains.refuse, "domain:write"),
    ("DELETE", "/v3/domains/{domain_id}"): Route(domains.refuse, "domain:write"),
    ("GET", "/v3/regions"): Route(catalog.regions, "catalog:read"),
    ("GET", "/v3/regions/{region_id}"): Route(catalog.region, "catalog:read"),
    ("GET", "/v3/services"): Route(catalog.services, "catalog:read"),
    ("GET", "/v3/services/{service_id}"): Route(catalog.service, "catalog:read"),
    ("GET", "/v3/endpoints"): Route(catalog.endpoints, "catalog:read"),
    ("GET", "/v3/endpoints/{endpoint_id}"): Route(catalog.endpoint, "catalog:read"),
}


def _headers(call: Call) -> Mapping[str, str]:
    del call
    return {"vary": "X-Auth-Token"}


DOOR: Final = Door("identity", ROUTES, faults.keystone, _headers)
