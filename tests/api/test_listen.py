"""The API's HTTP server within somebody else's loop."""

import aiohttp
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from freehold.api.listen import Listener
from freehold.vocabulary.errors import Unavailable


def app_that_says_its_port(port: int) -> ASGIApp:
    return PlainTextResponse(str(port))


async def test_a_free_port_is_found_and_told_to_the_app() -> None:
    listener = Listener(app_that_says_its_port, "127.0.0.1", 0)
    port = await listener.open()
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert await answer.text() == str(port)
    finally:
        await listener.close()


async def test_a_port_in_use_is_a_sentence() -> None:
    first = Listener(app_that_says_its_port, "127.0.0.1", 0)
    port = await first.open()
    try:
        with pytest.raises(Unavailable, match="in use"):
            await Listener(app_that_says_its_port, "127.0.0.1", port).open()
    finally:
        await first.close()
