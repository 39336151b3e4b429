"""A registrar on a bus of its own, with a clock moved by hand, and hosts that are told of by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from argon2 import PasswordHasher

from freehold.bus import subjects, talk
from freehold.store.database import Store
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Entry, Owner, Position
from freehold.vocabulary.errors import Fault, Unavailable
from freehold.vocabulary.guest import Delete, HostQuestion, Refusal
from freehold.vocabulary.request import (
    Admission,
    Admit,
    Admitted,
    Build,
    DeedsOf,
    DeleteGuest,
    GiveUp,
    Intents,
    Lost,
    RecordDeed,
    Request,
    SaveTenant,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.token import Scope, SignIn, Token
from freehold.vocabulary.word import Word
from freehold.workers.registrar.worker import RegistrarWorker
from tests.owners import HandClock, a_build, a_deed, a_guest, means_of, store_at

A = TypeVar("A")
T = TypeVar("T")
PASSWORD = Secret("correct horse")
FULL = Fault(code="NoRoom", message="full")
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes that cost nothing."""


class Bench:
    """Everything around one registrar. `sent`: builds on their way; `deletes`: what hosts were asked.

    The disk waits while `disk` is not set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.disk = folder, HandClock(), asyncio.Event()
        self.disk.set()
        self.means = means_of(clock=self.clock, offload=self._offload)
        self.bus = self.means.bus
        self.sent: list[Build] = []
        self.deletes: list[Delete] = []
        self.host_answers = True
        self._seq: dict[str, int] = {}

    async def _offload(self, work: Callable[[], T]) -> T:
        await self.disk.wait()
        return work()

    async def begin(self) -> None:
        async def image_worker(build: Build) -> None:
            self.sent.append(build)

        async def host(question: Any) -> Word:
            self.deletes.append(question)
            if not self.host_answers:
                raise Unavailable("gone fishing")
            return Done(store="h", position=Position(epoch="e"))

        await talk.hear(self.bus, subjects.BUILD_IMAGE, Build, image_worker)
        await talk.serve(self.bus, "freehold.ask.host.*", HostQuestion, host, "host")
        await self.open()

    async def open(self) -> None:
        """The next process over the same store."""
        self.store: Store = await store_at(self.folder / "registrar.db", self.means)
        self.worker = RegistrarWorker(self.means, self.store, hasher=QUICK)
        self.sink = self.worker.follower._sink  # what the follower hands on what it heard to
        await self.worker.bootstrap(PASSWORD)
        await self.worker.open()

    async def close(self) -> None:
        self.disk.set()
        await self.worker.close()
        await self.store.close()

    async def end(self) -> None:
        await self.close()
        await self.bus.close()

    async def ask(self, question: Word, answer: type[A]) -> A:
        return await talk.ask(self.bus, _subject(question), question, answer, 30)

    async def admit(self, count: int = 1, deadline_s: float = 600, **how: Any) -> Admitted:
        builds = (a_build(urn="", project=how.pop("project", "p")),) * count
        return await self.ask(Admit(builds=builds, deadline_s=deadline_s, **how), Admitted)

    async def guest(self, **how: Any) -> Admission:
        """An admitted guest."""
        return self.admission((await self.admit(**how)).guests[0])

    def admission(self, guest: str) -> Admission:
        found = self.store.read_as(Admission, guest)
        assert found is not None
        return found

    def gone(self, guest: str) -> bool:
        return self.store.read_as(Admission, guest) is None

    def request(self, urn: str) -> Request:
        found = self.store.read_as(Request, urn)
        assert found is not None
        return found

    async def deed(self, guest: str, number: int = 1, host: str = "h1") -> Deed:
        deed = a_deed(guest, number, host, self.admission(guest).urn)
        return await self.ask(RecordDeed(deed=deed), Deed)

    async def give_up(self, guest: str, deed: int = 0) -> Done:
        return await self.ask(GiveUp(urn=self.admission(guest).urn, guest=guest, deed=deed, fault=FULL), Done)

    async def delete(self, guest: str, project: str = "p") -> Done:
        return await self.ask(DeleteGuest(guest=guest, project=project, user="u"), Done)

    def tell(self, host: str, *records: Word) -> None:
        """The host's next entries, as the follower hands them on."""
        first = self._seq.get(host, 0) + 1
        entries = [
            Entry(
                seq,
                1,
                kind_of(record),
                getattr(record, "id", "") or getattr(record, "guest", ""),
                encode(record),
                "t",
                b"",
            )
            for seq, record in enumerate(records, first)
        ]
        self._seq[host] = first + len(records) - 1
        owner = Owner(store=host, role="host", cluster="c")
        self.sink.apply(owner, Position(epoch="e", seq=self._seq[host]), entries)

    def tell_running(self, guest: str, host: str = "h1", deed: int = 1, **fields: Any) -> None:
        self.tell(host, a_guest(guest, host, deed, urn=self.admission(guest).urn, **fields))

    def tell_refusal(self, guest: str, host: str = "h1", deed: int = 1, deleted: bool = False) -> None:
        self.tell(host, Refusal(guest=guest, project="p", deed=deed, urn="u", fault=FULL, deleted=deleted))

    async def sent_again(self, count: int) -> Build:
        """Waits, moving the clock, until `count` builds were sent; the last of them."""
        await self.moving(lambda: len(self.sent) >= count)
        return self.sent[-1]

    async def moving(self, holds: Any) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.clock.move(1)
                self.worker._reconciler._due._woken.set()  # it waits on the loop's time, which isn't moved by hand
                await asyncio.sleep(0.002)

    async def later(self) -> None:
        """Lets time pass until what is pursued must have been: a new guest is sent twice."""
        new = (await self.admit(project="later")).guests[0]
        await self.moving(lambda: sum(build.guest == new for build in self.sent) >= 2)

    async def save(self, key: str, record: Word, *, new: bool = True, secret: Secret | None = None) -> Done:
        kind = kind_of(record)
        return await self.ask(SaveTenant(kind=kind, key=key, record=encode(record), new=new, secret=secret), Done)

    async def sign_in(self, password: Secret = PASSWORD, scope: Scope | None = None, **who: Any) -> Token:
        names = who or {"user_name": "admin", "domain": "default"}
        asked = SignIn(password=password, scope=scope or Scope(project_name="admin", domain="default"), **names)
        return await self.ask(asked, Token)


def _subject(question: Word) -> str:
    """Where each is asked: API, scheduler and hosts have subjects of their own."""
    match question:
        case Intents(host=host) | DeedsOf(host=host) | Lost(host=host):
            return subjects.ask_ledger_as_host(0, host)
        case RecordDeed() | GiveUp():
            return subjects.ask_ledger(0, "scheduler")
        case _:
            return subjects.ask_registrar("p")


async def beyond(bench: Bench) -> list[Any]:
    """The registrar is started again in a centre, beyond which h1 is, in cluster c; what h1 is asked there."""
    await bench.close()
    bench.means = replace(bench.means, centre="core")
    await bench.open()
    asked: list[Any] = []

    async def host(question: Any) -> Word:
        asked.append(question)
        return Done(store="h1", position=Position(epoch="e"))

    await talk.serve(bench.bus, subjects.ask_host("h1", "c"), HostQuestion, host, "host")
    return asked
