"""The broker over the bus: it tells its server who is shut out, and starts it again when it falls."""

from collections.abc import AsyncIterator

import pytest

from freehold.bus import subjects, talk, tickets
from freehold.drivers.busserver.simulated import SimulatedBusServer
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.machine import Roll
from freehold.vocabulary.secret import Secret
from freehold.workers.broker.effects import Served
from freehold.workers.broker.lifecycle import Place
from freehold.workers.broker.worker import PAUSE_S, BrokerWorker
from tests.owners import HandClock, means_of, turns, until

AUTHORITY = SigningKey(bytes(32))
KEY = Secret("11" * 32)


class Bench:
    """A broker whose server does nothing, and what it keeps."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.means = means_of(clock=self.clock)
        self.server = SimulatedBusServer()
        self.kept: list[Roll] = []
        place = Place("b", "c1", "127.0.0.1:1", hub=("nats://hub:1",))
        self.served = Served(self.server, place, self.roll(1), Secret("route"))
        self.served.identify("first", KEY)
        self.worker = BrokerWorker(self.means, self.served, tickets.account(AUTHORITY.public), self)

    def keep_roll(self, roll: Roll) -> None:
        self.kept.append(roll)

    def roll(self, time: int, *refused: int) -> Roll:
        return tickets.roll(AUTHORITY, {bytes([key]) * 32: 1000 for key in refused}, time)

    async def say(self, roll: Roll) -> None:
        await talk.say(self.means.bus, subjects.ROLL, roll)
        await turns()

    def has(self, roll: Roll) -> bool:
        return roll.accounts[0][1] in self.server.files["server.conf"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.served.start()
    await made.worker.open()
    yield made
    assert made.worker.tasks.failed is None
    await made.worker.close()
    await made.means.bus.close()


async def test_who_is_shut_out_is_told_to_the_server_and_kept(bench: Bench) -> None:
    shut = bench.roll(2, 7)
    await bench.say(shut)
    await until(lambda: bench.has(shut))
    assert bench.kept == [shut] and bench.server.changes == 1


async def test_the_same_again_changes_nothing(bench: Bench) -> None:
    for time in (2, 3, 4):
        await bench.say(bench.roll(time))
    assert bench.server.changes == 0 and not bench.kept


async def test_what_is_late_changes_nothing(bench: Bench) -> None:
    shut = bench.roll(5, 7)
    await bench.say(shut)
    await bench.say(bench.roll(4))
    await until(lambda: bench.has(shut))
    await turns()
    assert bench.has(shut) and bench.kept == [shut]


async def test_a_roll_of_another_authority_is_dropped(bench: Bench) -> None:
    await bench.say(tickets.roll(SigningKey(bytes([1]) * 32), {}, 9))
    assert bench.server.changes == 0 and not bench.kept


async def test_a_renewed_ticket_is_in_the_servers_files(bench: Bench) -> None:
    assert "first" in bench.server.files["credentials"]
    bench.worker.identify("second", KEY)
    await until(lambda: "second" in bench.server.files["credentials"])


async def test_a_server_that_falls_is_started_again_with_what_holds_now(bench: Bench) -> None:
    bench.server.fall()
    await turns()
    shut = bench.roll(2, 7)
    await bench.say(shut)
    for _ in range(3):
        bench.clock.move(PAUSE_S)
        await turns()
    await until(lambda: bench.server.starts == 2)
    assert bench.has(shut)
