"""Images that are shared with single projects."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.image.making import V2, made_image, names_of, patched, uploaded


async def shared_image(api: Api) -> tuple[str, str]:
    """An image that its project shares with another, and the other's id."""
    image = (await made_image(api.member))["id"]
    project = (await made_image(api.other, name="others", visibility="private"))["owner"]
    reply = await api.member.post(f"{V2}/images/{image}/members", {"member": project})
    assert reply.status == 200, reply.body
    assert (reply.json["image_id"], reply.json["member_id"], reply.json["status"]) == (image, project, "pending")
    return image, project


async def test_a_member_sees_the_image_and_lists_it_when_it_has_accepted(api: Api) -> None:
    image, project = await shared_image(api)
    path = f"{V2}/images/{image}"
    assert (await api.other.get(path)).status == 200
    assert await names_of(api.other) == ["others"]
    assert await names_of(api.other, "?visibility=shared&member_status=pending") == ["tiny"]
    assert await names_of(api.other, "?visibility=shared&member_status=all") == ["tiny"]
    for status, listed in (
        ("accepted", ["others", "tiny"]),
        ("rejected", ["others"]),
        ("accepted", ["others", "tiny"]),
    ):
        changed = await api.other.put(f"{path}/members/{project}", {"status": status, "member": project})
        assert changed.status == 200 and changed.json["status"] == status
        assert sorted(await names_of(api.other)) == listed
        assert (await api.other.get(path)).status == 200, "by its id it is seen whatever the member says"
    assert await names_of(api.other, "?visibility=shared") == ["tiny"]


async def test_a_member_may_read_the_bytes_and_change_nothing(api: Api) -> None:
    image, _ = await shared_image(api)
    path = f"{V2}/images/{image}"
    assert (await uploaded(api.member, image)).status == 204
    assert (await api.other.get(f"{path}/file")).status == 200
    assert (await patched(api.other, image, {"op": "replace", "path": "/name", "value": "x"})).status == 403
    assert (await api.other.delete(path)).status == 403
    assert (await api.other.post(f"{path}/members", {"member": "a-third"})).status == 403
    assert (await api.other.delete(f"{path}/members/a-third")).status == 403


async def test_who_is_no_member_any_more_sees_nothing(api: Api) -> None:
    image, project = await shared_image(api)
    path = f"{V2}/images/{image}"
    await api.other.put(f"{path}/members/{project}", {"status": "accepted"})
    assert (await api.member.delete(f"{path}/members/{project}")).status == 204
    assert (await api.member.delete(f"{path}/members/{project}")).status == 404
    assert (await api.other.get(path)).status == (await api.other.get(f"{path}/members")).status == 404
    assert await names_of(api.other) == ["others"]


async def test_members_count_only_while_the_image_is_shared(api: Api) -> None:
    image, project = await shared_image(api)
    path = f"{V2}/images/{image}"
    await api.other.put(f"{path}/members/{project}", {"status": "accepted"})
    for visibility, status in (("private", 404), ("community", 200), ("shared", 200)):
        changed = await patched(api.member, image, {"op": "replace", "path": "/visibility", "value": visibility})
        assert changed.status == 200
        assert (await api.other.get(path)).status == status
        assert ("tiny" in await names_of(api.other)) is (visibility == "shared")
        again = await api.member.post(f"{path}/members", {"member": "a-third"})
        assert again.status == (200 if visibility == "shared" else 403), again.body


async def test_the_owner_sees_all_members_and_each_of_them_itself(api: Api) -> None:
    image, project = await shared_image(api)
    path = f"{V2}/images/{image}/members"
    assert (await api.member.post(path, {"member": "a-third"})).status == 200

    async def seen_by(client: Any) -> list[str]:
        return sorted(member["member_id"] for member in (await client.get(path)).json["members"])

    assert await seen_by(api.member) == await seen_by(api.admin) == sorted(["a-third", project])
    assert await seen_by(api.other) == [project]
    assert (await api.other.get(f"{path}/{project}")).status == (await api.member.get(f"{path}/a-third")).status == 200
    assert (await api.other.get(f"{path}/a-third")).status == 404


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("member", {"status": "accepted"}, 403),
        ("admin", {"status": "accepted"}, 200),
        ("other", {"status": "loved"}, 400),
        ("other", {"status": "accepted", "member_id": "x"}, 400),
        ("other", {"status": "accepted", "member": "x"}, 400),
        ("other", {}, 400),
        ("nobody", {"status": "accepted"}, 401),
    ],
)
async def test_who_says_what_of_an_image(api: Api, who: str, body: Any, status: int) -> None:
    image, project = await shared_image(api)
    assert (await getattr(api, who).put(f"{V2}/images/{image}/members/{project}", body)).status == status


@pytest.mark.parametrize(
    ("body", "status"), [({"member": ""}, 400), ({"member": 7}, 400), ({"member": "a\0"}, 400), ({}, 400), ([], 400)]
)
async def test_what_is_no_member_is_refused(api: Api, body: Any, status: int) -> None:
    image, _ = await shared_image(api)
    assert (await api.member.post(f"{V2}/images/{image}/members", body)).status == status
    assert (await api.other.get(f"{V2}/images?member_status=loved")).status == 400


async def test_a_project_is_a_member_once_and_there_are_not_too_many(api: Api) -> None:
    image, project = await shared_image(api)
    path = f"{V2}/images/{image}/members"
    assert (await api.member.post(path, {"member": project})).status == 409
    for number in range(127):
        assert (await api.member.post(path, {"member": f"p{number}"})).status == 200
    assert (await api.member.post(path, {"member": "one-too-many"})).status == 413


async def test_nothing_is_left_of_the_members_of_a_deleted_image(api: Api) -> None:
    image, project = await shared_image(api)
    await api.other.put(f"{V2}/images/{image}/members/{project}", {"status": "accepted"})
    assert (await api.member.delete(f"{V2}/images/{image}")).status == 204
    await made_image(api.member, id=image)
    assert (await api.member.get(f"{V2}/images/{image}/members")).json["members"] == []
    assert (await api.other.get(f"{V2}/images/{image}")).status == 404
