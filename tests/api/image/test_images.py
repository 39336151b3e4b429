"""Records, and whose they are."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.image.making import V2, made_image, names_of, patched, uploaded


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


async def test_a_private_image_is_nobody_else_s_to_see_or_touch(api: Api) -> None:
    image = await made_image(api.member)
    path = f"{V2}/images/{image['id']}"
    assert (await api.other.get(path)).status == 404
    assert (await api.other.get(f"{path}/file")).status == 404
    assert (await api.other.delete(path)).status == 404
    assert (await uploaded(api.other, image["id"])).status == 404
    assert (await patched(api.other, image["id"])).status == 404
    assert await names_of(api.other) == []
    assert (await api.admin.get(path)).status == 200


async def test_a_public_image_is_everybody_s_to_see_and_its_owner_s_to_change(api: Api) -> None:
    image = await made_image(api.admin, visibility="public")
    path = f"{V2}/images/{image['id']}"
    assert (await api.member.get(path)).status == 200
    assert await names_of(api.member) == ["tiny"]
    assert (await api.member.delete(path)).status == 403
    assert (await uploaded(api.member, image["id"])).status == 403
    assert (await api.member.put(f"{path}/tags/x")).status == 403


async def test_a_community_image_is_found_by_who_looks_for_it(api: Api) -> None:
    image = await made_image(api.member, visibility="community")
    assert await names_of(api.other) == []
    assert await names_of(api.other, "?visibility=community") == ["tiny"]
    assert (await api.other.get(f"{V2}/images/{image['id']}")).status == 200


async def test_a_protected_image_stays(api: Api) -> None:
    image = await made_image(api.member, protected=True)
    path = f"{V2}/images/{image['id']}"
    assert (await api.member.delete(path)).status == 403
    await patched(api.member, image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert (await api.member.delete(path)).status == 204
    assert (await api.member.get(path)).status == 404
    assert await names_of(api.member) == []


async def test_tags_are_put_and_taken(api: Api) -> None:
    path = f"{V2}/images/{(await made_image(api.member))['id']}"
    assert (await api.member.put(f"{path}/tags/x%2Fy")).status == 204
    assert (await api.member.get(path)).json["tags"] == ["x/y"]
    assert (await api.member.put(f"{path}/tags/a%00")).status == 400
    assert (await api.member.delete(f"{path}/tags/x%2Fy")).status == 204
    assert (await api.member.delete(f"{path}/tags/x%2Fy")).status == 404
