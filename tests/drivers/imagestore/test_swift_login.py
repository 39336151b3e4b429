"""Ways into a Swift account: Keystone's, as its own client asks for it, and what is said where it leads nowhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from freehold.drivers.imagestore.swift_login import Granted, login_of
from freehold.vocabulary.errors import BadRequest, Unavailable
from freehold.vocabulary.place import IMAGES, Place, place_of
from freehold.vocabulary.secret import Secret

CATALOG: list[dict[str, Any]] = [
    {"type": "compute", "endpoints": [{"interface": "public", "region": "one", "url": "http://nova/"}]},
    {
        "type": "object-store",
        "name": "swift",
        "id": "x",
        "endpoints": [
            {"interface": "admin", "region": "one", "region_id": "one", "url": "http://one/admin", "id": "a"},
            {"interface": "public", "region": "one", "region_id": "one", "url": "http://one/public/", "id": "b"},
            {"interface": "public", "region": "two", "region_id": "two", "url": "http://two/public", "id": "c"},
            {"interface": "internal", "region": "two", "region_id": "two", "url": "http://two/internal", "id": "d"},
        ],
    },
]


class Keystone:
    """Keystone's tokens. `bodies`: what it was asked with."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status, self.catalog, self.base = 201, CATALOG, ""

    async def token(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        body = {
            "token": {"catalog": self.catalog, "expires_at": "2099-01-01T00:00:00.000000Z", "methods": ["password"]}
        }
        return web.json_response(body, status=self.status, headers={"X-Subject-Token": "the token"})


@pytest.fixture
async def keystone() -> AsyncIterator[Keystone]:
    server = Keystone()
    app = web.Application()
    app.router.add_post("/identity/v3/auth/tokens", server.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}/identity"
    yield server
    await runner.cleanup()


def place(**options: str) -> Place:
    found = place_of(f"swift://images?{urlencode(options)}", IMAGES)
    assert found is not None
    return found


async def entered(found: Place, **secrets: str) -> Granted:
    async with aiohttp.ClientSession() as http:
        return await login_of(found, {name: Secret(value) for name, value in secrets.items()})(http)


async def test_keystone_is_asked_as_its_own_client_asks(keystone: Keystone) -> None:
    v3: Any = pytest.importorskip("keystoneauth1.identity.v3")
    session: Any = pytest.importorskip("keystoneauth1.session")

    def ask_as_its_client_does(plugin: Any) -> None:
        session.Session(auth=plugin).get_token()

    named = {"username": "me", "user_domain_name": "Staff", "project_name": "images", "project_domain_name": "Default"}
    url = f"{keystone.base}/v3"
    by_password = v3.Password(auth_url=url, password="pw", **named)
    by_credential = v3.ApplicationCredential(
        auth_url=url, application_credential_id="one", application_credential_secret="pw"
    )
    await entered(place(auth=keystone.base, user="me", user_domain="Staff", project="images"), password="pw")
    await asyncio.to_thread(ask_as_its_client_does, by_password)
    await entered(place(auth=url, application_credential="one"), application_credential_secret="pw")
    await asyncio.to_thread(ask_as_its_client_does, by_credential)
    assert keystone.bodies[0] == keystone.bodies[1] and keystone.bodies[2] == keystone.bodies[3]


@pytest.mark.parametrize(
    ("options", "account"),
    [
        ({}, "http://one/public"),
        ({"region": "two"}, "http://two/public"),
        ({"region": "two", "interface": "internal"}, "http://two/internal"),
    ],
)
async def test_the_catalog_has_the_account(keystone: Keystone, options: dict[str, str], account: str) -> None:
    found = place(auth=keystone.base, user="me", project="images", **options)
    granted = await entered(found, password="pw")
    assert granted.account_url == account and granted.token == Secret("the token")


async def test_a_region_without_swift_is_said(keystone: Keystone) -> None:
    found = place(auth=keystone.base, user="me", project="images", region="three")
    with pytest.raises(Unavailable, match="no public endpoint of object-store in region three"):
        await entered(found, password="pw")


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, Unavailable, "lets nobody in"),
        (404, Unavailable, "answered 404 where a token was asked for"),
        (302, Unavailable, "answered 302"),
        (503, ConnectionError, "answered 503"),
    ],
)
async def test_what_keystone_refuses_is_said(
    keystone: Keystone, status: int, error: type[Exception], said: str
) -> None:
    keystone.status = status
    with pytest.raises(error, match=said):
        await entered(place(auth=keystone.base, user="me", project="images"), password="pw")


async def test_another_server_is_not_taken_for_keystone(keystone: Keystone) -> None:
    keystone.catalog = "none"  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="doesn't answer as Keystone does"):
        await entered(place(auth=keystone.base, user="me", project="images"), password="pw")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"user": "me", "project": "images"}, "password"),
        ({"application_credential": "one"}, "application_credential_secret"),
    ],
)
def test_the_secret_that_lacks_is_named(options: dict[str, str], wanted: str) -> None:
    with pytest.raises(BadRequest, match=f"needs {wanted} in its file of secrets"):
        login_of(place(auth="http://keystone", **options), {})
