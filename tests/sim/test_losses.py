"""The operator of the simulation, who must come to an end with each host whatever an API knows of it."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.sim import losses
from freehold.sim.calls import Reply
from freehold.sim.losses import Operator

FENCE = "/freehold/v1/hosts/h/fence"


def answer(status: int, **body: Any) -> Any:
    return SimpleNamespace(status=status, body=b"", json=body)


def operator(knows: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Operator:
    """One with two APIs, of which some know the host."""
    monkeypatch.setattr(losses, "PAUSE_S", 0.0)

    async def call(api: Any, method: str, _path: str, _body: Any) -> Any:
        if api.name not in knows:
            return answer(404)
        return answer(200, seen="1") if method == "GET" else answer(200)

    apis = [SimpleNamespace(name=name) for name in ("api-0", "api-1")]
    world: Any = SimpleNamespace(apis=apis, tell=lambda *_: None, checkers=None)
    caller: Any = SimpleNamespace(call=call)
    return Operator(world, caller)


async def ordered(asked: Operator, method: str, *, may_be_gone: bool) -> Reply:
    order: Callable[[str], tuple[str, str, Any]] = lambda seen: (method, f"{FENCE}?seen={seen}", None)  # noqa: E731
    async with asyncio.timeout(5):
        return await asked._ordered(FENCE, order, may_be_gone=may_be_gone)


@pytest.mark.parametrize("knows", [("api-0",), ("api-1",), ("api-0", "api-1")])
async def test_an_order_is_given_where_the_host_is_known(
    knows: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await ordered(operator(knows, monkeypatch), "DELETE", may_be_gone=False)).status == 200


async def test_nothing_is_fenced_that_nobody_knows_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await ordered(operator((), monkeypatch), "PUT", may_be_gone=True)).status == 404
