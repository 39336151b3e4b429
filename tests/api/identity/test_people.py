"""Projects, users, roles, and application credentials."""

from typing import Any

import pytest

from tests.api.conftest import PASSWORD, Api

V3 = "/identity/v3"


async def _role(api: Api, name: str) -> str:
    found = (await api.admin.get(f"{V3}/roles?name={name}")).json["roles"]
    return str(found[0]["id"])


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


async def test_roles_are_granted_checked_listed_and_withdrawn(api: Api) -> None:
    role = await _role(api, "reader")
    path = f"{V3}/projects/{api.project}/users/{api.user}/roles"
    assert (await api.admin.get(f"{path}/{role}")).status == 404
    assert (await api.admin.put(f"{path}/{role}")).status == 204
    assert (await api.admin.put(f"{path}/{role}")).status == 204
    assert (await api.admin.ask("HEAD", f"{path}/{role}")).status == 204
    assert {r["name"] for r in (await api.member.get(path)).json["roles"]} == {"member", "reader"}
    query = f"{V3}/role_assignments?user.id={api.user}&include_names"
    rows = (await api.member.get(query)).json["role_assignments"]
    assert {(row["role"]["name"], row["scope"]["project"]["name"]) for row in rows} == {
        ("member", "lab"),
        ("reader", "lab"),
    }
    assert (await api.admin.delete(f"{path}/{role}")).status == 204
    assert (await api.admin.delete(f"{path}/{role}")).status == 404
    assert (await api.admin.put(f"{path}/none")).status == 404


async def test_system_roles_have_their_own_scope(api: Api) -> None:
    role = await _role(api, "admin")
    assert (await api.admin.put(f"{V3}/system/users/{api.user}/roles/{role}")).status == 204
    rows = (await api.admin.get(f"{V3}/role_assignments?scope.system=all")).json["role_assignments"]
    assert [row["scope"] for row in rows] == [{"system": {"all": True}}]


async def test_a_password_is_changed_by_who_knows_it(api: Api) -> None:
    path = f"{V3}/users/{api.user}/password"

    async def change(old: str) -> int:
        return (await api.member.post(path, {"user": {"original_password": old, "password": "new one"}})).status

    assert await change("wrong") == 401
    assert (await api.other.post(path, {"user": {"original_password": PASSWORD, "password": "x"}})).status == 403
    assert await change(PASSWORD) == 204
    await api.sign_in("maria", "new one", "lab")


async def test_passwords_and_secrets_never_come_back(api: Api) -> None:
    reply = await api.admin.post(f"{V3}/users", {"user": {"name": "eve", "password": "very secret"}})
    assert b"very secret" not in reply.body
    path = f"{V3}/users/{api.user}/application_credentials"
    made = await api.member.post(path, {"application_credential": {"name": "ci", "secret": "hush hush"}})
    assert made.json["application_credential"]["secret"] == "hush hush"
    assert b"hush hush" not in (await api.member.get(path)).body


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"name": "a", "roles": [{"name": "admin"}]}, 400),
        ({"name": "a", "roles": [{"name": "member"}]}, 201),
        ({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}, 400),
        ({"name": "a", "expires_at": "soon"}, 400),
        ({"name": "a", "expires_at": "2099-01-01T00:00:00"}, 201),
        ({"name": "a", "access_rules": [{}]}, 400),
        ({"name": "a", "project_id": "another"}, 400),
        ({"name": "a\0"}, 400),
    ],
)
async def test_an_application_credential_gives_no_more_than_its_maker_has(api: Api, given: Any, status: int) -> None:
    path = f"{V3}/users/{api.user}/application_credentials"
    assert (await api.member.post(path, {"application_credential": given})).status == status
    assert (await api.other.post(path, {"application_credential": {"name": "x"}})).status == 403


async def test_an_application_credential_makes_no_others(api: Api) -> None:
    path = f"{V3}/users/{api.user}/application_credentials"
    made = (await api.member.post(path, {"application_credential": {"name": "ci"}})).json["application_credential"]
    given = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": given}
    reply = await api.nobody.post(f"{V3}/auth/tokens", {"auth": {"identity": identity}})
    program = api.nobody.with_token(reply.headers["x-subject-token"])
    assert (await program.get(path)).status == 200
    assert (await program.post(path, {"application_credential": {"name": "more"}})).status == 403
    assert (await program.delete(f"{path}/{made['id']}")).status == 403


async def test_there_is_one_domain(api: Api) -> None:
    assert [d["id"] for d in (await api.member.get(f"{V3}/domains")).json["domains"]] == ["default"]
    assert (await api.member.get(f"{V3}/domains/default")).json["domain"]["name"] == "Default"
    assert (await api.member.get(f"{V3}/domains/other")).status == 404
    assert (await api.admin.post(f"{V3}/domains", {"domain": {"name": "x"}})).status == 501
    assert (await api.admin.post(f"{V3}/projects", {"project": {"name": "x", "domain_id": "other"}})).status == 400
