"""Tokens and tries, before a Swift that does what a real one seldom does."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from freehold.drivers.imagestore import over_http
from freehold.drivers.imagestore.swift_account import SwiftAccount
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.place import IMAGES, place_of
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import MIB


class Moody:
    """A Swift that keeps nothing. `entered`: how often a token was asked for; only the last one is good."""

    def __init__(self) -> None:
        self.entered, self.asked, self.base = 0, 0, ""
        self.closed = False
        self.fails: list[int] = []

    async def enter(self, _: web.Request) -> web.Response:
        self.entered += 1
        if self.closed:
            return web.Response(status=401)
        headers = {"X-Auth-Token": f"token {self.entered}", "X-Storage-Url": f"{self.base}/v1/AUTH_x"}
        return web.Response(status=200, headers=headers)

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.headers["X-Auth-Token"] != f"token {self.entered}":
            if request.method == "PUT" and request.transport is not None:
                request.transport.abort()  # its answer is lost under the bytes that still come
            return web.Response(status=401)
        if self.fails:
            return web.Response(status=self.fails.pop(), text="of its own token " + request.headers["X-Auth-Token"])
        await request.read()
        return web.Response(status=201 if request.method == "PUT" else 200)


@pytest.fixture
async def moody(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Moody]:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.001)
    server = Moody()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_get("/auth/v1.0", server.enter)
    app.router.add_route("*", "/v1/{rest:.*}", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


def account_at(moody: Moody) -> SwiftAccount:
    place = place_of(f"swift://images?auth={moody.base}/auth/v1.0&user=a:b", IMAGES)
    assert place is not None
    return SwiftAccount(place, {"password": Secret("hunter2")})


async def test_a_token_is_asked_for_once_for_all_who_wait(moody: Moody) -> None:
    account = account_at(moody)

    async def look() -> None:
        async with account.session() as swift:
            await swift.ask("GET", "", 200)

    await asyncio.gather(*(look() for _ in range(10)))
    assert moody.entered == 1
    moody.entered += 1  # what was given out has run out
    await asyncio.gather(*(look() for _ in range(10)))
    assert moody.entered == 3


async def test_who_gives_up_waiting_for_a_token_does_not_end_it_for_others(moody: Moody) -> None:
    account = account_at(moody)
    first, second = (asyncio.create_task(account.granted()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).token == Secret("token 1") and moody.entered == 1


async def test_a_token_that_runs_out_shows_also_as_a_connection_that_breaks_under_bytes(moody: Moody) -> None:
    async with account_at(moody).session() as swift:
        await swift.ask("GET", "", 200)
        moody.entered += 1
        await swift.ask("PUT", "name", 201, body=[bytes(MIB)] * 32)


async def test_what_fails_is_asked_again_and_not_for_ever(moody: Moody) -> None:
    async with account_at(moody).session() as swift:
        moody.fails = [503, 500, 429]
        assert (await swift.ask("PUT", "name", 201, body=[b"x"])).status == 201
        moody.fails, moody.asked = [503] * 100, 0
        with pytest.raises(Unavailable, match="it answered 503: of its own token …") as caught:
            await swift.ask("GET", "name", 200)
        assert moody.asked == over_http.TRIES_MAX and "token 1" not in caught.value.message


async def test_who_is_not_let_in_does_not_knock_again(moody: Moody) -> None:
    moody.closed = True
    async with account_at(moody).session() as swift:
        with pytest.raises(Unavailable, match="lets nobody in"):
            await swift.ask("GET", "", 200)
    assert moody.entered == 1


async def test_a_token_that_is_refused_as_soon_as_it_is_given_ends_the_tries(moody: Moody) -> None:
    async with account_at(moody).session() as swift:
        moody.fails = [401] * 100
        with pytest.raises(Unavailable, match="may not do that"):
            await swift.ask("GET", "", 200)
    assert moody.entered == 2
