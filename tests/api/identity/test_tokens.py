"""Signing in."""

from typing import Any

import pytest

from tests.api.asgi import Reply
from tests.api.conftest import PASSWORD, Api

DEFAULT = {"id": "default"}


async def _ask(api: Api, identity: Any, scope: Any = None) -> Reply:
    auth = {"identity": identity} | ({"scope": scope} if scope is not None else {})
    return await api.nobody.post("/identity/v3/auth/tokens", {"auth": auth})


def _password(name: str = "maria", password: str = PASSWORD) -> Any:
    user = {"name": name, "domain": DEFAULT, "password": password}
    return {"methods": ["password"], "password": {"user": user}}


async def test_a_token_names_its_user_project_roles_and_services(api: Api) -> None:
    reply = await _ask(api, _password(), {"project": {"name": "lab", "domain": {"name": "Default"}}})
    assert reply.status == 201
    token = reply.json["token"]
    assert token["user"]["name"] == "maria"
    assert token["project"] == {"id": api.project, "name": "lab", "domain": {"id": "default", "name": "Default"}}
    assert [role["name"] for role in token["roles"]] == ["member"]
    types = {"identity", "compute", "image", "network", "volumev3", "block-storage"}
    assert {service["type"] for service in token["catalog"]} == types
    volumes = [service["endpoints"][0]["url"] for service in token["catalog"] if "volumev3" in service["type"]]
    assert volumes == [f"http://cloud.example/volume/v3/{api.project}"]
    assert token["expires_at"].endswith(".000000Z")
    assert len(token["audit_ids"]) == 1


async def test_a_token_without_scope_has_no_catalog_and_becomes_one_with(api: Api) -> None:
    unscoped = await _ask(api, _password(), "unscoped")
    assert "catalog" not in unscoped.json["token"]
    assert "project" not in unscoped.json["token"]
    identity = {"methods": ["token"], "token": {"id": unscoped.headers["x-subject-token"]}}
    scoped = await _ask(api, identity, {"project": {"id": api.project}})
    assert (scoped.status, scoped.json["token"]["project"]["name"]) == (201, "lab")


@pytest.mark.parametrize(
    ("identity", "scope"),
    [
        (_password(password="wrong"), None),
        (_password(name="nobody"), None),
        (_password(), {"project": {"name": "admin", "domain": DEFAULT}}),
        (_password(), {"project": {"name": "none", "domain": DEFAULT}}),
        (_password(), {"project": {"id": "../.."}}),
        (_password(), {"system": {"all": True}}),
        ({"methods": ["token"], "token": {"id": "a.b.c"}}, None),
        ({"methods": ["application_credential"], "application_credential": {"id": "x", "secret": "y"}}, None),
    ],
)
async def test_every_refusal_says_the_same(api: Api, identity: Any, scope: Any) -> None:
    reply = await _ask(api, identity, scope)
    assert reply.status == 401
    assert reply.json["error"]["message"] == "The request you have made requires authentication."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": {}},
        {"auth": {"identity": {"methods": []}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["totp"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "maria"}}}}},
        {"auth": {"identity": _password(), "scope": {"project": {}}}},
        {"auth": {"identity": _password(), "scope": {"domain": DEFAULT}}},
        {"auth": {"identity": _password(), "scope": "everything"}},
        {"auth": {"identity": _password(name="\0")}},
    ],
)
async def test_a_malformed_sign_in_is_400(api: Api, body: Any) -> None:
    assert (await api.nobody.post("/identity/v3/auth/tokens", body)).status == 400


async def test_a_token_is_shown_to_its_holder_and_to_admins_alone(api: Api) -> None:
    path, token = "/identity/v3/auth/tokens", api.member.headers["x-auth-token"]
    own = await api.member.get(path, x_subject_token=token)
    assert (own.status, own.json["token"]["project"]["name"]) == (200, "lab")
    assert own.headers["x-subject-token"] == token
    assert "catalog" not in (await api.member.get(f"{path}?nocatalog", x_subject_token=token)).json["token"]
    assert (await api.admin.get(path, x_subject_token=token)).status == 200
    assert (await api.other.get(path, x_subject_token=token)).status == 403
    assert (await api.member.get(path, x_subject_token="nonsense")).status == 404
    assert (await api.member.get(path)).status == 404
    assert (await api.member.ask("HEAD", path, headers={"x-subject-token": token})).body == b""


async def test_versions_and_catalog(api: Api) -> None:
    versions = await api.nobody.get("/identity")
    assert (versions.status, versions.json["versions"]["values"][0]["id"]) == (300, "v3.14")
    link = {"rel": "self", "href": "http://cloud.example/identity/v3/"}
    assert (await api.nobody.get("/identity/v3/")).json["version"]["links"] == [link]
    services = (await api.member.get("/identity/v3/auth/catalog")).json["catalog"]
    compute = next(service for service in services if service["type"] == "compute")
    assert {end["url"] for end in compute["endpoints"]} == {"http://cloud.example/compute/v2.1"}
    volumes = next(service for service in services if service["type"] == "block-storage")
    assert {end["url"] for end in volumes["endpoints"]} == {f"http://cloud.example/volume/v3/{api.project}"}


async def test_services_and_endpoints_are_listed_as_in_the_catalog(api: Api) -> None:
    services = (await api.member.get("/identity/v3/services?type=image")).json["services"]
    assert [service["name"] for service in services] == ["glance"]
    path = f"/identity/v3/endpoints?service_id={services[0]['id']}&interface=public"
    ends = (await api.member.get(path)).json["endpoints"]
    assert [end["url"] for end in ends] == ["http://cloud.example/image"]
    assert (await api.member.get(f"/identity/v3/endpoints/{ends[0]['id']}")).status == 200
    every = (await api.member.get("/identity/v3/endpoints")).json["endpoints"]
    assert "http://cloud.example/volume/v3/$(project_id)s" in {end["url"] for end in every}
    assert (await api.member.get("/identity/v3/regions/RegionOne")).json["region"]["id"] == "RegionOne"
    assert (await api.member.get("/identity/v3/regions/none")).status == 404
