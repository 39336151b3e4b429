"""What ``Prefer`` says, as RFC 7240 has it, and that who is gone isn't waited for."""

import asyncio
from typing import Any

import pytest

from freehold.api.call import Call, Query
from freehold.api.waiting import WAIT_S_MAX, preferred_s, wait
from freehold.views.news import Newsroom
from tests.owners import turns


class View:
    def __init__(self) -> None:
        self.news = Newsroom(self)  # type: ignore[arg-type]


class Cloud:
    def __init__(self) -> None:
        self.view = View()


def a_call(prefer: str = "", **fields: Any) -> Call:
    headers = {"prefer": prefer} if prefer else {}
    cloud: Any = Cloud()
    tokens: Any = None
    return Call(
        cloud=cloud,
        method="POST",
        door="compute",
        path="/",
        query=Query(""),
        headers=headers,
        request_id="req-1",
        tokens=tokens,
        **fields,
    )


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", 0),
        ("wait=10", 10),
        ("WAIT=10", 10),
        ('wait="10"', 10),
        ("wait = 10", 10),
        ("wait=10; foo=bar", 10),
        ("respond-async, wait=10", 10),
        ("wait=10, wait=20", 10),
        ("wait=0", 0),
        ("wait=999999", WAIT_S_MAX),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=ten, wait=20", 0),
        ("wait", 0),
        ("wait=", 0),
        ("wait=٣", 0),
        ("wait=99999999999999999999", 0),
        ("await=10", 0),
        ("return=minimal", 0),
    ],
)
def test_what_a_client_prefers(prefer: str, seconds: int) -> None:
    assert preferred_s(a_call(prefer)) == seconds


async def test_who_is_gone_is_not_waited_for() -> None:
    left = asyncio.Event()

    async def gone() -> None:
        await left.wait()

    waiting = asyncio.create_task(wait(a_call(gone=gone), ["g"], lambda: False, 60))
    await turns()
    assert not waiting.done()
    left.set()
    assert await asyncio.wait_for(waiting, 5)


async def test_it_is_asked_when_there_is_news_of_a_name_and_at_no_other_time() -> None:
    call, asked = a_call(), [0]

    def is_over() -> bool:
        asked[0] += 1
        return asked[0] > 2

    waiting = asyncio.create_task(wait(call, ["g", "urn:1"], is_over, 60))
    await turns()
    before = asked[0]
    await turns()
    assert asked[0] == before
    for watch in list(call.cloud.view.news._watches["urn:1"]):
        watch.wake()
    assert await asyncio.wait_for(waiting, 5)
    assert not call.cloud.view.news._watches
