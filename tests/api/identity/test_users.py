"""Users and their passwords."""

from tests.api.conftest import PASSWORD, Api

V3 = "/identity/v3"


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
