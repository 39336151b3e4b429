"""The directory over the bus: in with an invitation, on with the old key, out for good."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.bus import passports, subjects, talk, tickets
from freehold.runtime.keys import SigningKey, opened
from freehold.store.database import Store
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, NotFound, Unauthorized
from freehold.vocabulary.machine import (
    PASSPORT_LIFE_S,
    Bar,
    Barred,
    Enroll,
    Invite,
    Invited,
    Machine,
    Passport,
    Passported,
    Renew,
    Roll,
    mac,
    route_key,
)
from freehold.workers.directory.records import Records
from freehold.workers.directory.worker import DirectoryWorker
from tests.owners import HandClock, means_of, store_at, turns, until


class Bench:
    """A directory, and machines that ask it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.clock = folder / "directory.db", HandClock()
        self.means = means_of(clock=self.clock)
        self.bus = self.means.bus
        self.told: list[Barred] = []

    async def open(self) -> None:
        self.store: Store = await store_at(self.path, self.means, role="directory")
        self.authority = await Records(self.store).authority(self.means.chance)
        self.worker = DirectoryWorker(self.means, self.store, self.authority)
        await self.worker.open()

    async def close(self) -> None:
        await self.worker.close()
        await self.store.close()

    async def invite(self, name: str = "h1", roles: tuple[str, ...] = ("host",), cluster: str = "c") -> Invited:
        asked = Invite(name=name, roles=roles, cluster=cluster)
        return await talk.ask(self.bus, subjects.ASK_DIRECTORY, asked, Invited)

    async def enroll(self, invited: Invited, key: SigningKey, store: str = "s1", proof: str = "") -> Passport:
        request = passports.machine_request(key, (store,), proof or invited.id)
        asked = Enroll(invitation=invited.id, request=request, mac=mac(invited.secret, request))
        answer = await talk.ask(self.bus, subjects.ASK_DIRECTORY, asked, Passported)
        assert answer.mac == mac(invited.secret, answer.papers)
        return self.opened(answer)

    def opened(self, answer: Passported) -> Passport:
        self.papers = passports.read_papers(answer)
        passport = passports.opened_passport(self.papers.passport, self.authority.public)
        assert passport is not None
        return passport

    async def renew(self, machine: str, old: SigningKey, new: SigningKey) -> Passport:
        request = passports.machine_request(new, ("s1",), machine)
        asked = Renew(machine=machine, request=request, signature=passports.renewal(old, request))
        return self.opened(await talk.ask(self.bus, subjects.ASK_PASSPORT, asked, Passported))

    async def bar(self, machine: str) -> Done:
        return await talk.ask(self.bus, subjects.ASK_DIRECTORY, Bar(machine=machine), Done)

    def key(self) -> SigningKey:
        return SigningKey.made(self.means.chance)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.open()
    yield made
    await made.close()
    await made.bus.close()


async def test_a_machine_is_let_in_once_and_asks_again_if_it_didnt_hear(bench: Bench) -> None:
    invited, key = await bench.invite(), bench.key()
    assert invited.authority == bench.authority.public
    passport = await bench.enroll(invited, key)
    assert (passport.name, passport.roles, passport.stores, passport.key) == ("h1", ("host",), ("s1",), key.public)
    assert (await bench.enroll(invited, key)).machine == passport.machine
    with pytest.raises(Conflict):
        await bench.enroll(invited, bench.key())
    assert [machine.id for machine in bench.store.scan(Machine)] == [passport.machine]


async def test_who_asks_must_have_the_key(bench: Bench) -> None:
    invited = await bench.invite()
    with pytest.raises(Unauthorized):
        await bench.enroll(invited, bench.key(), proof="another invitation")
    assert not bench.store.scan(Machine)


async def test_a_key_is_rolled_with_the_one_before(bench: Bench) -> None:
    first, second, third = bench.key(), bench.key(), bench.key()
    machine = (await bench.enroll(await bench.invite(), first)).machine
    assert (await bench.renew(machine, first, second)).key == second.public
    with pytest.raises(Unauthorized):
        await bench.renew(machine, first, third)
    assert (await bench.renew(machine, second, third)).key == third.public


async def test_a_renewal_whose_answer_was_lost_is_asked_for_again(bench: Bench) -> None:
    first, second = bench.key(), bench.key()
    machine = (await bench.enroll(await bench.invite(), first)).machine
    for _ in range(2):
        assert (await bench.renew(machine, first, second)).key == second.public


async def test_who_is_barred_is_named_at_once_and_again_and_gets_nothing_more(bench: Bench) -> None:
    invited, key = await bench.invite(), bench.key()
    machine = (await bench.enroll(invited, key)).machine

    async def hear(barred: Barred) -> None:
        bench.told.append(barred)

    await talk.hear(bench.bus, subjects.BARRED, Barred, hear)
    await bench.bar(machine)
    await until(lambda: Barred(machines=(machine,)) in bench.told)
    heard = len(bench.told)
    bench.clock.move(3)
    await until(lambda: len(bench.told) > heard)
    assert bench.told[-1] == Barred(machines=(machine,))
    with pytest.raises(Unauthorized):
        await bench.renew(machine, key, bench.key())
    with pytest.raises(Unauthorized):
        await bench.enroll(invited, key)
    with pytest.raises(NotFound):
        await bench.bar("nobody")


async def test_the_directory_doesnt_shut_itself_out(bench: Bench) -> None:
    machine = (await bench.enroll(await bench.invite("control"), bench.key(), store=bench.store.id)).machine
    with pytest.raises(Conflict):
        await bench.bar(machine)


async def test_what_was_given_holds_after_a_restart(bench: Bench) -> None:
    invited, key = await bench.invite(), bench.key()
    machine = (await bench.enroll(invited, key)).machine
    public = bench.authority.public
    await bench.close()
    await bench.open()
    assert bench.authority.public == public
    assert (await bench.enroll(invited, key)).machine == machine
    assert (await bench.renew(machine, key, bench.key())).machine == machine


async def test_invitations_that_are_over_are_forgotten(bench: Bench) -> None:
    invited = await bench.invite()
    assert Records(bench.store).invitation(invited.id) is not None
    bench.clock.move(3601)
    await turns()
    bench.clock.move(3)
    await until(lambda: Records(bench.store).invitation(invited.id) is None)


async def test_a_ticket_goes_with_each_passport_and_a_roll_with_a_brokers(bench: Bench) -> None:
    first, second = bench.key(), bench.key()
    machine = (await bench.enroll(await bench.invite(), first)).machine
    host = bench.papers
    assert host.ticket.count(".") == 2 and host.broker is None
    await bench.renew(machine, first, second)
    assert bench.papers.ticket not in ("", host.ticket)

    invited = await bench.invite("b1", roles=("broker",), cluster="c1")
    await bench.enroll(invited, bench.key(), store="none")
    broker = bench.papers.broker
    assert broker is not None and broker.roll.accounts[0][0] == tickets.account(bench.authority.public)
    route = opened(route_key(invited.secret), broker.route)
    assert route.decode() == tickets.route_password(bench.authority, "c1").reveal()


async def test_servers_are_told_at_once_and_again_whose_tickets_they_dont_take(bench: Bench) -> None:
    rolls: list[Roll] = []

    async def hear(roll: Roll) -> None:
        rolls.append(roll)

    first, second = bench.key(), bench.key()
    machine = (await bench.enroll(await bench.invite(), first)).machine
    await bench.renew(machine, first, second)
    await talk.hear(bench.bus, subjects.ROLL, Roll, hear)
    await bench.bar(machine)
    await until(lambda: rolls)
    ends_ms = bench.clock.unix_ms() + round(PASSPORT_LIFE_S * 1000)
    refused = {first.public: ends_ms, second.public: ends_ms}
    assert rolls[0].accounts == tickets.roll(bench.authority, refused, 1).accounts
    bench.clock.move(3)
    await until(lambda: len(rolls) > 1)
    assert rolls[-1].accounts == rolls[0].accounts and rolls[-1].time > rolls[0].time
