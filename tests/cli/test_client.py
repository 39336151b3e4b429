"""The commands' client: it signs in, and what goes wrong is a sentence."""

import asyncio
import contextlib
import gc
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from freehold.cli.client import Client
from freehold.cli.credentials import Admin
from freehold.vocabulary.errors import Conflict, NotFound, Unavailable
from freehold.vocabulary.secret import Secret

TOKEN = "a-token"
PASSWORD = "correct horse"


class Api:
    """An API that knows one path. `calls`: what came, with its token and body."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, Any]] = []
        self.signs_in = True

    async def sign_in(self, request: web.Request) -> web.Response:
        auth = (await request.json())["auth"]
        self.calls.append((request.method, request.path, request.headers.get("X-Auth-Token", ""), auth))
        if not self.signs_in:
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        return web.json_response({"token": {}}, status=201, headers={"X-Subject-Token": TOKEN})

    async def other(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.calls.append((request.method, request.path, request.headers.get("X-Auth-Token", ""), body))
        if request.path == "/things":
            return web.json_response({"made": body.decode()})
        if request.path == "/gone":
            return web.Response(status=204)
        if request.path == "/text":
            return web.Response(text="plainly")
        if request.path == "/taken":
            return web.json_response({"conflictingRequest": {"code": 409, "message": "it is taken"}}, status=409)
        if request.path == "/broken":
            return web.Response(status=500, text="x" * 10_000)
        return web.json_response({"error": {"message": "no such thing here"}}, status=404)


@contextlib.asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Admin]:
    app = web.Application()
    app.router.add_post("/identity/v3/auth/tokens", api.sign_in)
    app.router.add_route("*", "/{path:.*}", api.other)
    server = TestServer(app)
    await server.start_server()
    try:
        yield Admin(url=str(server.make_url("")).rstrip("/"), password=Secret(PASSWORD))
    finally:
        await server.close()


@pytest.fixture
async def api() -> Api:
    return Api()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[Client]:
    async with serving(api) as admin, Client(admin) as made:
        yield made


async def test_it_signs_in_as_the_admin_of_its_project(api: Api, client: Client) -> None:
    ((method, _, token, auth),) = api.calls
    assert (method, token) == ("POST", "")
    user = auth["identity"]["password"]["user"]
    assert (user["name"], user["password"], user["domain"]["id"]) == ("admin", PASSWORD, "default")
    assert auth["scope"]["project"]["name"] == "admin"


async def test_every_call_carries_the_token(api: Api, client: Client) -> None:
    assert await client.get("/things") == {"made": ""}
    assert await client.post("/things", {"a": 1}) == {"made": '{"a": 1}'}
    payload = aiohttp.BufferedReaderPayload(io.BufferedReader(io.BytesIO(b"bytes")))
    assert await client.put("/things", payload) == {"made": "bytes"}
    await client.delete("/gone")
    assert [(method, path, token) for method, path, token, _ in api.calls[1:]] == [
        ("GET", "/things", TOKEN),
        ("POST", "/things", TOKEN),
        ("PUT", "/things", TOKEN),
        ("DELETE", "/gone", TOKEN),
    ]


async def test_an_answer_without_a_body_or_that_isnt_json(client: Client) -> None:
    assert await client.get("/gone") == ""
    assert await client.get("/text") == "plainly"


async def test_what_isnt_there_says_so(client: Client) -> None:
    with pytest.raises(NotFound, match="no such thing here"):
        await client.get("/nothing")
    with pytest.raises(NotFound):
        await client.delete("/nothing")


async def test_what_is_refused_says_why(client: Client) -> None:
    with pytest.raises(Conflict, match=r"^the cloud refuses: it is taken$"):
        await client.put_json("/taken", {})


async def test_what_the_cloud_cant_do_is_told_in_a_few_words(client: Client) -> None:
    with pytest.raises(Unavailable, match="answered 500") as error:
        await client.get("/broken")
    assert len(error.value.message) < 1000


async def test_a_wrong_password_is_a_sentence(api: Api) -> None:
    api.signs_in = False
    async with serving(api) as admin:
        with pytest.raises(Unavailable, match=r"401.*who are you"):
            await Client(admin).__aenter__()


async def test_a_cloud_that_isnt_there_says_how_to_start_it() -> None:
    admin = Admin(url=f"http://127.0.0.1:{unused_port()}", password=Secret("p"))
    with pytest.raises(Unavailable, match=r"can't be reached.*freehold up"):
        await Client(admin).__aenter__()


async def test_a_cloud_that_goes_away_says_so_too(api: Api) -> None:
    async with serving(api) as admin:
        client = await Client(admin).__aenter__()
    with pytest.raises(Unavailable, match="can't be reached"):
        await client.get("/things")
    await client.__aexit__(None, None, None)


async def test_no_connection_stays_open(api: Api, recwarn: pytest.WarningsRecorder) -> None:
    api.signs_in = False
    async with serving(api) as admin:
        with pytest.raises(Unavailable):
            await Client(admin).__aenter__()
        await asyncio.sleep(0)
    gc.collect()
    assert not [w for w in recwarn if "nclosed" in str(w.message)]
