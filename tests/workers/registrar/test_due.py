"""What is pursued comes when it is due: soon at first, then after pauses that grow, and at once when it is woken."""

import asyncio

import pytest

from freehold.runtime.chance import SeededChance
from freehold.workers.registrar.due import FIRST_RETRY_S, RETRY_S_MAX, Due
from tests.owners import HandClock, turns

MANY = 100


class Dues:
    """Ids with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.due = Due(self.clock, SeededChance(3))

    def pauses(self, identifier: str, count: int) -> list[float]:
        """The next `count` pauses, each try taken when it is due."""
        found = []
        for _ in range(count):
            self.due.plan(identifier)
            began_s = self.clock.now_s
            while identifier not in self.due.take(MANY):
                self.clock.move(0.25)
            found.append(self.clock.now_s - began_s)
        return found


@pytest.fixture
def dues() -> Dues:
    return Dues()


def test_what_is_woken_is_due_at_once_and_only_once(dues: Dues) -> None:
    for _ in range(3):
        dues.due.wake("a")
    dues.due.wake("b")
    assert sorted(dues.due.take(MANY)) == ["a", "b"]
    assert dues.due.take(MANY) == []


def test_pauses_grow_up_to_a_bound(dues: Dues) -> None:
    for tries, pause_s in enumerate(dues.pauses("a", 9)):
        wanted_s = min(FIRST_RETRY_S * 2**tries, RETRY_S_MAX)
        assert 0.8 * wanted_s <= pause_s <= 1.2 * wanted_s + 0.25


def test_being_woken_starts_the_pauses_anew(dues: Dues) -> None:
    dues.pauses("a", 5)
    dues.due.wake("a")
    dues.due.take(MANY)
    assert dues.pauses("a", 1)[0] <= 1.2 * FIRST_RETRY_S + 0.25


def test_thousands_of_tries_are_no_error(dues: Dues) -> None:
    for _ in range(5000):
        dues.due.plan("a")
    assert dues.pauses("a", 1)[0] <= 1.2 * RETRY_S_MAX + 0.25


def test_pauses_differ_so_that_many_dont_come_at_once(dues: Dues) -> None:
    for number in range(20):
        dues.due.plan(str(number))
    dues.clock.move(FIRST_RETRY_S)
    assert 1 <= len(dues.due.take(MANY)) <= 19


def test_of_several_times_the_last_counts(dues: Dues) -> None:
    dues.due.wake("a")
    dues.due.plan("a")
    assert dues.due.take(MANY) == []
    dues.due.wake("a")
    assert dues.due.take(MANY) == ["a"]
    dues.clock.move(2 * RETRY_S_MAX)
    assert dues.due.take(MANY) == []


def test_what_was_put_off_comes_soon_and_that_was_no_try(dues: Dues) -> None:
    dues.due.plan("a")
    dues.due.put_off("a", 1.0)
    dues.clock.move(1)
    assert dues.due.take(MANY) == ["a"]
    assert dues.pauses("a", 1)[0] <= 1.2 * FIRST_RETRY_S + 0.25


def test_what_was_forgotten_does_not_come(dues: Dues) -> None:
    dues.due.wake("a")
    dues.due.plan("b")
    for identifier in ("a", "b", "unknown"):
        dues.due.forget(identifier)
    dues.clock.move(2 * RETRY_S_MAX)
    assert dues.due.take(MANY) == []
    dues.due.wake("a")
    assert dues.due.take(MANY) == ["a"]


def test_no_more_is_taken_than_is_asked_for_and_the_rest_comes_next(dues: Dues) -> None:
    for number in range(5):
        dues.due.wake(str(number))
    first, rest = dues.due.take(3), dues.due.take(MANY)
    assert len(first) == 3 and sorted(first + rest) == list("01234")


async def test_who_waits_is_woken_by_what_is_woken(dues: Dues) -> None:
    waiting = asyncio.create_task(dues.due.wait())
    await turns()
    assert not waiting.done()
    dues.due.wake("a")
    async with asyncio.timeout(5):
        await waiting
    assert dues.due.take(MANY) == ["a"]


async def test_nobody_waits_for_what_is_due_already(dues: Dues) -> None:
    dues.due.plan("a")
    async with asyncio.timeout(5):
        await dues.due.wait()  # that it was planned
        dues.clock.move(2 * RETRY_S_MAX)
        await dues.due.wait()
    assert dues.due.take(MANY) == ["a"]
