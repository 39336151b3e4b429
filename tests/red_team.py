"""A host that has fallen attacks the bus with its real keys: everything that it tries is counted, and nothing is taken.

    python -m tests.red_team --count 1000000

On two brokers: one whose permissions are made of the table, as `freehold broker` runs it, and one that lets everybody
say and hear everything, as if the broker had fallen too. Each attack is one message. It is over when the broker has
denied it or who hears it has refused it; how many those are must be how many were sent.
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from freehold.bus import signed, talk
from freehold.bus.interface import CARRIED_BYTES_MAX, Answerer, Bus, Listener
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity, sealed_passport
from freehold.bus.signed import SignedBus
from freehold.runtime import log
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Done, Frame, Owner, Position
from freehold.vocabulary.machine import Sealed
from freehold.vocabulary.request import HostNotice, Lost
from tests.broker import Authority, Someone, server
from tests.nats_server import nats_server
from tests.owners import until

BATCH: Final = 500
GENUINE: Final = 40
"""Messages of the others that the fallen host has seen, before each batch."""
QUESTIONS_SHARE: Final = 200
"""One question in so many attacks is answered by the fallen host in another's place."""
DAY_MS: Final = 24 * 3600 * 1000

GOOD, BAD = "good", "bad"
EVENTS: Final = "freehold.event.default.host"
ASKS: Final = "freehold.ask.ledger.0.host"
THEIRS: Final = {
    f"{EVENTS}.{GOOD}": "host",
    f"{ASKS}.{GOOD}": "host",
    "freehold.event.default.registrar.registrar": "registrar",
    "freehold.build.image": "registrar",
    "freehold.ask.ledger.0.scheduler": "scheduler",
    f"freehold.ask.host.{GOOD}": "scheduler",
    "freehold.build.scheduler": "image",
    f"freehold.build.host.{GOOD}": "network",
    "freehold.barred": "directory",
    "freehold.ask.registrar.0": "api",
    "freehold.ask.scheduler": "api",
}
"""What others say: subjects, and who may."""
OWN: Final = (f"{EVENTS}.{BAD}", f"{ASKS}.{BAD}")
HEARERS: Final = {
    "api": ("freehold.event.>", "freehold.barred"),
    "registrar": ("freehold.ask.registrar.*",),
    "scheduler": ("freehold.ask.scheduler", "freehold.build.scheduler"),
    "image": ("freehold.build.image",),
    GOOD: (f"freehold.build.host.{GOOD}", f"freehold.ask.host.{GOOD}"),
}
"""Who hears what: each subject is heard by one."""


class Overheard:
    """A bus on which what is said is kept beside."""

    def __init__(self, over: Bus) -> None:
        self._over = over
        self.said: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, body: bytes) -> None:
        self.said.append((subject, body))
        await self._over.publish(subject, body)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        return await self._over.ask(subject, body, deadline_s)

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> Any:
        return await self._over.subscribe(subject, listener, group)

    async def answer(self, subject: str, answerer: Answerer, group: str) -> Any:
        return await self._over.answer(subject, answerer, group)

    async def close(self) -> None:
        """Whoever opened what is below closes it."""


@dataclass
class Tally:
    """What became of the attacks of one kind."""

    sent: int = 0
    denied: int = 0
    """By the broker."""
    refused: Counter[str] = field(default_factory=Counter)
    """By who heard them, and why."""
    misnamed: int = 0
    """Said by the host itself, and of another: dropped when it was read."""
    taken: int = 0
    """Nothing may be."""


class Attack:
    """The fallen host, and all others over one broker."""

    def __init__(self, authority: Authority, connect: Callable[[Someone], NatsBus], seed: int) -> None:
        self._authority, self._connect, self._random = authority, connect, random.Random(seed)
        self._machines = {name: authority.machine(name, name) for name in ("registrar", "scheduler", "image", "api")}
        self._machines |= {name: authority.machine(name, name) for name in ("network", "directory")}
        self._machines |= {GOOD: authority.machine(GOOD, "host"), BAD: authority.machine(BAD, "host")}
        self._over = {name: Overheard(connect(someone)) for name, someone in self._machines.items()}
        self._buses = {name: self._signed(someone, self._over[name]) for name, someone in self._machines.items()}
        self._bad = self._over[BAD]._over
        self.passed, self.taken, self.genuine = 0, 0, 0
        """Bodies that were handed up to who reads them; what was done because of one; what honest machines said."""
        self._seen: list[tuple[str, bytes]] = []
        self.kinds: dict[str, Callable[[], tuple[str, bytes]]] = {
            "made up": self.made_up,
            "mutated": self.mutated,
            "put together": self.put_together,
            "another's passport": self.anothers_passport,
            "own passport, own authority": self.own_authority,
            "a passport that is over": self.expired,
            "over-claiming": self.over_claiming,
            "said again": self.replayed,
            "said again elsewhere": self.elsewhere,
            "late": self.late,
            "of another, in its own name": self.misnamed,
        }

    def _signed(self, someone: Someone, over: Bus) -> SignedBus:
        return SignedBus(over, someone.identity, self._authority.key.public, SystemClock(), SystemChance())

    # --- the others --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        for bus in self._over.values():
            assert isinstance(bus._over, NatsBus)
            await bus._over.connected()
        for name, patterns in HEARERS.items():
            for pattern in patterns:
                if ".ask." in pattern:
                    await self._buses[name].answer(pattern, self._asked, "g")
                elif pattern != "freehold.event.>":
                    await self._buses[name].subscribe(pattern, self._heard)
        api, registrar = Counted(self._buses["api"], self), Counted(self._buses["registrar"], self)
        await talk.hear(api, "freehold.event.>", Frame, self._taken, subject_of=lambda frame: _events(frame.owner))
        await talk.serve(
            registrar, "freehold.ask.ledger.0.host.>", HostNotice, self._done, "registrar",
            subject_of=lambda question, asked: f"{asked.rpartition('.')[0]}.{question.host}",
        )  # fmt: skip
        await self._buses["registrar"].answer("freehold.ask.ledger.0.scheduler", self._asked, "registrar")

    async def _heard(self, _subject: str, _body: bytes) -> None:
        self.passed += 1
        self.taken += 1

    async def _asked(self, _subject: str, body: bytes) -> bytes:
        self.passed += 1
        self.taken += 1
        return b"true " + body

    async def _taken(self, _frame: Frame) -> None:
        self.taken += 1

    async def _done(self, _question: Any) -> Done:
        self.taken += 1
        return Done(store="s", position=Position(epoch="e", seq=1))

    async def let_others_speak(self) -> None:
        """What they say is taken, and the fallen host has seen it."""
        before = self.taken
        self._seen = []
        for number in range(GENUINE):
            subject = list(THEIRS)[number % len(THEIRS)]
            speaker = GOOD if THEIRS[subject] == "host" else THEIRS[subject]
            await self._buses[speaker].publish(subject, _body(subject))
            self._seen.append(self._over[speaker].said.pop())
        self.genuine += GENUINE
        await until(lambda: self.taken == before + GENUINE, 60)

    # --- attacks -----------------------------------------------------------------------------------------------------

    def _own(self, subject: str, body: bytes | None = None) -> Sealed:
        return self._buses[BAD]._sealed(signed.MESSAGE, subject.encode(), _body(subject) if body is None else body)

    def _aim(self, subject: str) -> str:
        """Where it was said, or where the fallen host may speak."""
        return self._random.choice((subject, *OWN))

    def made_up(self) -> tuple[str, bytes]:
        return self._aim(self._random.choice(list(THEIRS))), self._random.randbytes(self._random.randrange(900))

    def mutated(self) -> tuple[str, bytes]:
        subject, raw = self._random.choice(self._seen)
        changed = bytearray(raw)
        for _ in range(self._random.choice((1, 1, 2, 8))):
            changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return self._aim(subject), bytes(changed) if bytes(changed) != raw else raw + b"\0"

    def put_together(self) -> tuple[str, bytes]:
        subject, raw = self._random.choice(self._seen)
        aim, theirs = self._aim(subject), decode(raw, Sealed)
        own = self._own(aim)
        names = ["by", "session", "number", "body", "signature", "time_ms"]
        chosen = self._random.sample(names, self._random.randrange(1, 5))
        if own.body == theirs.body:
            chosen = [name for name in chosen if name != "body"] or ["number"]
        return aim, encode(replace(theirs, **{name: getattr(own, name) for name in chosen}))

    def anothers_passport(self) -> tuple[str, bytes]:
        subject = self._random.choice(list(THEIRS))
        theirs = self._machines[GOOD if THEIRS[subject] == "host" else THEIRS[subject]]
        key = self._machines[BAD].identity.key
        posing = self._signed(replace_identity(theirs, Identity(theirs.identity.passport, key)), self._bad)
        return subject, encode(posing._sealed(signed.MESSAGE, subject.encode(), _body(subject)))

    def own_authority(self) -> tuple[str, bytes]:
        subject = self._random.choice(list(THEIRS))
        bad = self._machines[BAD]
        passport = replace(bad.passport, roles=(THEIRS[subject],), stores=(GOOD,))
        identity = Identity(sealed_passport(passport, bad.identity.key), bad.identity.key)
        posing = self._signed(replace_identity(bad, identity), self._bad)
        return self._aim(subject), encode(posing._sealed(signed.MESSAGE, subject.encode(), _body(subject)))

    def expired(self) -> tuple[str, bytes]:
        bad, aim = self._machines[BAD], self._random.choice(OWN)
        over = replace(bad.passport, expires_ms=SystemClock().unix_ms() - 1)
        identity = Identity(sealed_passport(over, self._authority.key), bad.identity.key)
        posing = self._signed(replace_identity(bad, identity), self._bad)
        return aim, encode(posing._sealed(signed.MESSAGE, aim.encode(), _body(aim)))

    def over_claiming(self) -> tuple[str, bytes]:
        subject = self._random.choice(list(THEIRS))
        return subject, encode(self._own(subject))

    def replayed(self) -> tuple[str, bytes]:
        """In any order, too: what was said last may come first."""
        return self._random.choice(self._seen)

    def elsewhere(self) -> tuple[str, bytes]:
        subject, raw = self._random.choice(self._seen)
        return self._random.choice([aim for aim in (*THEIRS, *OWN) if aim != subject]), raw

    def late(self) -> tuple[str, bytes]:
        """It says itself when it was said: a day ago, or tomorrow."""
        aim = self._random.choice(OWN)
        away_ms = DAY_MS + self._random.randrange(60_000, DAY_MS)
        when = SystemClock().unix_ms() + self._random.choice((-away_ms, away_ms))
        mine = self._own(aim)
        signed_ = (aim.encode(), mine.by, mine.session, signed._bytes(mine.number), signed._bytes(when), mine.body)
        key = self._machines[BAD].identity.key
        return aim, encode(replace(mine, time_ms=when, signature=key.sign(signed.MESSAGE, *signed_)))

    def misnamed(self) -> tuple[str, bytes]:
        aim = self._random.choice(OWN)
        return aim, encode(self._own(aim, _body(aim.replace(BAD, GOOD))))

    # --- what becomes of them ----------------------------------------------------------------------------------------

    def refused(self) -> Counter[str]:
        """What all who hear have refused, together."""
        return sum((Counter(bus.refused) for bus in self._buses.values()), Counter())

    def denied(self) -> int:
        """What the broker hasn't taken from the fallen host."""
        assert isinstance(self._bad, NatsBus)
        return self._bad.denied

    async def attack(self, kind: str, count: int, tally: Tally) -> None:
        """Sends so many, and waits until each has met its end."""
        await self.let_others_speak()
        refused, denied, passed, taken = self.refused(), self.denied(), self.passed, self.taken
        for _ in range(count):
            await self._bad.publish(*self.kinds[kind]())

        def ended() -> int:
            return (self.refused() - refused).total() + self.denied() - denied + self.passed - passed

        try:
            await until(lambda: ended() >= count, 60)
        except TimeoutError:
            raise AssertionError(f"{kind}: {count} were sent, and {ended()} have met an end") from None
        assert ended() == count, f"{kind}: {count} were sent, and {ended()} have met an end"
        tally.sent += count
        tally.denied += self.denied() - denied
        tally.refused += self.refused() - refused
        tally.taken += self.taken - taken
        tally.misnamed += self.passed - passed - (self.taken - taken)

    async def pose(self, questions: int, tally: Tally) -> None:
        """The fallen host answers in the place of another: wherever it is asked, what it says isn't taken."""
        asked, scheduler = f"freehold.ask.host.{GOOD}", self._buses["scheduler"]

        async def posing(_subject: str, raw: bytes) -> bytes:
            tally.sent += 1
            question = decode(raw, Sealed)
            about = signed._answers(asked, question)
            theirs = replace(question, by=self._machines[GOOD].identity.passport)
            own = encode(self._buses[BAD]._sealed(signed.ANSWER, about, b"lie"))
            return self._random.choice((b"", b"nonsense", own, encode(theirs)))

        await self._bad.answer(asked, posing, "g")
        before, taken = self.refused(), self.taken
        for number in range(questions):
            try:
                answer = await scheduler.ask(asked, b"%d" % number, 10)
            except signed.NoAnswer:
                continue
            tally.taken += answer != b"true %d" % number
        tally.refused += self.refused() - before
        tally.refused["empty"] += tally.sent - tally.refused.total()
        self.genuine += self.taken - taken


class Counted:
    """A signed bus on which it is counted what is handed up from it."""

    def __init__(self, over: SignedBus, attack: Attack) -> None:
        self._over, self._attack = over, attack

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> Any:
        async def counted(heard: str, body: bytes) -> None:
            await listener(heard, body)
            self._attack.passed += 1

        return await self._over.subscribe(subject, counted, group)

    async def answer(self, subject: str, answerer: Answerer, group: str) -> Any:
        async def counted(asked: str, body: bytes) -> bytes:
            answer = await answerer(asked, body)
            self._attack.passed += 1
            return answer

        return await self._over.answer(subject, counted, group)

    publish: Callable[[str, bytes], Awaitable[None]]
    ask: Callable[[str, bytes, float], Awaitable[bytes]]
    close: Callable[[], Awaitable[None]]


def replace_identity(someone: Someone, identity: Identity) -> Someone:
    return Someone(someone.passport, someone.secret, identity)


def _events(owner: Owner) -> str:
    return f"freehold.event.{owner.cluster}.{owner.role}.{owner.store}"


def _body(subject: str) -> bytes:
    """What could well be said there."""
    parts = subject.split(".")
    if subject.startswith("freehold.event."):
        return encode(Frame(owner=Owner(store=parts[4], role=parts[3], cluster=parts[2]), epoch="e", entries=()))
    if subject.startswith(ASKS):
        return encode(Lost(host=parts[-1], guests=()))
    return b"do it"


@asynccontextmanager
async def held(seed: int) -> AsyncIterator[Attack]:
    """Over a broker that holds the table."""
    authority = Authority()
    async with server(authority) as running:
        attack = Attack(authority, running.bus, seed)
        await attack.open()
        yield attack


@asynccontextmanager
async def fallen(seed: int) -> AsyncIterator[Attack]:
    """Over a broker that lets everybody say and hear everything."""
    async with nats_server() as running, AsyncExitStack() as stack:

        def connect(_someone: Someone) -> NatsBus:
            bus = NatsBus(NatsPlace((running.url,)), SystemClock(), SystemChance(), CARRIED_BYTES_MAX)
            bus.open()
            stack.push_async_callback(bus.close)
            return bus

        attack = Attack(Authority(), connect, seed)
        await attack.open()
        yield attack


async def run(attack: Attack, count: int, tell: Callable[[str], None] = lambda line: None) -> dict[str, Tally]:
    """At least `count` attacks, by turns of each kind."""
    tallies = {kind: Tally() for kind in attack.kinds}
    batch, sent, began = min(BATCH, -(-count // len(tallies))), 0, time.monotonic()
    while sent < count:
        for kind, tally in tallies.items():
            await attack.attack(kind, batch, tally)
            sent += batch
        if sent % (10 * batch * len(tallies)) == 0:
            tell(f"{sent:,} in {time.monotonic() - began:.0f} s")
    tallies["answers in another's place"] = Tally()
    await attack.pose(max(20, count // QUESTIONS_SHARE), tallies["answers in another's place"])
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """For people."""
    lines = [f"{'kind':<30}{'sent':>10}{'denied':>10}{'refused':>10}{'dropped':>10}{'taken':>7}  reasons"]
    for kind, tally in tallies.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.refused.most_common() if count)
        counts = f"{tally.sent:>10,}{tally.denied:>10,}{tally.refused.total():>10,}{tally.misnamed:>10,}"
        lines.append(f"{kind:<30}{counts}{tally.taken:>7}  {reasons}")
    taken = sum(tally.taken for tally in tallies.values())
    return "\n".join([*lines, f"{'all':<30}{sum(tally.sent for tally in tallies.values()):>10,}{'taken: ':>37}{taken}"])


async def main(count: int, seed: int) -> int:
    taken = 0
    for name, broker in (("a broker with permissions", held), ("a broker without any", fallen)):
        print(f"\n{name}, {count // 2:,} attacks, seed {seed}", flush=True)
        async with broker(seed) as attack:
            tallies = await run(attack, count // 2, lambda line: print(line, flush=True))
        print(table(tallies), flush=True)
        taken += sum(tally.taken for tally in tallies.values())
    return 1 if taken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    log.configure(level="critical")
    raise SystemExit(asyncio.run(main(given.count, given.seed)))
