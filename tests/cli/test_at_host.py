"""Asking a host on its own machine, as somebody types it. What hosts answer is in tests/workers/host."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from freehold.cli import at_host
from freehold.runtime.local_socket import LocalSocket
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken, Conflict, Fault, NotFound, Unavailable
from freehold.vocabulary.guest import GuestState, Power, Start, Stop
from freehold.vocabulary.ids import request_urn
from freehold.vocabulary.local import (
    GUESTS_PAGE_MAX,
    GuestAwaited,
    GuestHere,
    GuestsHere,
    HostHere,
    LocalAnswer,
    LocalOrder,
    LocalQuestion,
)
from freehold.vocabulary.word import Word

S = GuestState
GUEST = "11111111-2222-4333-8444-555555555555"
URN = request_urn(GUEST)
START = LocalOrder(command=Start(urn=URN, guest=GUEST, user="", project=""))
STOP = LocalOrder(command=Stop(urn=URN, guest=GUEST, user="", project=""))


def a_guest(state: GuestState, since: int = 1, number: int = 0, **more: Fault) -> GuestHere:
    identity = GUEST[:-4] + f"{number:04d}" if number else GUEST
    power = Power.RUNNING if state is S.RUNNING else Power.OFF
    return GuestHere(id=identity, name=f"g{number}", state=state, power=power, project="p", deed=1, since=since, **more)


class FakeHost:
    """A host called `name` that has one guest, whose states it tells one after another."""

    def __init__(self, name: str, *guests: GuestHere) -> None:
        self.name, self.guests = name, list(guests)
        self.asked: list[LocalQuestion] = []

    async def answer(self, user: str, raw: bytes) -> bytes:
        question: LocalQuestion = decode(raw, LocalQuestion)  # type: ignore[arg-type]
        self.asked.append(question)
        try:
            return encode(LocalAnswer(body=encode(self._answer(question))))
        except NotFound as error:
            return encode(LocalAnswer(fault=error.fault()))

    def _answer(self, question: LocalQuestion) -> Word:
        if isinstance(question, GuestsHere):
            page = [guest for guest in self.guests if guest.id > question.after][:GUESTS_PAGE_MAX]
            return HostHere(name=self.name, heard=False, guests=tuple(page))
        if not self.guests:
            raise NotFound("none")
        return self.guests.pop(0) if len(self.guests) > 1 else self.guests[0]


@asynccontextmanager
async def hosts(state: Path, *answers: Callable[[str, bytes], Awaitable[bytes]]) -> AsyncIterator[None]:
    doors = [LocalSocket(state / "hosts" / f"{number}.sock", answer) for number, answer in enumerate(answers)]
    for door in doors:
        await door.open()
    try:
        yield
    finally:
        for door in doors:
            await door.close()


async def order(state: Path, wanted: LocalOrder, *, host: str = "", wait: bool = True) -> None:
    await at_host._order(state, host, wanted, wait=wait)


async def test_progress_is_told_until_it_is_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = [S.STOPPED, S.WIRING, S.WIRING, S.LAUNCHING, S.RUNNING]
    host = FakeHost("h", *(a_guest(state, since) for since, state in enumerate(states, 1)))
    async with hosts(tmp_path, FakeHost("empty").answer, host.answer):
        await order(tmp_path, START)
    assert capsys.readouterr().out.split() == [GUEST, "wiring", GUEST, "launching", GUEST, "running"]
    waits = [question.since for question in host.asked if isinstance(question, GuestAwaited)]
    assert waits == [0, 2, 3, 4], "each move is waited for from the one before"


async def test_no_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = FakeHost("h", a_guest(S.RUNNING, 1), a_guest(S.SHUTTING_DOWN, 2), a_guest(S.STOPPED, 3))
    async with hosts(tmp_path, host.answer):
        await order(tmp_path, STOP, wait=False)
    assert capsys.readouterr().out.split() == [GUEST, "shutting_down"]


async def test_what_is_so_already_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with hosts(tmp_path, FakeHost("h", a_guest(S.STOPPED)).answer):
        await order(tmp_path, STOP)
    assert "stopped already" in capsys.readouterr().out


async def test_what_comes_to_another_end_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    failed = a_guest(S.STOPPED, 3, fault=Broken("no memory").fault())
    async with hosts(tmp_path, FakeHost("h", a_guest(S.STOPPED, 1), a_guest(S.WIRING, 2), failed).answer):
        with pytest.raises(Conflict, match="is stopped: no memory"):
            await order(tmp_path, START)


async def test_a_guest_is_looked_for_on_the_host_that_was_named(tmp_path: Path) -> None:
    one, two = FakeHost("one", a_guest(S.RUNNING)), FakeHost("two")
    async with hosts(tmp_path, one.answer, two.answer):
        await order(tmp_path, START, host="one")
        with pytest.raises(NotFound, match="on host two here; `freehold guest list"):
            await order(tmp_path, START, host="two")
        with pytest.raises(NotFound, match="no host named three"):
            await order(tmp_path, START, host="three")


async def test_nobody_runs(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="start it with `freehold host --state"):
        await order(tmp_path, START)


async def test_all_pages_of_all_hosts_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = FakeHost("many", *(a_guest(S.RUNNING, number=number) for number in range(1, GUESTS_PAGE_MAX + 2)))
    async with hosts(tmp_path, many.answer, FakeHost("few", a_guest(S.STOPPED)).answer):
        await at_host._list(tmp_path, "")
    told = capsys.readouterr().out
    assert told.count("running") == GUESTS_PAGE_MAX + 1
    assert told.count("stopped") == 1
    assert "guests of host many" in told and "guests of host few" in told


@pytest.mark.parametrize(
    ("state", "power", "told"),
    [
        (S.RUNNING, Power.RUNNING, "running"),
        (S.RUNNING, Power.CRASHED, "running (power: crashed)"),
        (S.STOPPED, Power.RUNNING, "stopped (power: running)"),
        (S.STOPPED, Power.OFF, "stopped"),
        (S.LAUNCHING, Power.OFF, "launching"),
    ],
)
def test_a_power_that_says_something_else_is_shown(state: GuestState, power: Power, told: str) -> None:
    guest = GuestHere(id=GUEST, name="g", state=state, power=power, project="p", deed=1, since=1)
    assert at_host._state(guest) == told


@pytest.mark.parametrize(
    ("seen", "now", "told"),
    [
        ("", "one\n", "one\n"),
        ("one\n", "one\n", ""),
        ("one\n", "one\ntwo\n", "two\n"),
        ("one\ntwo\n", "two\nthree\n", "three\n"),  # the log is longer than what is shown of it
        ("one\n", "", ""),
        ("old\n", "new\n", "new\n"),
    ],
)
def test_what_was_said_since(seen: str, now: str, told: str) -> None:
    assert at_host.said_since(seen, now) == told
