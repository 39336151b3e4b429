"""Who is woken by what the network worker says, and what it says then."""

import asyncio

import pytest
from msgspec.structs import replace

from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Entry, Owner, Position, Row
from freehold.vocabulary.network import Carrier, Port, SecurityGroup
from freehold.vocabulary.word import Word
from freehold.workers.host.port_view import SPREAD_S, Interest, PortView
from tests.owners import HandClock
from tests.workers.host.bench import GUEST, NETWORK, OTHER, WEB, WEB_GROUP, a_port, a_wiring

NETWORK_WORKER = Owner(store="n", role="network", cluster="c")
FROM_WEB = replace(WEB_GROUP.rules[0], remote_group=WEB)
APART = "a" + NETWORK[1:]


class Told:
    """A view, and what its owner tells it."""

    def __init__(self) -> None:
        self.view = PortView("c")
        self.is_spread = True
        """Whether news of what is elsewhere is told of at once."""
        self._seq = 0

    def complete(self, *records: Word) -> None:
        rows = [Row(kind_of(record), _key(record), 1, encode(record)) for record in records]
        self.view.replace(NETWORK_WORKER, Position(epoch="e", seq=0), rows)

    def tell(self, record: Word) -> None:
        self._say(kind_of(record), _key(record), encode(record))

    def drop(self, kind: str, key: str) -> None:
        self._say(kind, key, None)

    def _say(self, kind: str, key: str, value: bytes | None) -> None:
        self._seq += 1
        entry = Entry(self._seq, self._seq, kind, key, value, "test", b"")
        self.view.apply(NETWORK_WORKER, Position(epoch="e", seq=self._seq), [entry])
        if self.is_spread:
            self.view.spread_now()


def _key(record: Word) -> str:
    return record.host if isinstance(record, Carrier) else str(getattr(record, "id", ""))


async def woken(*interests: Interest) -> list[bool]:
    """Who of them has had news since he was asked last."""
    found = []
    for interest in interests:
        task = asyncio.create_task(interest.changed())
        for _ in range(3):
            await asyncio.sleep(0)
        found.append(task.done())
        task.cancel()
    return found


def of_guest(**fields: object) -> Port:
    return replace(a_port(a_wiring(GUEST)), **fields)


async def test_a_host_is_woken_by_its_own_ports_and_by_what_they_depend_on() -> None:
    told = Told()
    told.complete(of_guest(), replace(WEB_GROUP, rules=(FROM_WEB,)), Carrier(host="two", address="192.0.2.2"))
    here, elsewhere = told.view.interest(), told.view.interest()
    here.care(told.view.needs_of(a_wiring(GUEST)))
    elsewhere.care(frozenset({APART}))
    assert await woken(here, elsewhere) == [False, False]
    for news in (
        of_guest(security_groups=()),
        of_guest(),
        replace(WEB_GROUP, rules=()),
        replace(WEB_GROUP, rules=(FROM_WEB,)),
        a_port(a_wiring(OTHER)),
        replace(a_port(a_wiring(OTHER)), host="two"),
    ):
        told.tell(news)
        assert await woken(here, elsewhere) == [True, False], news
    told.drop("port", OTHER)
    assert await woken(here, elsewhere) == [True, False]


async def test_nobody_is_woken_by_what_concerns_nobody() -> None:
    told = Told()
    told.complete(of_guest(), WEB_GROUP)
    here = told.view.interest()
    here.care(told.view.needs_of(a_wiring(GUEST)))
    strange = replace(a_port(a_wiring(OTHER)), network=APART, security_groups=(), host="two")
    told.tell(strange)
    told.tell(SecurityGroup(id=APART, project="p", name="other"))
    told.tell(of_guest(name="another name"))
    assert await woken(here) == [False]
    assert told.view.filter_of(a_wiring(GUEST)).rules == WEB_GROUP.rules


async def test_everybody_is_woken_by_a_complete_state_and_by_hosts_that_come() -> None:
    told = Told()
    here, elsewhere = told.view.interest(), told.view.interest()
    told.complete()
    assert await woken(here, elsewhere) == [True, True]
    told.tell(Carrier(host="two", address="192.0.2.2"))
    assert await woken(here, elsewhere) == [True, True]


async def test_who_cares_no_more_isnt_woken() -> None:
    told = Told()
    told.complete(of_guest())
    here, gone = told.view.interest(), told.view.interest()
    for interest in (here, gone):
        interest.care(frozenset({GUEST}))
    here.care(frozenset({APART}))
    told.view.forget(gone)
    told.tell(of_guest(security_groups=()))
    told.tell(Carrier(host="two", address="192.0.2.2"))
    assert await woken(here, gone) == [True, False]
    told.drop("port", GUEST)
    assert await woken(here, gone) == [False, False]


async def test_they_are_woken_in_the_order_in_which_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in memory: a simulation of many hosts repeats itself."""
    told, woken_ones = Told(), list[Interest]()
    told.complete(of_guest())
    interests = [told.view.interest() for _ in range(64)]
    for interest in reversed(interests):
        interest.care(frozenset({GUEST}))
    monkeypatch.setattr(Interest, "wake", lambda interest: woken_ones.append(interest))
    told.tell(of_guest(security_groups=()))
    assert woken_ones == interests[::-1]
    woken_ones.clear()
    told.tell(Carrier(host="two", address="192.0.2.2"))
    assert woken_ones == interests


async def test_news_from_elsewhere_is_told_of_at_once_and_then_gathered() -> None:
    told, clock = Told(), HandClock()
    told.is_spread = False
    told.complete(of_guest(), replace(WEB_GROUP, rules=(FROM_WEB,)), Carrier(host="two", address="192.0.2.2"))
    here = told.view.interest()
    here.care(told.view.needs_of(a_wiring(GUEST)))
    spreading = asyncio.create_task(told.view.spread(clock))
    told.tell(a_port(a_wiring(OTHER)))
    assert await woken(here) == [True] and here.taken() == (WEB,)
    told.tell(replace(a_port(a_wiring(OTHER)), host="two"))
    told.tell(replace(a_port(a_wiring(OTHER)), host="two", security_groups=()))
    clock.move(SPREAD_S / 2)
    assert await woken(here) == [False]
    told.tell(of_guest(security_groups=()))
    assert await woken(here) == [True] and here.taken() is None, "news of its own port doesn't wait"
    clock.move(SPREAD_S / 2)
    assert await woken(here) == [True] and here.taken() == (NETWORK, WEB)
    spreading.cancel()


async def test_in_a_cluster_without_an_underlay_nobody_is_woken_by_where_ports_are() -> None:
    told = Told()
    told.complete(of_guest(), WEB_GROUP)
    here = told.view.interest()
    here.care(frozenset({NETWORK}))
    told.tell(replace(a_port(a_wiring(OTHER)), host="two"))
    assert await woken(here) == [False]
