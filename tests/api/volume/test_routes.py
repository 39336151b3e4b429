"""Paths with and without a project, versions, errors in Cinder's format; and that nothing a client sends breaks it."""

from typing import Any

import pytest

from freehold.api.volume.routes import ROUTES
from tests.api.conftest import Api
from tests.api.volume.conftest import V3, VolumeCloud

ODD_QUERY = (
    "?limit=2&marker=x%00y&offset=1&sort=name:asc&all_tenants=1&project_id=%F0%9F%92%BE&metadata=%7B%7D&usage=1"
    "&with_count=1&detail=1&is_public=none&name~=x&created_at=gt:2020-01-01&bootable=1&force=1&cascade=0&resource=x"
)
ODD_BODIES: tuple[Any, ...] = (
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"volume": {"size": 1e999}}',
    b'{"volume": {"size": ' + b"9" * 5000 + b"}}",
    b'{"os-extend": {"new_size": ' + b"9" * 5000 + b"}}",
    b'{"volume": {"name": "\\ud800"}}',
    None,
    7,
    "text",
    [],
    {},
    {"volume": 1},
    {"volume": {"metadata": {"\u2028": "\u2029"}}},
    {"snapshot": {"volume_id": "\u0000"}},
    {"volume_type": {"name": ["x"]}},
    {"extra_specs": {"x": {}}},
    {"quota_set": {"volumes": 10**30}},
    {"meta": {"\u0000": ""}},
    {"os-reset_status": "x"},
    {"addProjectAccess": {"project": "\u0000"}},
)


async def test_paths_may_name_the_project_of_the_token_and_no_other(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    mine = f"{V3}/{volumes.api.project}/volumes"
    shown = (await volumes.member.get(f"{mine}/{volume}")).json["volume"]
    assert shown["links"][0]["href"] == f"http://cloud.example{mine}/{volume}"
    shown = (await volumes.member.get(f"{V3}/volumes/{volume}")).json["volume"]
    assert shown["links"][0]["href"] == f"http://cloud.example{V3}/volumes/{volume}"
    await volumes.made()
    link = (await volumes.member.get(f"{mine}?limit=1")).json["volumes_links"][0]["href"]
    assert link.startswith(f"http://cloud.example{mine}?")
    for client in (volumes.other, volumes.admin):
        reply = await client.get(mine)
        assert (reply.status, list(reply.json)) == (400, ["badRequest"])
    assert (await volumes.api.nobody.get(mine)).status == 401


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        (None, 200, "volume 3.0"),
        ("volume 3.71", 200, "volume 3.71"),
        ("volume latest", 200, "volume 3.71"),
        ("compute 2.96", 200, "volume 3.0"),
        ("compute 2.96, volume 3.27", 200, "volume 3.27"),
        ("volume 3.72", 406, "volume 3.0"),
        ("volume 2.0", 406, "volume 3.0"),
        ("volume x", 400, "volume 3.0"),
    ],
)
async def test_versions_are_negotiated(api: Api, asked: str | None, status: int, told: str) -> None:
    headers = {} if asked is None else {"openstack_api_version": asked}
    reply = await api.member.get(f"{V3}/volumes", **headers)
    assert (reply.status, reply.headers["openstack-api-version"]) == (status, told)
    assert reply.headers["vary"] == "OpenStack-API-Version"


async def test_errors_are_in_cinder_s_format(api: Api) -> None:
    for path, status, name in (
        ("/volume/v3/none", 404, "itemNotFound"),
        ("/volume/v3/volumes/none", 404, "itemNotFound"),
        ("/volume/v3/volumes?limit=x", 400, "badRequest"),
        ("/volume/v3/os-services", 403, "forbidden"),
    ):
        reply = await api.member.get(path)
        assert reply.json[name]["code"] == reply.status == status
    reply = await api.member.ask("PATCH", f"{V3}/volumes", {})
    assert (reply.status, reply.json["badMethod"]["code"], reply.headers["allow"]) == (405, 405, "GET, POST")


async def test_nothing_that_a_client_sends_breaks_it(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    catalog = (await volumes.admin.get("/identity/v3/auth/catalog")).json["catalog"]
    url = next(one["endpoints"][0]["url"] for one in catalog if one["type"] == "volumev3")
    known = {"project_id": url.rpartition("/")[2], "volume_id": volume, "snapshot_id": await volumes.taken(volume)}
    for method, pattern in ROUTES:
        for one in ("x%00", "%2e%2e%2f", "%F0%9F%92%BE"):
            parts = [known.get(part[1:-1], one) if part[:1] == "{" else part for part in pattern.split("/")]
            path = "/volume" + "/".join(parts)
            bodies = ODD_BODIES if method in ("POST", "PUT") and one == "x%00" else (b"",)
            for body in bodies:
                reply = await volumes.admin.ask(method, path + (ODD_QUERY if method == "GET" else ""), body)
                assert reply.status < 500, (method, path, body, reply.body)
