"""The scheduler's choice among pools: those that may take it, then the one with the most room."""

from collections import Counter
from typing import Any

import pytest

from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock
from freehold.views.pools import SILENT_AFTER_PERIODS, Pools
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.volume import Pool
from freehold.vocabulary.volume_request import ChoosePool
from freehold.vocabulary.word import Word
from tests.owners import HandClock, project

PERIOD_S = 5.0
AT = Position(epoch="e", seq=1)


class Heard:
    """A view that hears what a test says."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.pools = Pools(HybridClock(self.clock), SeededChance(5))

    def beat(self, pool: str) -> None:
        time = clock_time(self.clock.unix_ms())
        self.pools.heard(Heartbeat(owner=owner(pool), position=AT, time=time, period_s=PERIOD_S))

    def add(self, pool: str, total_gib: int = 100, **fields: Any) -> None:
        """A pool that is heard."""
        self.beat(pool)
        self.tell(a_pool(pool, total_gib, **fields))

    def tell(self, *pools: Pool) -> None:
        for pool in pools:
            self.pools.apply(owner(pool.id), AT, [entry(pool.id, pool)])

    def choose(self, size_gib: int = 1, **asked: Any) -> str:
        return self.pools.choose(ChoosePool(size_gib=size_gib, **asked)).id

    def why(self, size_gib: int = 1, **asked: Any) -> str:
        with pytest.raises(NoRoom) as caught:
            self.choose(size_gib, **asked)
        return caught.value.message


@pytest.fixture
def heard() -> Heard:
    return Heard()


def owner(store: str) -> Owner:
    return Owner(store=store, role="volume", cluster="c")


def a_pool(pool: str, total_gib: int = 100, **fields: Any) -> Pool:
    return Pool(**{"id": pool, "name": pool, "cluster": "c", "driver": "d", "total_gib": total_gib, **fields})


def entry(key: str, word: Word | None, kind: str = "") -> Entry:
    if word is None:
        return Entry(1, 1, kind, key, None, "t", b"")
    return Entry(1, 1, kind_of(word), key, encode(word), "t", b"")


def row(key: str, word: Word) -> Row:
    return Row(kind=kind_of(word), key=key, seq=1, value=encode(word))


# --- the choice ------------------------------------------------------------------------------------------------------


def test_the_one_with_the_most_room_is_chosen(heard: Heard) -> None:
    heard.add("a", 50)
    heard.add("b", 100, used_gib=60)
    assert heard.choose() == "a"
    heard.tell(a_pool("b", 100, used_gib=40))
    assert heard.choose() == "b"


def test_of_equal_ones_any_is(heard: Heard) -> None:
    for pool in "abc":
        heard.add(pool)
    heard.add("d", 99)
    chosen = Counter(heard.choose() for _ in range(60))
    assert chosen.keys() == {"a", "b", "c"}


def test_its_last_room_is_given_and_no_more(heard: Heard) -> None:
    heard.add("a", 100, used_gib=90)
    assert heard.choose(10) == "a"
    assert "11 GiB" in heard.why(11)


def test_a_pool_that_has_promised_too_much_takes_nothing(heard: Heard) -> None:
    heard.add("a", 100, used_gib=120)
    heard.why(1)


@pytest.mark.parametrize(
    ("pool", "asked", "takes"),
    [
        ({}, {}, True),
        ({"closed": True}, {}, False),
        ({}, {"refused": ("a",)}, False),
        ({}, {"refused": ("b",)}, True),
        ({}, {"zone": "c"}, True),
        ({}, {"zone": "elsewhere"}, False),
        ({"types": ("fast", "slow")}, {"type_name": "slow"}, True),
        ({"types": ("fast",)}, {"type_name": "slow"}, False),
        ({"types": ("fast",)}, {}, False),
        ({}, {"type_name": "slow"}, True),
    ],
)
def test_which_pool_may_take_it(heard: Heard, pool: dict[str, Any], asked: dict[str, Any], takes: bool) -> None:
    heard.add("a", **pool)
    if takes:
        assert heard.choose(**asked) == "a"
    else:
        heard.why(**asked)


def test_the_reason_says_what_was_wanted_and_what_there_is(heard: Heard) -> None:
    heard.add("a")
    heard.add("b", types=("fast",))
    why = heard.why(7, type_name="slow", zone="z", refused=("a",))
    for part in ("7 GiB", "type slow", "zone z", "there are 2", "1 of which refused it"):
        assert part in why
    plain = Heard().why()
    assert "type" not in plain.split(":")[0] and "zone" not in plain.split(":")[0] and "refused" not in plain


# --- what is heard ---------------------------------------------------------------------------------------------------


def test_a_pool_that_is_silent_gets_nothing_until_it_is_heard_again(heard: Heard) -> None:
    heard.add("a")
    heard.clock.move(SILENT_AFTER_PERIODS * PERIOD_S - 1)
    assert heard.choose() == "a"
    heard.clock.move(1)
    heard.why()
    heard.beat("a")
    assert heard.choose() == "a"


def test_a_pool_that_was_told_of_and_never_heard_gets_nothing(heard: Heard) -> None:
    heard.tell(a_pool("a"))
    heard.why()


def test_one_that_was_heard_and_not_told_of_is_unknown(heard: Heard) -> None:
    heard.beat("a")
    assert "there are 0" in heard.why()


def test_what_is_gone_is_not_chosen(heard: Heard) -> None:
    heard.add("a")
    heard.pools.apply(owner("a"), AT, [entry("a", None, "volume_pool")])
    assert "there are 0" in heard.why()


def test_a_complete_state_stands_in_the_place_of_what_was_known(heard: Heard) -> None:
    heard.add("a", 100)
    heard.add("b", 10)
    heard.pools.replace(owner("a"), AT, [row("a", a_pool("a", 5)), row("p", project("p"))])
    assert heard.choose() == "b"
    heard.pools.replace(owner("b"), AT, [])
    assert heard.choose() == "a", "the other's is as it was"


def test_other_news_is_nothing_to_it(heard: Heard) -> None:
    heard.add("a")
    heard.pools.apply(owner("a"), AT, [entry("p", project("p")), entry("v", None, "volume")])
    assert heard.choose() == "a"


def test_all_is_read_anew_after_a_start(heard: Heard) -> None:
    heard.add("a")
    assert heard.pools.positions() == {}
