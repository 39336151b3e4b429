"""Application credentials."""

from typing import Any

import pytest

from tests.api.conftest import Api

V3 = "/identity/v3"


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
