"""A verb that never returns is given up, said so, and the host goes on."""

import asyncio

import pytest

from freehold.drivers.fabric.interface import Peers
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.vocabulary.errors import Conflict, Unavailable
from freehold.vocabulary.guest import GuestState
from freehold.workers.host.deadlines import TimelyFabric, TimelyHypervisor, in_time
from tests.workers.host.bench import GUEST, Bench

S = GuestState


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_verb_past_its_bound_says_what_and_about_which() -> None:
    with pytest.raises(Unavailable, match=r"launch of g1 didn't end within 0.01 s"):
        await in_time("launch", "g1", 0.01, never())


async def test_a_verb_s_own_errors_pass_also_a_timeout_of_its_own() -> None:
    async def fails(error: Exception) -> None:
        raise error

    for error in (Conflict("no"), TimeoutError("the monitor's")):
        with pytest.raises(type(error)) as caught:
            await in_time("launch", "g1", 5, fails(error))
        assert caught.value is error


async def test_every_verb_but_the_probe_and_the_news_has_a_bound(bench: Bench) -> None:
    class Hangs:
        def __getattr__(self, verb: str) -> object:
            return lambda *arguments: never()

    hypervisor = TimelyHypervisor(Hangs(), 0.01, 0.01)  # type: ignore[arg-type]
    fabric = TimelyFabric(Hangs(), 0.01, 0.01)  # type: ignore[arg-type]
    looks = [hypervisor.guests(), hypervisor.power(GUEST), hypervisor.console_log(GUEST, 1), fabric.plugged()]
    changes = [hypervisor.shut_down(GUEST), hypervisor.reset(GUEST), hypervisor.stop(GUEST), hypervisor.remove(GUEST)]
    more = [fabric.unplug(GUEST), fabric.filter(()), fabric.reach(Peers()), fabric.sweep(frozenset()), fabric.probe()]
    for answer in await asyncio.gather(*looks, *changes, *more, return_exceptions=True):
        assert isinstance(answer, Unavailable)
    assert await TimelyFabric(SimulatedFabric()).plugged() == frozenset()


async def test_a_launch_that_hangs_refuses_the_build_and_other_guests_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.worker._hypervisor, "_change_s", 0.05)
    bench.hold("launch")
    await bench.send(bench.build())
    await asyncio.wait_for(_until(lambda: bench.state() is None), 5)
    assert "didn't end within" in bench.refusal().fault.message
    bench.release("launch")
    assert (await bench.running("00000000-0000-4000-8000-000000000002")).state is S.RUNNING


async def _until(holds: object) -> None:
    assert callable(holds)
    while not holds():
        await asyncio.sleep(0.01)
