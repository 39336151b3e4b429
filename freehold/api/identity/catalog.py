"""Where the services are, worked out from the public URL: the same for everybody, but that paths of volumes name the
project.
"""

import hashlib
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.identity.links import collection, self_link
from freehold.api.reading import not_found
from freehold.vocabulary.errors import NotFound

PROJECT: Final = "$(project_id)s"
"""What stands for a project in the path of a service, by Keystone's convention."""

SERVICES: Final = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
    ("volumev3", "cinderv3", f"/volume/v3/{PROJECT}"),
    ("block-storage", "cinder", f"/volume/v3/{PROJECT}"),
)
"""(type, name, path) of each service, with the names that other clouds give them."""

INTERFACES: Final = ("public", "internal", "admin")


def _id(*of: str) -> str:
    """A stable id of something in the catalog."""
    return hashlib.blake2b("/".join(of).encode(), digest_size=16).hexdigest()


def catalog(call: Call, project: str) -> list[dict[str, Any]]:
    """The catalog as it stands in a token for a project."""
    return [
        {
            "type": kind,
            "name": name,
            "id": _id(kind),
            "endpoints": [_endpoint(call, kind, path.replace(PROJECT, project), i) for i in INTERFACES],
        }
        for kind, name, path in SERVICES
    ]


def _endpoint(call: Call, kind: str, path: str, interface: str) -> dict[str, Any]:
    region = call.cloud.region
    url = f"{call.cloud.public_url}{path}"
    return {
        "id": _id(kind, interface, region),
        "interface": interface,
        "region": region,
        "region_id": region,
        "url": url,
    }


async def show(call: Call) -> Answer:
    """GET /auth/catalog."""
    found = catalog(call, call.caller.project)
    return Answer(body={"catalog": found, "links": {"self": f"{call.base_url}/v3/auth/catalog"}})


def _services(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "id": _id(kind),
            "type": kind,
            "name": name,
            "enabled": True,
            "description": "",
            **self_link(call, "services", _id(kind)),
        }
        for kind, name, _ in SERVICES
    ]


def _endpoints(call: Call) -> list[dict[str, Any]]:
    return [
        {**end, "service_id": _id(kind), "enabled": True, **self_link(call, "endpoints", end["id"])}
        for kind, _, path in SERVICES
        for end in (_endpoint(call, kind, path, interface) for interface in INTERFACES)
    ]


def _regions(call: Call) -> list[dict[str, Any]]:
    region = call.cloud.region
    return [{"id": region, "description": "", "parent_region_id": None, **self_link(call, "regions", region)}]


def _filtered(call: Call, rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    wanted = {name: value for name in names if (value := call.query.one(name)) is not None}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _one(rows: list[dict[str, Any]], identifier: str, noun: str) -> dict[str, Any]:
    for row in rows:
        if row["id"] == identifier:
            return row
    raise NotFound(not_found(noun, identifier))


async def services(call: Call) -> Answer:
    """GET /services."""
    return collection(call, "services", _filtered(call, _services(call), "type", "name"))


async def service(call: Call) -> Answer:
    """GET /services/{service_id}."""
    return Answer(body={"service": _one(_services(call), call.params["service_id"], "service")})


async def endpoints(call: Call) -> Answer:
    """GET /endpoints."""
    return collection(call, "endpoints", _filtered(call, _endpoints(call), "interface", "service_id", "region_id"))


async def endpoint(call: Call) -> Answer:
    """GET /endpoints/{endpoint_id}."""
    return Answer(body={"endpoint": _one(_endpoints(call), call.params["endpoint_id"], "endpoint")})


async def regions(call: Call) -> Answer:
    """GET /regions."""
    return collection(call, "regions", _filtered(call, _regions(call), "parent_region_id"))


async def region(call: Call) -> Answer:
    """GET /regions/{region_id}."""
    return Answer(body={"region": _one(_regions(call), call.params["region_id"], "region")})
