"""Filters, order and pages."""

import pytest

from tests.api.conftest import Api
from tests.api.image.making import V2, made_image, names_of


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
    await made_image(api.member, name="a", protected=True)
    await made_image(api.member, name="b", tags=["x", "y"])
    await made_image(api.member, name="c", colour="red", tags=["x"])
    await made_image(api.member, name="h", os_hidden=True)
    assert await names_of(api.member, query) == names


async def test_ids_are_looked_up_together(api: Api) -> None:
    images = [await made_image(api.member, name=name) for name in "abc"]
    ids = ",".join(image["id"] for image in images[:2])
    assert sorted(await names_of(api.member, f"?id=in:{ids}")) == ["a", "b"]


async def test_pages_follow_one_another(api: Api) -> None:
    for name in "edcba":
        await made_image(api.member, name=name)
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
