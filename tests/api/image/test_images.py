"""Images: records, lists and bytes."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from freehold.vocabulary.image import UPLOAD_BYTES_MAX
from tests.api.asgi import Client, Reply
from tests.api.conftest import Api

V2 = "/image/v2"
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch"}
BYTES = {"content-type": "application/octet-stream"}
RAW = bytes(range(256)) * 4096


async def _made(client: Client, **fields: Any) -> Any:
    document = {"name": "tiny", "disk_format": "raw", "container_format": "bare", **fields}
    reply = await client.post(f"{V2}/images", document)
    assert reply.status == 201, reply.body
    return reply.json


async def _patch(client: Client, image: str, *operations: Any) -> Reply:
    return await client.ask("PATCH", f"{V2}/images/{image}", list(operations), PATCH)


async def _upload(client: Client, image: str, content: bytes = RAW) -> Reply:
    return await client.ask("PUT", f"{V2}/images/{image}/file", content, BYTES)


async def _names(client: Client, query: str = "") -> list[str]:
    return [image["name"] for image in (await client.get(f"{V2}/images{query}")).json["images"]]


async def test_an_image_is_made_uploaded_and_read_back(api: Api) -> None:
    image = await _made(api.member, hw_disk_bus="virtio", tags=["a", "a", "b"])
    assert (image["status"], image["visibility"], image["hw_disk_bus"]) == ("queued", "shared", "virtio")
    assert image["tags"] == ["a", "b"]
    assert (await api.member.get(f"{V2}/images/{image['id']}/file")).status == 204
    assert (await _upload(api.member, image["id"])).status == 204
    shown = (await api.member.get(f"{V2}/images/{image['id']}")).json
    assert (shown["status"], shown["size"]) == ("active", len(RAW))
    assert shown["checksum"] == hashlib.md5(RAW).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha256", hashlib.sha256(RAW).hexdigest())
    read = await api.member.get(f"{V2}/images/{image['id']}/file")
    assert (read.body, read.headers["content-length"]) == (RAW, str(len(RAW)))
    assert read.headers["content-md5"] == shown["checksum"]


async def test_an_upload_that_breaks_off_leaves_no_image(api: Api) -> None:
    image = await _made(api.member)

    async def broken_off() -> AsyncIterator[bytes]:
        yield RAW
        raise ConnectionError

    sent = {**BYTES, "content-length": str(2 * len(RAW))}
    with pytest.raises(ConnectionError, match="nothing was answered"):
        await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", headers=sent, chunks=broken_off())
    assert (await api.member.get(f"{V2}/images/{image['id']}")).json["status"] in ("queued", "saving")
    assert (await api.member.get(f"{V2}/images/{image['id']}/file")).status in (204, 409)


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_over_the_limit_is_413(api: Api, declared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await _made(api.member)
    if declared:
        sent = {**BYTES, "content-length": str(UPLOAD_BYTES_MAX + 1)}
        reply = await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", b"", sent)
    else:
        monkeypatch.setattr("freehold.api.image.data.UPLOAD_BYTES_MAX", len(RAW) - 1)

        async def chunks() -> AsyncIterator[bytes]:
            yield RAW

        reply = await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", headers=BYTES, chunks=chunks())
    assert reply.status == 413


async def test_bytes_that_aren_t_what_they_are_said_to_be_are_refused(api: Api) -> None:
    image = await _made(api.member, disk_format="qcow2")
    reply = await _upload(api.member, image["id"])
    assert reply.status == 400
    assert (await api.member.get(f"{V2}/images/{image['id']}")).json["status"] == "killed"


async def test_an_upload_needs_formats_its_media_type_and_to_come_once(api: Api) -> None:
    unformatted = (await api.member.post(f"{V2}/images", {"name": "x"})).json
    assert (await _upload(api.member, unformatted["id"])).status == 409
    image = await _made(api.member)
    assert (await api.member.put(f"{V2}/images/{image['id']}/file", RAW)).status == 415
    assert (await _upload(api.member, image["id"])).status == 204
    assert (await _upload(api.member, image["id"])).status == 409


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({}, 201),
        ({"name": None}, 201),
        ({"id": "0b5a4a1c-0000-4000-8000-000000000000"}, 201),
        ({"id": "../../etc"}, 400),
        ({"id": 7}, 400),
        ({"name": "a\0b"}, 400),
        ({"visibility": "public"}, 403),
        ({"visibility": "secret"}, 400),
        ({"status": "active"}, 403),
        ({"size": 1}, 403),
        ({"owner": "somebody"}, 403),
        ({"disk_format": "floppy"}, 400),
        ({"min_disk": -1}, 400),
        ({"min_disk": 2**80}, 400),
        ({"property": 7}, 400),
        ({"property": "a\0"}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"tags": [str(n) for n in range(129)]}, 400),
        ({f"p{n}": "" for n in range(129)}, 413),
        ([], 400),
    ],
)
async def test_what_may_be_said_of_a_new_image(api: Api, document: Any, status: int) -> None:
    assert (await api.member.post(f"{V2}/images", document)).status == status


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/name", "value": "other"}, 200),
        ({"op": "add", "path": "/os_distro", "value": "debian"}, 200),
        ({"op": "replace", "path": "/colour", "value": "blue"}, 200),
        ({"op": "remove", "path": "/colour"}, 200),
        ({"op": "replace", "path": "/tags", "value": ["x"]}, 200),
        ({"op": "add", "path": "/a~1b", "value": "c"}, 200),
        ({"op": "remove", "path": "/os_distro"}, 409),
        ({"op": "replace", "path": "/os_distro", "value": "x"}, 409),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": "x"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/owner", "value": "somebody"}, 403),
        ({"op": "add", "path": "/locations/-", "value": "file:///etc/passwd"}, 400),
        ({"op": "add", "path": "/locations", "value": ["file:///etc/passwd"]}, 403),
        ({"op": "add", "path": "", "value": {}}, 400),
        ({"op": "add", "path": "/"}, 400),
        ({"op": "add", "path": "/x"}, 400),
        ({"op": "move", "path": "/x", "from": "/y"}, 400),
        ({"op": "replace", "path": "/min_ram", "value": "much"}, 400),
        ({"op": "replace", "path": "/disk_format", "value": "qcow2"}, 200),
        ("x", 400),
    ],
)
async def test_what_a_patch_may_change(api: Api, operation: Any, status: int) -> None:
    image = await _made(api.member, colour="red")
    reply = await _patch(api.member, image["id"], operation)
    assert reply.status == status, reply.body
    if status == 200:
        name = operation["path"][1:].replace("~1", "/")
        after = (await api.member.get(f"{V2}/images/{image['id']}")).json
        assert after.get(name) == operation.get("value")


async def test_a_patch_has_its_media_type(api: Api) -> None:
    image = await _made(api.member)
    assert (await api.member.patch(f"{V2}/images/{image['id']}", [])).status == 415


async def test_formats_stay_once_there_are_bytes(api: Api) -> None:
    image = await _made(api.member)
    await _upload(api.member, image["id"])
    changed = {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    assert (await _patch(api.member, image["id"], changed)).status == 403


async def test_a_private_image_is_nobody_else_s_to_see_or_touch(api: Api) -> None:
    image = await _made(api.member)
    path = f"{V2}/images/{image['id']}"
    assert (await api.other.get(path)).status == 404
    assert (await api.other.get(f"{path}/file")).status == 404
    assert (await api.other.delete(path)).status == 404
    assert (await _upload(api.other, image["id"])).status == 404
    assert (await _patch(api.other, image["id"])).status == 404
    assert await _names(api.other) == []
    assert (await api.admin.get(path)).status == 200


async def test_a_public_image_is_everybody_s_to_see_and_its_owner_s_to_change(api: Api) -> None:
    image = await _made(api.admin, visibility="public")
    path = f"{V2}/images/{image['id']}"
    assert (await api.member.get(path)).status == 200
    assert await _names(api.member) == ["tiny"]
    assert (await api.member.delete(path)).status == 403
    assert (await _upload(api.member, image["id"])).status == 403
    assert (await api.member.put(f"{path}/tags/x")).status == 403


async def test_a_community_image_is_found_by_who_looks_for_it(api: Api) -> None:
    image = await _made(api.member, visibility="community")
    assert await _names(api.other) == []
    assert await _names(api.other, "?visibility=community") == ["tiny"]
    assert (await api.other.get(f"{V2}/images/{image['id']}")).status == 200


async def test_a_protected_image_stays(api: Api) -> None:
    image = await _made(api.member, protected=True)
    path = f"{V2}/images/{image['id']}"
    assert (await api.member.delete(path)).status == 403
    await _patch(api.member, image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert (await api.member.delete(path)).status == 204
    assert (await api.member.get(path)).status == 404
    assert await _names(api.member) == []


async def test_tags_are_put_and_taken(api: Api) -> None:
    path = f"{V2}/images/{(await _made(api.member))['id']}"
    assert (await api.member.put(f"{path}/tags/x%2Fy")).status == 204
    assert (await api.member.get(path)).json["tags"] == ["x/y"]
    assert (await api.member.put(f"{path}/tags/a%00")).status == 400
    assert (await api.member.delete(f"{path}/tags/x%2Fy")).status == 204
    assert (await api.member.delete(f"{path}/tags/x%2Fy")).status == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?sort=name:asc", ["a", "b", "c"]),
        ("?sort_key=name&sort_dir=desc", ["c", "b", "a"]),
        ("?name=b", ["b"]),
        ("?name=in:a,c&sort=name:asc", ["a", "c"]),
        ("?name=%5Eb", []),
        ("?status=queued&name=a", ["a"]),
        ("?status=active", []),
        ("?tag=x&tag=y", ["b"]),
        ("?colour=red", ["c"]),
        ("?protected=true", ["a"]),
        ("?disk_format=qcow2", []),
        ("?size_min=1", []),
        ("?size_max=1&sort=name:asc", ["a", "b", "c"]),
        ("?os_hidden=true", ["h"]),
        ("?visibility=private", []),
        ("?owner=nobody", []),
        ("?created_at=gt:2020-01-01T00:00:00Z&sort=name:asc", ["a", "b", "c"]),
        ("?member_status=all&sort=name:asc&limit=2", ["a", "b"]),
    ],
)
async def test_filters_and_order(api: Api, query: str, names: list[str]) -> None:
    await _made(api.member, name="a", protected=True)
    await _made(api.member, name="b", tags=["x", "y"])
    await _made(api.member, name="c", colour="red", tags=["x"])
    await _made(api.member, name="h", os_hidden=True)
    assert await _names(api.member, query) == names


async def test_ids_are_looked_up_together(api: Api) -> None:
    images = [await _made(api.member, name=name) for name in "abc"]
    ids = ",".join(image["id"] for image in images[:2])
    assert sorted(await _names(api.member, f"?id=in:{ids}")) == ["a", "b"]


async def test_pages_follow_one_another(api: Api) -> None:
    for name in "edcba":
        await _made(api.member, name=name)
    seen, path = [], "/v2/images?limit=2&sort=name:asc"
    while path:
        page = (await api.member.get(f"/image{path}")).json
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
        seen += [image["name"] for image in page["images"]]
        path = page.get("next", "")
    assert seen == list("abcde")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=x", "limit=-1", "limit=1e3", "marker=none", "sort=colour", "sort=name:up", "visibility=x"),
        *("size_min=x", "os_hidden=perhaps", "marker=%00", "sort_key=x", "size_max=99999999999999999999999"),
    ],
)
async def test_a_query_that_can_t_be_is_400(api: Api, query: str) -> None:
    assert (await api.member.get(f"{V2}/images?{query}")).status == 400


async def test_versions_schemas_and_info(api: Api) -> None:
    assert (await api.nobody.get("/image")).status == 300
    assert (await api.nobody.get("/image/versions")).json["versions"][0]["status"] == "CURRENT"
    assert "os_hidden" in (await api.member.get(f"{V2}/schemas/image")).json["properties"]
    assert (await api.member.get(f"{V2}/info/import")).json["import-methods"]["value"] == []
    assert (await api.member.get(f"{V2}/info/stores")).json == {"stores": []}
    assert (await api.member.get(f"{V2}/tasks")).json["tasks"] == []
    image = await _made(api.member)
    assert (await api.member.get(f"{V2}/images/{image['id']}/members")).json["members"] == []
    assert (await api.member.post(f"{V2}/images/{image['id']}/members", {"member": "x"})).status == 501
