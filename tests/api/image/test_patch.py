"""Changes by JSON patch."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.image.making import V2, made_image, patched, uploaded


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
    image = await made_image(api.member, colour="red")
    reply = await patched(api.member, image["id"], operation)
    assert reply.status == status, reply.body
    if status == 200:
        name = operation["path"][1:].replace("~1", "/")
        after = (await api.member.get(f"{V2}/images/{image['id']}")).json
        assert after.get(name) == operation.get("value")


async def test_a_patch_has_its_media_type(api: Api) -> None:
    image = await made_image(api.member)
    assert (await api.member.patch(f"{V2}/images/{image['id']}", [])).status == 415


async def test_formats_stay_once_there_are_bytes(api: Api) -> None:
    image = await made_image(api.member)
    await uploaded(api.member, image["id"])
    changed = {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    assert (await patched(api.member, image["id"], changed)).status == 403
