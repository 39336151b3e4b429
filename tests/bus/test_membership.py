"""A machine renews its passport with a key that it has just made, and doesn't hear who was shut out."""

from collections.abc import AsyncIterator

import pytest

from freehold.bus import subjects, talk
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.local import LocalBus
from freehold.bus.membership import LOOK_PERIOD_S, Membership
from freehold.bus.passports import Identity, sealed_passport
from freehold.runtime.chance import Chance
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.machine import Barred, MachineRequest, Papers, Passport, Passported, Renew
from tests.owners import HandClock, means_of, turns, until


class Kept:
    """What a machine's disk has of its key and passport."""

    def __init__(self) -> None:
        self.next = b""
        self.taken: list[tuple[bytes, Papers]] = []

    def next_key(self, chance: Chance) -> bytes:
        self.next = self.next or chance.bytes(32)
        return self.next

    def take(self, papers: Papers) -> None:
        self.taken.append((self.next, papers))
        self.next = b""


class Around:
    """A directory that gives passports of an hour, and machines that are its members."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.broker = LocalBus(CARRIED_BYTES_MAX)
        self.chance = means_of().chance
        self.authority = SigningKey.made(self.chance)
        self.renewals: list[Renew] = []
        self.kept = Kept()
        self.shown: list[Identity] = []
        """What the servers of the bus are shown from then on."""
        self.directory = self.member("d", "directory")

    def passport(self, name: str, role: str, key: bytes) -> Passport:
        now = self.clock.unix_ms()
        return Passport(
            machine=name,
            name=name,
            roles=(role,),
            cluster="c",
            stores=(name,),
            key=key,
            issued_ms=now,
            expires_ms=now + 3_600_000,
        )

    def member(self, name: str, role: str) -> Membership:
        key = SigningKey.made(self.chance)
        identity = Identity(sealed_passport(self.passport(name, role, key.public), self.authority), key)

        around = (self.clock, self.chance, self.kept, self.shown.append)
        return Membership(self.broker, identity, self.authority.public, *around)

    async def answer_renewals(self) -> None:
        async def renewed(asked: Renew) -> Passported:
            self.renewals.append(asked)
            key = decode(asked.request, MachineRequest).key
            passport = sealed_passport(self.passport(asked.machine, "host", key), self.authority)
            return Passported(papers=encode(Papers(passport=passport, ticket="new ticket")))

        await talk.serve(self.directory.bus, subjects.ASK_PASSPORT, Renew, renewed, "directory")


@pytest.fixture
async def around() -> AsyncIterator[Around]:
    made = Around()
    yield made
    await made.broker.close()


async def heard_from(around: Around, member: Membership, reader: Membership) -> list[bytes]:
    heard: list[bytes] = []

    async def listener(_subject: str, body: bytes) -> None:
        heard.append(body)

    subscription = await reader.bus.subscribe("freehold.event.>", listener)
    await member.bus.publish("freehold.event.c.host.h", b"news")
    await turns()
    await subscription.close()
    return heard


async def test_a_passport_is_renewed_when_half_of_it_is_over(around: Around) -> None:
    host, reader = around.member("h", "host"), around.member("r", "api")
    await around.answer_renewals()
    await host.open()
    await turns()
    assert not around.renewals
    for _ in range(4):
        around.clock.move(LOOK_PERIOD_S)
        await turns()
    await until(lambda: around.renewals)
    before = around.clock.unix_ms()
    assert host.passport is not None and host.passport.issued_ms <= before
    assert len(around.kept.taken) == 1 and SigningKey(around.kept.taken[0][0]).public == host.passport.key
    assert [(one.ticket, one.key.public) for one in around.shown] == [("new ticket", host.passport.key)]
    around.clock.move(2000)  # the first one is over
    assert await heard_from(around, host, reader) == [b"news"]
    await host.close()


async def test_while_the_directory_is_away_the_passport_holds_and_is_asked_for_again(around: Around) -> None:
    host = around.member("h", "host")
    first = host.passport
    assert first is not None
    with pytest.raises(NoAnswer):
        await host.renew(first)
    assert host.passport == first and not around.kept.taken
    await around.answer_renewals()
    await host.renew(first)
    assert host.passport is not None and host.passport.key != first.key


async def test_who_was_shut_out_isnt_heard_by_who_was_told(around: Around) -> None:
    host, reader = around.member("h", "host"), around.member("r", "api")
    await reader.open()
    assert await heard_from(around, host, reader) == [b"news"]
    await talk.say(around.directory.bus, subjects.BARRED, Barred(machines=("h",)))
    await until(lambda: reader._barred)
    assert await heard_from(around, host, reader) == []
    await talk.say(host.bus, subjects.BARRED, Barred(machines=("r", "d")))
    await turns()
    assert reader._barred == {"h"}, "nobody but the directory shuts others out"
    await reader.close()
