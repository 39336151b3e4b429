"""What every delivery promises (see freehold/drivers/delivery/interface.py)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from freehold.drivers.delivery.http import HttpDelivery
from freehold.drivers.delivery.interface import ANSWER_BYTES_MAX, Answered, Delivery, Failed, Outcome, Outgoing
from freehold.drivers.delivery.simulated import SimulatedDelivery
from freehold.runtime.clock import SystemClock
from tests.receivers import LOOPBACK, answers, hangs, serving


@dataclass
class Bench:
    """A delivery, and receivers by what they do: their URLs."""

    delivery: Delivery
    strict: Delivery
    urls: dict[str, str]
    got: Callable[[], list[bytes]]
    """The bodies that the one who takes everything was sent."""


@pytest.fixture(params=["http", "simulated"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        made = await _http(stack) if request.param == "http" else _simulated()
        yield made
        await made.delivery.close()
        await made.strict.close()


async def _http(stack: AsyncExitStack) -> Bench:
    takes = await stack.enter_async_context(serving(answers(200, b"a" * 2 * ANSWER_BYTES_MAX)))
    servers = {
        "takes": takes,
        "hangs": await stack.enter_async_context(serving(hangs)),
        "redirects": await stack.enter_async_context(
            serving(answers(307, b"", f"Location: http://127.0.0.1:{takes.port}/"))
        ),
    }
    urls = {name: f"http://127.0.0.1:{server.port}/hook" for name, server in servers.items()}
    urls["dead"] = "http://127.0.0.1:1/"
    return Bench(
        HttpDelivery(LOOPBACK, deadline_s=0.5),
        HttpDelivery(),
        {**urls, "dead": "http://127.0.0.1:1025/"},
        lambda: [whole.partition(b"\r\n\r\n")[2] for whole in takes.got],
    )


def _simulated() -> Bench:
    got: list[bytes] = []

    async def takes(outgoing: Outgoing) -> Outcome:
        got.append(outgoing.body)
        return Answered(200, b"a" * ANSWER_BYTES_MAX)

    async def never(_outgoing: Outgoing) -> Outcome:
        await SystemClock().sleep(60)
        raise AssertionError

    async def elsewhere(_outgoing: Outgoing) -> Outcome:
        return Answered(307, location="http://127.0.0.1:8001/hook")

    urls = {
        name: f"http://127.0.0.1:{port}/hook" for name, port in (("takes", 8001), ("hangs", 8002), ("redirects", 8003))
    }
    behaviours = {urls["takes"]: takes, urls["hangs"]: never, urls["redirects"]: elsewhere}
    sleep = SystemClock().sleep
    return Bench(
        SimulatedDelivery(sleep, behaviours, allowed=LOOPBACK, deadline_s=0.5),
        SimulatedDelivery(sleep, behaviours),
        {**urls, "dead": "http://127.0.0.1:8004/hook"},
        lambda: got,
    )


async def test_what_is_sent_arrives_and_the_answer_is_bounded(bench: Bench) -> None:
    outcome = await bench.delivery.send(Outgoing(bench.urls["takes"], body=b'{"a": 1}'))
    assert isinstance(outcome, Answered) and outcome.is_taken and len(outcome.body) == ANSWER_BYTES_MAX
    assert bench.got() == [b'{"a": 1}']


async def test_who_says_nothing_is_given_up(bench: Bench) -> None:
    outcome = await bench.delivery.send(Outgoing(bench.urls["hangs"], body=b"{}"))
    assert isinstance(outcome, Failed) and "0.5 s" in outcome.reason


async def test_a_redirect_is_an_answer(bench: Bench) -> None:
    outcome = await bench.delivery.send(Outgoing(bench.urls["redirects"], body=b"{}"))
    assert isinstance(outcome, Answered) and outcome.status == 307 and not outcome.is_taken
    assert bench.got() == []


async def test_nobody_there_is_no_error(bench: Bench) -> None:
    outcome = await bench.delivery.send(Outgoing(bench.urls["dead"], body=b"{}"))
    assert isinstance(outcome, Failed) and not outcome.forbidden


async def test_nothing_is_sent_inside_unless_it_is_allowed(bench: Bench) -> None:
    assert bench.delivery.refused(bench.urls["takes"]) == ""
    assert "this machine" in bench.strict.refused(bench.urls["takes"])
    outcome = await bench.strict.send(Outgoing(bench.urls["takes"], body=b"{}"))
    assert isinstance(outcome, Failed) and outcome.forbidden
    assert bench.got() == []


async def test_what_is_no_url_is_refused(bench: Bench) -> None:
    outcome = await bench.delivery.send(Outgoing("gopher://127.0.0.1/", body=b"{}"))
    assert isinstance(outcome, Failed) and outcome.forbidden
