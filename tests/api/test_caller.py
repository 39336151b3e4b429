"""What makes a token hold, and what ends it."""

import base64
import json

import pytest

from tests.api.conftest import PASSWORD, Api


def _token(api: Api) -> str:
    return api.member.headers["x-auth-token"]


async def _status(api: Api, token: str) -> int:
    return (await api.nobody.with_token(token).get("/image/v2/images")).status


async def test_a_token_holds_until_its_time(api: Api) -> None:
    assert await _status(api, _token(api)) == 200
    api.clock.ahead_s = 3601
    assert await _status(api, _token(api)) == 401


def _forged(token: str, **claims: object) -> str:
    header, payload, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(told | claims).encode()).decode().rstrip("=")
    return ".".join((header, changed, signature))


def _with_header(token: str, **fields: object) -> str:
    header, payload, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(header + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(told | fields).encode()).decode().rstrip("=")
    return ".".join((changed, payload, signature))


async def test_a_changed_token_is_void(api: Api) -> None:
    assert await _status(api, _forged(_token(api), rol=["admin"])) == 401
    assert await _status(api, _with_header(_token(api), alg="none")) == 401
    assert await _status(api, _with_header(_token(api), alg="HS256")) == 401
    assert await _status(api, _with_header(_token(api), kid="another")) == 401
    assert await _status(api, _with_header(_token(api), kid=["x"])) == 401


@pytest.mark.parametrize("text", ["x", "..", "a.b.c", "é.é.é", "." * 10_000, "e30.e30.e30", "bnVsbA.e30.e30"])
async def test_what_is_no_token_is_401(api: Api, text: str) -> None:
    assert await _status(api, text.encode().decode("latin-1")) == 401


async def test_a_revoked_token_is_void_at_once(api: Api) -> None:
    token = _token(api)
    assert (await api.member.delete("/identity/v3/auth/tokens", x_subject_token=token)).status == 204
    assert await _status(api, token) == 401


async def test_a_new_password_or_being_disabled_voids_tokens(api: Api) -> None:
    path = f"/identity/v3/users/{api.user}"
    token = _token(api)
    assert (await api.admin.patch(path, {"user": {"password": "another one"}})).status == 200
    assert await _status(api, token) == 401
    token = await api.sign_in("maria", "another one", "lab")
    assert await _status(api, token) == 200
    assert (await api.admin.patch(path, {"user": {"enabled": False}})).status == 200
    assert await _status(api, token) == 401
    assert (await api.admin.patch(path, {"user": {"enabled": True}})).status == 200
    assert await _status(api, token) == 401


async def test_a_disabled_project_voids_its_tokens(api: Api) -> None:
    path = f"/identity/v3/projects/{api.project}"
    await api.admin.patch(path, {"project": {"enabled": False}})
    assert await _status(api, _token(api)) == 401


async def test_a_deleted_user_s_tokens_are_void(api: Api) -> None:
    assert (await api.admin.delete(f"/identity/v3/users/{api.user}")).status == 204
    assert await _status(api, _token(api)) == 401


async def test_an_application_credential_ends_with_its_tokens(api: Api) -> None:
    path = f"/identity/v3/users/{api.user}/application_credentials"
    made = (await api.member.post(path, {"application_credential": {"name": "ci"}})).json["application_credential"]
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    reply = await api.nobody.post("/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    token = reply.headers["x-subject-token"]
    assert reply.json["token"]["application_credential"]["name"] == "ci"
    assert await _status(api, token) == 200
    assert (await api.member.delete(f"{path}/{made['id']}")).status == 204
    assert await _status(api, token) == 401


async def test_a_user_made_a_moment_ago_can_use_their_token_at_once(api: Api) -> None:
    await api.new_user("nina", "shed")
    assert await _status(api, await api.sign_in("nina", PASSWORD, "shed")) == 200
