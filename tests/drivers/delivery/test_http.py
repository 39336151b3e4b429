"""Real receivers on this machine: those that misbehave harm nobody, and what is inside is never reached."""

import asyncio

import pytest

from freehold.drivers.delivery.http import HttpDelivery
from freehold.drivers.delivery.interface import DOUBTFUL_OF_LANE_MAX, LANE_AT_ONCE_MAX, Answered, Failed, Outgoing
from tests import receivers
from tests.receivers import LOOPBACK, Names, answers, hangs, serving


async def test_what_comes_of_each_behaviour() -> None:
    rows = {row.receiver: row for row in await receivers.behaviours()}
    came = {name: row.outcome.status for name, row in rows.items() if isinstance(row.outcome, Answered)}
    assert came == {"takes it": 204, "fails": 500, "is gone": 410, "asks for patience": 429, "answers a gigabyte": 200}
    assert all(row.took_s < receivers.DEADLINE_S + 1 for row in rows.values())
    patience = rows["asks for patience"].outcome
    assert isinstance(patience, Answered) and patience.retry_after == "120"


@pytest.mark.parametrize("rows", [receivers.spellings, receivers.rebinding])
async def test_nothing_is_sent_inside(rows) -> None:  # type: ignore[no-untyped-def]
    for row in await rows():
        assert row.reached == 0, row.text()
        if row.receiver != "a name that changes between check and use":
            assert isinstance(row.outcome, Failed) and row.outcome.forbidden, row.text()


async def test_no_redirect_is_followed() -> None:
    rows = await receivers.redirects()
    assert len(rows) >= 12
    for row in rows:
        assert row.reached == 0, row.text()
        assert isinstance(row.outcome, Answered) and row.outcome.status == 302 and not row.outcome.is_taken


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answers(200)) as proxy, serving(answers(200)) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        delivery = HttpDelivery(LOOPBACK)
        await delivery.send(Outgoing(f"http://127.0.0.1:{server.port}/"))
        await delivery.close()
    assert (len(proxy.got), len(server.got)) == (0, 1)


@pytest.mark.parametrize(
    ("lane", "doubtful", "most"), [("theirs", False, LANE_AT_ONCE_MAX), ("ours", True, DOUBTFUL_OF_LANE_MAX)]
)
async def test_who_hangs_keeps_only_their_like_waiting(lane: str, doubtful: bool, most: int) -> None:
    delivery = HttpDelivery(LOOPBACK, lookup=Names(["127.0.0.1"]), deadline_s=20)
    async with serving(hangs) as dead, serving(answers(200)) as living:
        outgoing = Outgoing(f"http://dead.example:{dead.port}/", lane=lane, doubtful=doubtful)
        stuck = [asyncio.create_task(delivery.send(outgoing)) for _ in range(most + 1)]
        while len(dead.got) < most:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            outcome = await delivery.send(Outgoing(f"http://living.example:{living.port}/", lane="ours"))
        assert isinstance(outcome, Answered) and outcome.is_taken
        assert len(dead.got) == most, "the one past its share waits"
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
    await delivery.close()


async def test_a_name_that_nobody_has_is_said_so() -> None:
    async def nowhere(host: str, _port: int) -> list[str]:
        raise OSError(f"{host} isn't known")

    delivery = HttpDelivery(lookup=nowhere)
    outcome = await delivery.send(Outgoing("http://receiver.example/"))
    await delivery.close()
    assert isinstance(outcome, Failed) and not outcome.forbidden
