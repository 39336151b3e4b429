"""A host that has fallen, with its real keys and with the broker in its hands: nobody takes what it may not say."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import signed
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.local import LocalBus
from freehold.bus.passports import Identity, sealed_passport
from freehold.bus.signed import Heard, SignedBus, Verified
from freehold.runtime.chance import SeededChance
from freehold.runtime.keys import SigningKey, is_signed
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.machine import Passport, Sealed
from tests.owners import HandClock, turns

CHANCE = SeededChance(5)
AUTHORITY = SigningKey.made(CHANCE)
YEAR_MS = 365 * 24 * 3600 * 1000
MINE, THEIRS = "freehold.event.c.host.good", "freehold.event.c.host.bad"


class Around:
    """A broker that everybody can write to, a reader, an honest host, and one that has fallen."""

    def __init__(self) -> None:
        self.broker, self.clock = LocalBus(CARRIED_BYTES_MAX), HandClock()
        self.barred: set[str] = set()
        self.reader = self.bus("reader", "api")
        self.good, self.bad = self.bus("good", "host"), self.bus("bad", "host")
        self.carried: list[tuple[str, bytes]] = []
        """What the broker has seen."""
        self.heard: list[bytes] = []

    def passport(self, name: str, role: str, key: SigningKey, **more: Any) -> Passport:
        now = self.clock.unix_ms()
        passport = Passport(
            machine=name,
            name=name,
            roles=(role,),
            cluster="c",
            stores=(name,),
            key=key.public,
            issued_ms=now,
            expires_ms=now + YEAR_MS,
        )
        return replace(passport, **more)

    def bus(self, name: str, role: str, authority: SigningKey = AUTHORITY, **more: Any) -> SignedBus:
        key = SigningKey.made(CHANCE)
        identity = Identity(sealed_passport(self.passport(name, role, key, **more), authority), key)
        is_barred = self.barred.__contains__
        return SignedBus(self.broker, identity, AUTHORITY.public, self.clock, CHANCE, is_barred)

    async def open(self) -> None:
        async def spy(subject: str, raw: bytes) -> None:
            self.carried.append((subject, raw))

        async def listener(_subject: str, body: bytes) -> None:
            self.heard.append(body)

        await self.broker.subscribe(">", spy)
        await self.reader.subscribe("freehold.event.>", listener)

    async def told(self, by: SignedBus, subject: str, body: bytes = b"it runs") -> bytes:
        """Says something, and gives it as the broker carried it."""
        await by.publish(subject, body)
        await turns()
        return self.carried[-1][1]

    async def inject(self, subject: str, raw: bytes) -> None:
        await self.broker.publish(subject, raw)
        await turns()

    def refused(self) -> dict[str, int]:
        return dict(self.reader.refused)


@pytest.fixture
async def around() -> AsyncIterator[Around]:
    made = Around()
    await made.open()
    yield made
    await made.broker.close()


async def test_what_a_machine_says_of_itself_is_heard(around: Around) -> None:
    await around.told(around.good, MINE)
    await around.told(around.bad, THEIRS, b"so do I")
    assert around.heard == [b"it runs", b"so do I"] and not around.refused()


async def test_a_host_speaks_for_itself_alone(around: Around) -> None:
    for subject in (MINE, "freehold.event.c.registrar.bad", "freehold.event.d.host.bad", "freehold.event.c.image.bad"):
        await around.told(around.bad, subject)
    assert not around.heard and around.refused() == {"not allowed": 4}


async def test_what_was_said_is_said_once_and_there(around: Around) -> None:
    raw = await around.told(around.good, MINE)
    await around.inject(MINE, raw)
    await around.inject(MINE.replace("good", "other"), raw)
    assert around.heard == [b"it runs"]
    assert around.refused() == {"replayed": 1, "not allowed": 1}


async def test_what_is_said_on_one_subject_isnt_said_on_another_of_the_same_machine(around: Around) -> None:
    raw = await around.told(around.good, "freehold.heartbeat.c.host.good")
    await around.inject(MINE, raw)
    assert not around.heard and around.refused() == {"forged": 1}


async def test_what_several_readers_of_a_process_hear_is_checked_once(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    checked: list[bytes] = []

    async def listener(_subject: str, body: bytes) -> None:
        heard.append(body)

    def counted(key: bytes, signature: bytes, purpose: bytes, *parts: bytes) -> bool:
        checked.append(signature)
        return is_signed(key, signature, purpose, *parts)

    monkeypatch.setattr(signed, "is_signed", counted)
    await around.reader.subscribe("freehold.event.c.>", listener)
    raw = await around.told(around.good, MINE)
    assert around.heard == heard == [b"it runs"] and len(checked) == 1
    await around.broker.publish(MINE, raw)
    await turns()
    assert around.heard == heard == [b"it runs"] and around.reader.refused["replayed"] == 2
    around.barred.add("good")
    await around.broker.publish(MINE, raw)
    await turns()
    assert around.reader.refused["barred"] == 2
    changed = bytearray(raw)
    changed[-1] ^= 1
    await around.broker.publish(MINE, bytes(changed))
    around.barred.clear()
    await around.broker.publish("freehold.event.c.host.another", raw)
    await turns()
    assert around.heard == heard == [b"it runs"]


def test_what_was_checked_is_remembered_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed, "VERIFIED_MAX", 3)
    monkeypatch.setattr(signed, "VERIFIED_BYTES_MAX", 10)
    verified = Verified()
    sealed = Sealed(by=b"", session=b"", number=1, time_ms=1, body=b"", signature=b"")
    said = [b"1", b"22", b"3", b"4"]
    for raw in said:
        verified.keep(raw, b"subject", sealed)
    assert [verified.get(raw, b"subject") is sealed for raw in said] == [False, True, True, True]
    assert verified.get(b"22", b"another") is None
    verified.keep(b"5" * 9, b"subject", sealed)
    verified.keep(b"6" * 11, b"subject", sealed)
    said += [b"5" * 9, b"6" * 11]
    assert [verified.get(raw, b"subject") is sealed for raw in said] == [False, False, False, True, True, False]


async def test_nobody_vouches_for_himself(around: Around) -> None:
    for name, role in (("good", "host"), ("bad", "registrar")):
        own = around.bus(name, role, authority=SigningKey.made(CHANCE))
        await around.told(own, f"freehold.event.c.{role}.{name}")
    assert not around.heard and around.refused() == {"unknown": 2}


async def test_a_passport_is_no_use_without_its_key(around: Around) -> None:
    sealed = decode(await around.told(around.good, MINE), Sealed)
    own = decode(await around.told(around.bad, THEIRS), Sealed)
    around.heard.clear()
    await around.inject(MINE, encode(replace(own, by=sealed.by)))
    assert not around.heard and around.refused() == {"forged": 1}


async def test_a_passport_ends(around: Around) -> None:
    short = around.bus("good", "host", expires_ms=around.clock.unix_ms() + 1000)
    await around.told(short, MINE)
    around.clock.move(1)
    await around.told(short, MINE)
    assert len(around.heard) == 1 and around.refused() == {"expired": 1}


async def test_who_is_barred_isnt_heard(around: Around) -> None:
    around.barred.add("bad")
    await around.told(around.bad, THEIRS)
    assert not around.heard and around.refused() == {"barred": 1}


async def test_a_day_old_message_is_stale_also_to_who_never_heard_it(around: Around) -> None:
    raw = await around.told(around.good, "freehold.event.c.host.good")
    around.heard.clear()
    late = around.bus("late", "api")
    await late.subscribe("freehold.event.>", lambda subject, body: around.inject("heard", body))
    around.clock.move(24 * 3600 + 1)
    await around.inject(MINE, raw)
    assert late.refused == {"stale": 1} and not around.heard


def test_what_is_far_behind_is_refused_for_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed, "WINDOW", 4)
    heard = Heard()
    assert [heard.is_new("m", b"s", number) for number in (8, 6, 6, 5, 4, 9)] == [True, True, False, True, False, True]


def test_a_machine_forgets_its_own_sessions_alone() -> None:
    heard = Heard()
    assert heard.is_new("good", b"s", 1)
    for session in range(1000):
        heard.is_new("bad", session.to_bytes(2, "big"), 1)
    assert not heard.is_new("good", b"s", 1)


async def test_a_question_is_answered_by_who_may_answer_it(around: Around) -> None:
    """The fallen host has taken the place of the registrar on the broker, and of the answer that was given before."""
    asked = "freehold.ask.registrar.0"
    answers: list[bytes] = []

    async def answer(_subject: str, body: bytes) -> bytes:
        return b"yes: " + body

    async def spied(_subject: str, raw: bytes) -> bytes:
        return answers[0]

    registrar = around.bus("registrar", "registrar")
    honest = await registrar.answer(asked, answer, "g")
    assert await around.reader.ask(asked, b"1", 5) == b"yes: 1"
    await honest.close()

    wrong = await around.bad.answer(asked, answer, "g")
    with pytest.raises(NoAnswer, match="not allowed"):
        await around.reader.ask(asked, b"1", 5)
    await wrong.close()

    old = registrar._sealed(signed.ANSWER, b"another question", b"yes: 1")
    answers.append(encode(old))
    await around.broker.answer(asked, spied, "g")
    with pytest.raises(NoAnswer, match="forged"):
        await around.reader.ask(asked, b"1", 5)


async def test_who_may_not_ask_isnt_answered(around: Around) -> None:
    asked: list[bytes] = []

    async def answer(_subject: str, body: bytes) -> bytes:
        asked.append(body)
        return b""

    registrar = around.bus("registrar", "registrar")
    await registrar.answer("freehold.ask.>", answer, "g")
    for subject in ("freehold.ask.registrar.0", "freehold.ask.ledger.0.host.good", "freehold.ask.ledger.0.scheduler"):
        with pytest.raises(NoAnswer, match="refused"):
            await around.bad.ask(subject, b"give me its deed", 5)
    await around.bad.ask("freehold.ask.ledger.0.host.bad", b"mine", 5)
    assert asked == [b"mine"] and registrar.refused == {"not allowed": 3}


async def test_nothing_that_is_made_up_or_changed_is_taken(around: Around) -> None:
    """A short form of a long attack: every byte of a message may be another, and parts of messages be put together."""
    random_ = random.Random(11)
    genuine = [await around.told(around.good, MINE, b"genuine %d" % number) for number in range(20)]
    own = [decode(await around.told(around.bad, THEIRS, b"own"), Sealed) for _ in range(20)]
    around.heard.clear()
    kinds: Counter[str] = Counter()
    for _ in range(3000):
        kind, raw = attack(random_, genuine, own)
        kinds[kind] += 1
        await around.broker.publish(MINE, raw)
    await turns()
    assert not around.heard and len(kinds) == 4
    assert sum(around.refused().values()) == 3000


def attack(random_: random.Random, genuine: list[bytes], own: list[Sealed]) -> tuple[str, bytes]:
    raw, mine = random_.choice(genuine), random_.choice(own)
    theirs = decode(raw, Sealed)
    match random_.randrange(4):
        case 0:
            place, bit = random_.randrange(len(raw)), 1 << random_.randrange(8)
            return "mutated", raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
        case 1:
            fields = {name: getattr(mine, name) for name in ("by", "session", "number", "body", "signature", "time_ms")}
            chosen = random_.sample(sorted(fields), random_.randrange(1, 6))
            return "put together", encode(replace(theirs, **{name: fields[name] for name in chosen}))
        case 2:
            return "replayed", raw
        case _:
            return "made up", random_.randbytes(random_.randrange(600))
