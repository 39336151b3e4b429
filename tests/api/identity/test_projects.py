"""Projects, and what is an admin's."""

import pytest

from tests.api.conftest import Api

V3 = "/identity/v3"


async def test_a_project_is_made_found_changed_and_deleted(api: Api) -> None:
    made = await api.admin.post(f"{V3}/projects", {"project": {"name": "shed", "description": "tools"}})
    assert made.status == 201
    project = made.json["project"]
    assert (await api.admin.get(f"{V3}/projects/{project['id']}")).json["project"] == project
    assert [p["id"] for p in (await api.admin.get(f"{V3}/projects?name=shed")).json["projects"]] == [project["id"]]
    changed = await api.admin.patch(f"{V3}/projects/{project['id']}", {"project": {"name": "barn"}})
    assert (changed.json["project"]["name"], changed.json["project"]["description"]) == ("barn", "tools")
    assert (await api.admin.delete(f"{V3}/projects/{project['id']}")).status == 204
    assert (await api.admin.get(f"{V3}/projects/{project['id']}")).status == 404


async def test_a_name_is_taken_once(api: Api) -> None:
    assert (await api.admin.post(f"{V3}/projects", {"project": {"name": "lab"}})).status == 409
    assert (await api.admin.post(f"{V3}/users", {"user": {"name": "maria"}})).status == 409
    assert (await api.admin.post(f"{V3}/roles", {"role": {"name": "member"}})).status == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "projects"),
        ("POST", "projects"),
        ("GET", "users"),
        ("POST", "users"),
        ("POST", "roles"),
        ("POST", "domains"),
        ("GET", "role_assignments"),
        ("DELETE", "projects/{project}"),
        ("PATCH", "users/{user}"),
        ("PUT", "projects/{project}/users/{user}/roles/x"),
        ("PUT", "system/users/{user}/roles/x"),
    ],
)
async def test_what_is_an_admin_s_is_forbidden_to_members(api: Api, method: str, path: str) -> None:
    where = path.format(project=api.project, user=api.user)
    assert (await api.member.ask(method, f"{V3}/{where}", {})).status == 403


async def test_members_see_themselves_and_their_projects_and_nobody_else(api: Api) -> None:
    assert (await api.member.get(f"{V3}/users/{api.user}")).status == 200
    assert (await api.other.get(f"{V3}/users/{api.user}")).status == 403
    assert (await api.other.get(f"{V3}/users/no-such-user")).status == 403
    assert (await api.member.get(f"{V3}/projects/{api.project}")).status == 200
    assert (await api.other.get(f"{V3}/projects/{api.project}")).status == 403
    assert [p["name"] for p in (await api.member.get(f"{V3}/auth/projects")).json["projects"]] == ["lab"]
    assert [p["name"] for p in (await api.member.get(f"{V3}/users/{api.user}/projects")).json["projects"]] == ["lab"]
    assert (await api.other.get(f"{V3}/users/{api.user}/projects")).status == 403
