"""Nothing that a client can send makes an answer of 500, on any route of the doors."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.api.call import Door
from freehold.api.identity.routes import DOOR as IDENTITY
from freehold.api.image.routes import DOOR as IMAGE
from freehold.api.network.routes import DOOR as NETWORK
from tests.api.conftest import PASSWORD, Api

DOORS = (IDENTITY, IMAGE, NETWORK)

CRUEL: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**64, -(2**70), 10**400, 1e308, 0.5),
    *("", " ", "\0", "a\0b", "\n", "\x7f", "\u2028", "\ud800", "😀" * 100, "x" * 100_000, "../../etc/passwd", "%00"),
    *("None", "null", "true", "-1", "1e9", "9" * 5000, "10.0.0.0/0", "::/0", "0.0.0.0", "255.255.255.255", "٣"),
    *("in:", "in:,,", '"', "a/b/c", "default", "system", "admin", "compute:x", "network:dhcp", "freehold.>", "*"),
    *([], {}, [[]], [None], [{}], {"": ""}, {"id": None}, {"a": {"b": {"c": []}}}, ["x"] * 1000, [[[[[[]]]]]] * 3),
)

cruel = st.one_of(
    st.sampled_from(CRUEL),
    st.text(max_size=30),
    st.integers(),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
)


def _routes(*methods: str) -> list[tuple[str, str, str]]:
    found = [(door.name, method, path) for door in DOORS for method, path in door.routes if method in methods]
    assert len(found) > 10
    return found


def _name(door: Door | str, method: str, path: str) -> str:
    return f"{method} /{door}{path}"


BODIES: dict[str, Any] = {
    "/identity/v3/auth/tokens": {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "maria", "domain": {"id": "default"}, "password": PASSWORD}},
            },
            "scope": {"project": {"name": "lab", "domain": {"id": "default"}}},
        }
    },
    "/identity/v3/projects": {"project": {"name": "p", "description": "", "enabled": True, "domain_id": "default"}},
    "/identity/v3/users": {
        "user": {"name": "u", "password": "p", "email": "e", "default_project_id": "{project}", "enabled": True}
    },
    "/identity/v3/users/{user}/password": {"user": {"password": "a", "original_password": "b"}},
    "/identity/v3/users/{user}/application_credentials": {
        "application_credential": {
            "name": "c",
            "secret": "s",
            "roles": [{"name": "member"}],
            "expires_at": "2099-01-01T00:00:00Z",
            "unrestricted": False,
        }
    },
    "/identity/v3/roles": {"role": {"name": "r", "description": ""}},
    "/image/v2/images": {
        "name": "i",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "private",
        "min_disk": 1,
        "min_ram": 1,
        "tags": ["t"],
        "protected": False,
        "colour": "red",
    },
    "/network/v2.0/networks": {
        "network": {"name": "n", "mtu": 1400, "shared": False, "description": "", "availability_zone_hints": []}
    },
    "/network/v2.0/subnets": {
        "subnet": {
            "network_id": "{network}",
            "cidr": "10.7.0.0/24",
            "ip_version": 4,
            "gateway_ip": "10.7.0.1",
            "allocation_pools": [{"start": "10.7.0.5", "end": "10.7.0.9"}],
            "dns_nameservers": ["9.9.9.9"],
            "host_routes": [{"destination": "10.8.0.0/24", "nexthop": "10.7.0.2"}],
        }
    },
    "/network/v2.0/ports": {
        "port": {
            "network_id": "{network}",
            "fixed_ips": [{"ip_address": "10.0.0.9", "subnet_id": "{subnet}"}],
            "security_groups": ["{group}"],
            "mac_address": "fa:16:3e:00:00:01",
            "device_id": "d",
            "device_owner": "o",
            "name": "p",
        }
    },
    "/network/v2.0/security-groups": {"security_group": {"name": "g", "description": "", "stateful": True}},
    "/network/v2.0/security-group-rules": {
        "security_group_rule": {
            "security_group_id": "{group}",
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": "tcp",
            "port_range_min": 1,
            "port_range_max": 2,
            "remote_ip_prefix": "10.0.0.0/8",
        }
    },
    "/network/v2.0/quotas/{project}": {"quota": {"network": 5, "port": -1}},
}
"""A body that each of these takes, to be spoiled in one place."""

ADMIN = ("/identity/v3/projects", "/identity/v3/users", "/identity/v3/roles", "/network/v2.0/quotas/{project}")
"""Those that only an admin may send."""

UPDATED = {
    "/identity/v3/projects": "PATCH /identity/v3/projects/{project}",
    "/identity/v3/users": "PATCH /identity/v3/users/{other}",
    "/network/v2.0/networks": "PUT /network/v2.0/networks/{network}",
    "/network/v2.0/subnets": "PUT /network/v2.0/subnets/{subnet}",
    "/network/v2.0/ports": "PUT /network/v2.0/ports/{port}",
    "/network/v2.0/security-groups": "PUT /network/v2.0/security-groups/{group}",
    "/network/v2.0/quotas/{project}": "PUT /network/v2.0/quotas/{project}",
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _places(inner, (*path, key))


def _spoiled(value: Any, path: tuple[Any, ...], bad: Any) -> Any:
    if not path:
        return bad
    if isinstance(value, dict):
        return {key: _spoiled(inner, path[1:], bad) if key == path[0] else inner for key, inner in value.items()}
    return [_spoiled(inner, path[1:], bad) if index == path[0] else inner for index, inner in enumerate(value)]


def _filled(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    return known.get(value[1:-1], value) if isinstance(value, str) and value.startswith("{") else value


@pytest.fixture
async def known(api: Api) -> dict[str, str]:
    """Something of each kind that belongs to the member."""
    client, v2 = api.member, "/network/v2.0"
    network = (await client.post(f"{v2}/networks", {"network": {"name": "n"}})).json["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/24"}
    made = (await client.post(f"{v2}/subnets", {"subnet": subnet})).json["subnet"]["id"]
    port = (await client.post(f"{v2}/ports", {"port": {"network_id": network}})).json["port"]["id"]
    group = (await client.get(f"{v2}/security-groups")).json["security_groups"][0]["id"]
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    users = (await api.admin.get("/identity/v3/users?name=otto")).json["users"]
    return {
        "project": api.project,
        "user": api.user,
        "other": users[0]["id"],
        "network": network,
        "subnet": made,
        "port": port,
        "group": group,
        "image": (await client.post("/image/v2/images", image)).json["id"],
    }


many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_spoiled_in_any_place(api: Api, known: dict[str, str], path: str) -> None:
    """Every place of a good body with every cruel value, for a create and for an update."""
    body, where = _filled(BODIES[path], known), path.format(**known)
    client = api.admin if path in ADMIN else api.member
    assert (await client.post(where, body)).status in (201, 204, 401, 405)
    method, _, updated = UPDATED.get(path, "").format(**known).partition(" ")
    for place in _places(body):
        for bad in CRUEL:
            spoiled = _spoiled(body, place, bad)
            reply = await client.post(where, spoiled)
            assert reply.status < 500, (place, bad, reply.body)
            if updated:
                reply = await client.ask(method, updated, spoiled)
                assert reply.status < 500, (place, bad, reply.body)
    assert (await api.nobody.get("/identity")).status == 300


@given(data=st.data())
@settings(parent=many, max_examples=300)
async def test_any_body_on_any_route(api: Api, data: st.DataObject) -> None:
    door, method, path = data.draw(st.sampled_from(_routes("POST", "PUT", "PATCH")))
    body = data.draw(cruel | st.binary(max_size=50))
    where = path.replace("{user_id}", api.user)
    kind = data.draw(st.sampled_from(["application/json", "application/octet-stream", "", "\x7f"]))
    reply = await api.member.ask(method, f"/{door}{where}", body, {"content-type": kind})
    assert reply.status < 500 or reply.status == 501


@given(data=st.data())
@settings(parent=many, max_examples=300)
async def test_any_part_of_any_path(api: Api, data: st.DataObject) -> None:
    door, method, path = data.draw(st.sampled_from(_routes("GET", "PUT", "PATCH", "DELETE")))
    parts = [
        quote(data.draw(st.text(min_size=1, max_size=600)).encode("utf-8", "surrogatepass"), safe="")
        if part.startswith("{")
        else part
        for part in path.split("/")
    ]
    reply = await api.admin.ask(method, f"/{door}{'/'.join(parts)}", {})
    assert reply.status < 500 or reply.status == 501, reply.body


@given(data=st.data())
@settings(parent=many, max_examples=300)
async def test_any_query_of_any_list(api: Api, known: dict[str, str], data: st.DataObject) -> None:
    lists = [path for door, _, path in _routes("GET") for path in [f"/{door}{path}"] if "{" not in path]
    names = ["limit", "marker", "sort", "sort_key", "sort_dir", "fields", "name", "id", "tag", "created_at", "size_min"]
    names += ["user.id", "scope.project.id", "fixed_ips", "visibility", "enabled", "include_names", "role.id", "status"]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(names) | st.text(max_size=5), cruel), max_size=4))
    query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
    reply = await api.admin.get(f"{data.draw(st.sampled_from(lists))}?{query[:8000]}")
    assert reply.status < 500, reply.body


def _quoted(value: Any) -> str:
    return quote(str(value).encode("utf-8", "surrogatepass"), safe="")


@given(operations=st.lists(st.fixed_dictionaries({"op": cruel | st.just("add"), "path": cruel, "value": cruel})))
@many
async def test_any_patch_of_an_image(api: Api, known: dict[str, str], operations: list[Any]) -> None:
    media = {"content-type": "application/openstack-images-v2.1-json-patch"}
    reply = await api.member.ask("PATCH", f"/image/v2/images/{known['image']}", operations, media)
    assert reply.status < 500, reply.body


@given(token=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=200))
@many
async def test_any_token(api: Api, token: str) -> None:
    assert (await api.nobody.with_token(token).get("/image/v2/images")).status == 401
    reply = await api.member.get("/identity/v3/auth/tokens", x_subject_token=token)
    assert reply.status == 404
