"""Roles and who has them."""

from tests.api.conftest import Api

V3 = "/identity/v3"


async def _role(api: Api, name: str) -> str:
    found = (await api.admin.get(f"{V3}/roles?name={name}")).json["roles"]
    return str(found[0]["id"])


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
