"""The scheduler as its peers meet it: builds come in, deeds are asked for, commands are carried."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.api.compute import actions, servers
from freehold.bus import subjects, talk
from freehold.store.database import Change, put
from freehold.views.columns import PACK, SPREAD, Weights
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Entry, Heartbeat, Owner, Position
from freehold.vocabulary.errors import Conflict, NoAnswer, NotFound, Unavailable
from freehold.vocabulary.guest import ConsoleLog, ConsoleOutput, HostQuestion, Start
from freehold.vocabulary.host import Drain, Retirement, Undrain
from freehold.vocabulary.request import Build, GiveUp, RecordDeed
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.word import Word
from freehold.workers.registrar import lifecycle as ledger
from freehold.workers.scheduler.worker import COMMAND_DEADLINE_S, FLEET_KNOWN_S, SchedulerWorker
from tests.owners import HandClock, a_build, a_deed, a_host, means_of, turns, until


class Around:
    """One scheduler, with hosts and a registrar that are played by hand.

    `sent`: builds for the network worker; `asked`: what the registrar was; `commands`: what hosts were.
    """

    def __init__(self, folder: Path, weights: Weights = SPREAD) -> None:
        self.clock = HandClock()
        self.means = means_of(clock=self.clock)
        self.bus = self.means.bus
        self.folder = folder
        self.worker = SchedulerWorker(self.means, folder / "fleet", "boot", weights)
        self.sent: list[Build] = []
        self.asked: list[Word] = []
        self.commands: list[tuple[str, Word]] = []
        self.first: dict[str, Deed] = {}
        """Deeds that somebody else has recorded."""
        self.gone: set[str] = set()
        self.registrar = asyncio.Event()
        self.registrar.set()
        self._seq = 0

    async def open(self) -> None:
        async def network(build: Build) -> None:
            self.sent.append(build)

        await talk.hear(self.bus, subjects.build_network("c"), Build, network)
        await talk.serve(
            self.bus, subjects.ask_ledger(0, "scheduler"), RecordDeed | GiveUp, self._registrar, "registrar"
        )
        for host in ("h1", "h2"):
            await talk.serve(self.bus, subjects.ask_host(host), HostQuestion, self._host(host), "host")
        await self.worker.open()

    async def close(self) -> None:
        await self.worker.close()
        await self.bus.close()

    async def _registrar(self, question: RecordDeed | GiveUp) -> Word:
        self.asked.append(question)
        await self.registrar.wait()
        if isinstance(question, GiveUp):
            return Done(store="r", position=Position(epoch="e"))
        if question.deed.guest in self.gone:
            raise Conflict("gone")
        return self.first.get(question.deed.guest, question.deed)

    def _host(self, host: str) -> Any:
        async def answer(question: Word) -> Word:
            self.commands.append((host, question))
            if isinstance(question, ConsoleLog):
                return ConsoleOutput(text=f"on {host}")
            return Done(store=host, position=Position(epoch="e"))

        return answer

    def tell(self, store: str, *changes: Change, role: str = "host") -> None:
        entries = [Entry(n, 1, c.kind, c.key, c.value, "t", b"") for n, c in enumerate(changes, self._seq + 1)]
        self._seq += len(entries)
        owner = Owner(store=store, role=role, cluster="c")
        self.worker.fleet.apply(owner, Position(epoch="e", seq=self._seq), entries)
        self.worker.fleet.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1))

    def host(self, host: str, **fields: Any) -> None:
        self.tell(host, put(host, a_host(host, **fields)))

    def place(self, guest: str, host: str) -> None:
        admission = replace(ledger.admitted(a_build(guest=guest)), deed=a_deed(guest, 1, host))
        self.tell("r", put(guest, admission), role="registrar")

    async def build(self, guest: str = "g", **fields: Any) -> None:
        expires = clock_time(self.clock.unix_ms() + 60_000)
        await talk.say(self.bus, subjects.BUILD_SCHEDULER, a_build(**{"guest": guest, "expires": expires} | fields))
        await turns()

    async def carry(self, question: Word, answer: type[Any] = Done) -> Any:
        return await talk.ask(self.bus, subjects.ASK_SCHEDULER, question, answer)


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[Around]:
    made = Around(tmp_path)
    await made.open()
    made.clock.move(FLEET_KNOWN_S)
    yield made
    await made.close()


def start(guest: str) -> Start:
    return Start(urn="urn:s", guest=guest, user="u", project="p")


async def test_a_build_goes_on_with_the_deed_that_was_recorded(around: Around) -> None:
    around.host("h1")
    await around.build()
    assert [question.deed.host for question in around.asked if isinstance(question, RecordDeed)] == ["h1"]
    assert [build.deed for build in around.sent] == [a_deed("g", 1, "h1")]


async def test_the_deed_that_was_first_wins(around: Around) -> None:
    around.host("h1", vcpus=1)
    around.host("h2", vcpus=1, ram_mib=1024)
    around.first["g"] = a_deed("g", 1, "h2")
    await around.build()
    assert [build.deed for build in around.sent] == [a_deed("g", 1, "h2")]
    await around.build("k")
    assert around.sent[-1].deed == a_deed("k", 1, "h1"), "the room was promised where the guest goes"


async def test_a_guest_that_gets_no_deed_goes_nowhere_and_takes_no_room(around: Around) -> None:
    around.host("h1", vcpus=1)
    around.gone.add("g")
    await around.build()
    assert not around.sent
    await around.build("k")
    assert [build.guest for build in around.sent] == ["k"]


async def test_room_that_is_promised_isnt_promised_twice(around: Around) -> None:
    around.host("h1", vcpus=1)
    around.registrar.clear()
    await around.build("g")
    await around.build("k")
    around.registrar.set()
    await until(lambda: around.sent)
    await turns()
    assert [build.guest for build in around.sent] == ["g"]
    assert [question.guest for question in around.asked if isinstance(question, GiveUp)] == ["k"]


async def test_a_registrar_that_thinks_holds_up_nobody_else(around: Around) -> None:
    around.host("h1")
    around.registrar.clear()
    await around.build("g")
    await around.build("k", deed=a_deed("k", 1, "h2"))
    assert [build.guest for build in around.sent] == ["k"]
    around.registrar.set()
    await until(lambda: len(around.sent) == 2)


async def test_a_repeat_with_its_deed_is_passed_on_unasked(around: Around) -> None:
    await around.build(deed=a_deed("g", 1, "h1"))
    assert [build.deed for build in around.sent] == [a_deed("g", 1, "h1")] and not around.asked


async def test_where_guests_are_packed_the_host_with_the_least_room_gets_them(tmp_path: Path) -> None:
    around = Around(tmp_path, PACK)
    await around.open()
    around.host("h1", ram_mib=8192)
    around.host("h2", ram_mib=4096)
    await around.build()
    assert [build.deed and build.deed.host for build in around.sent] == ["h2"]
    await around.close()


async def test_what_no_host_can_take_is_given_up(around: Around) -> None:
    around.host("h1", vcpus=0)
    await around.build(refused=("h2",))
    (given_up,) = around.asked
    assert isinstance(given_up, GiveUp)
    assert (given_up.guest, given_up.deed, given_up.fault.code) == ("g", 1, "NoRoom")


async def test_one_that_has_just_come_gives_nothing_up(tmp_path: Path) -> None:
    around = Around(tmp_path)
    await around.open()
    await around.build()
    assert not around.asked, "hosts may not have said yet that they are there"
    around.clock.move(FLEET_KNOWN_S)
    await around.build()
    assert [type(question) for question in around.asked] == [GiveUp]
    await around.close()


async def test_what_is_late_is_dropped(around: Around) -> None:
    around.host("h1")
    await around.build(expires=1)
    assert not around.asked and not around.sent


async def test_a_lost_registrar_costs_the_build_nothing(around: Around) -> None:
    around.host("h1", vcpus=1)
    around.registrar.clear()
    await around.build("g")
    await around.bus.close()  # every question is answered by NoAnswer
    await turns()
    assert around.worker.tasks.failed is None
    assert around.worker.fleet.choose(a_host("h", vcpus=1, ram_mib=1, disk_gib=1).total) is not None


async def test_a_command_is_carried_to_the_host_of_the_highest_deed(around: Around) -> None:
    around.place("g", "h1")
    around.place("g", "h2")
    assert (await around.carry(start("g"))).store == "h2"
    assert around.commands == [("h2", start("g"))]
    console = ConsoleLog(guest="g", project="p")
    assert (await around.carry(console, ConsoleOutput)).text == "on h2"


async def test_a_command_for_a_guest_that_is_nowhere_says_so(around: Around) -> None:
    with pytest.raises(NotFound, match="g could not be found"):
        await around.carry(start("g"))


async def test_a_command_for_a_host_that_is_away_is_not_answered(around: Around) -> None:
    around.place("g", "h9")
    with pytest.raises(NoAnswer, match="The host of instance g doesn't answer"):
        await around.carry(start("g"))


async def test_an_order_for_a_host_is_carried_to_it(around: Around) -> None:
    around.host("h1")
    order = Drain(urn="urn:d", host="h1", user="u", reason="fans")
    await around.carry(order)
    assert around.commands == [("h1", order)]
    with pytest.raises(Unavailable, match="Host h9 hasn't been heard"):
        await around.carry(Undrain(urn="urn:d", host="h9", user="u"))


async def test_an_order_for_a_host_beyond_the_centre_is_carried_there(around: Around) -> None:
    around.worker.fleet.abandon()
    means = dataclasses.replace(around.means, centre="core")
    around.worker = SchedulerWorker(means, around.folder / "fleet", "boot")
    asked: list[Word] = []

    async def host(order: Word) -> Done:
        asked.append(order)
        return Done(store="h1", position=Position(epoch="e"))

    await talk.serve(around.bus, subjects.ask_host("h1", "c"), HostQuestion, host, "host")
    around.host("h1")
    order = Drain(urn="urn:d", host="h1", user="u")
    await around.worker._carry(order)
    assert asked == [order]


async def test_an_order_for_a_host_that_is_away_names_it(around: Around) -> None:
    around.host("h9", name="rack-7")
    with pytest.raises(NoAnswer, match="Host rack-7 doesn't answer"):
        await around.carry(Drain(urn="urn:d", host="h9", user="u"))


async def test_a_drained_host_gets_no_build_and_a_retired_one_is_gone(around: Around) -> None:
    around.host("h1", enabled=False)
    around.host("h2")
    await around.build("g")
    around.tell("r", put("h2", Retirement(host="h2", name="h2", user="u", time=1)), role="registrar")
    await around.build("k")
    assert [question.deed.host for question in around.asked if isinstance(question, RecordDeed)] == ["h2"]
    assert [question.guest for question in around.asked if isinstance(question, GiveUp)] == ["k"]
    with pytest.raises(NotFound):
        await around.carry(Drain(urn="urn:d", host="h2", user="u"))


def test_who_asks_for_a_command_hears_that_its_host_is_away_before_it_takes_the_scheduler_for_away() -> None:
    assert min(actions.DEADLINE_S, servers.DEADLINE_S) > COMMAND_DEADLINE_S + 1
