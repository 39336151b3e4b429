"""What the sink makes of entries and complete states, and where it stands after a crash."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Entry, Owner, Position, Row
from freehold.vocabulary.guest import Guest, Refusal
from freehold.vocabulary.network import Carriage, Carrier, Network, Port, PortWiring
from freehold.workers.network.holdings import Booking
from freehold.workers.network.hosts import HostSink
from freehold.workers.network.records import Records
from tests.owners import a_host
from tests.workers.network.rules_bench import refused, shown

HOST = Owner(store="h1", role="host", cluster="c1")
CHANCE = SeededChance(1)
CLOCK = HybridClock(SystemClock())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(
        tmp_path / "network.db", role="network", cluster="c1", clock=CLOCK, chance=CHANCE, offload=offload_inline
    )
    yield opened
    await opened.close()


def with_bookings(store: Store, *guests: str) -> tuple[Records, HostSink]:
    records = Records(store)
    records.stage([Network(id="n", name="", project="p", cluster="c1", segment=1)], "test")
    for guest in guests:
        port = Port(id=f"port-{guest}", project="p", network="n", mac=guest, device=guest, host="h1", deed=1)
        records.stage([port, Booking(guest=guest, urn="u", deed=1, host="h1", ports=(port.id,))], "test")
    return records, HostSink(records, CLOCK, CHANCE.bytes)


def at(seq: int) -> Position:
    return Position(epoch="e", seq=seq, digest=bytes([seq]) * 16)


def entry(seq: int, guest: str, record: Guest | Refusal | None = None, kind: str = "guest") -> Entry:
    value = None if record is None else encode(record)
    return Entry(seq, 0, kind if record is None else kind_of(record), guest, value, "cause", bytes([seq]) * 16)


def row(guest: str, record: Guest | Refusal) -> Row:
    return Row(kind_of(record), guest, 1, encode(record))


async def test_a_complete_state_ends_what_was_seen_and_is_missing_and_nothing_else(store: Store) -> None:
    records, sink = with_bookings(store, "stays", "vanished", "on-its-way", "refused", "older")
    seen = [entry(1, "stays", shown("h1", "stays", 1)), entry(2, "vanished", shown("h1", "vanished", 1))]
    sink.apply(HOST, at(2), seen)
    sink.replace(
        HOST,
        at(9),
        [
            row("stays", shown("h1", "stays", 1)),
            row("refused", refused("refused", 1)),
            Row("host", "h1", 1, b"anything"),
        ],
    )
    assert sorted(records.holdings.bookings) == ["older", "on-its-way", "stays"]
    assert records.holdings.ports["port-stays"].active
    assert sink.positions() == {"h1": at(9)}


async def test_a_refusal_that_the_complete_state_lacks_is_forgotten(store: Store) -> None:
    records, sink = with_bookings(store)
    sink.apply(HOST, at(2), [entry(1, "a", refused("a", 1)), entry(2, "b", refused("b", 1))])
    sink.replace(HOST, at(5), [row("b", refused("b", 1))])
    assert [sight.guest for sight in records.holdings.sights.values()] == ["b"]


async def test_a_guest_has_its_ports_again_when_its_refusal_is_forgotten(store: Store) -> None:
    """The host's disk was put back to before it; what it is told of then comes in the same complete state."""
    records, sink = with_bookings(store, "g")
    sink.apply(HOST, at(1), [entry(1, "g", refused("g", 1))])
    assert not records.holdings.bookings
    wiring = PortWiring(
        port="port-g",
        network="n",
        network_name="",
        segment=1,
        mtu=1450,
        mac="g",
        addresses=(),
        cidr="10.0.0.0/24",
        gateway=None,
    )
    guest = replace(shown("h1", "g", 1), project="p", ports=(wiring,))
    sink.replace(HOST, Position(epoch="f", seq=1, digest=bytes(16)), [row("g", guest)])
    assert records.holdings.bookings["g"].ports == ("port-g",)


async def test_changes_and_the_position_they_came_from_land_together(store: Store) -> None:
    records, sink = with_bookings(store, "g")
    records.stage([Carrier(host="h1", incarnation="1")], "host started")
    sink.apply(HOST, at(3), [entry(1, "g", shown("h1", "g", 1)), entry(2, "g"), entry(3, "unknown")])
    await records.durable()
    after_crash = Records(store)
    assert after_crash.positions == {"h1": at(2)}, "the third changed nothing and may be read again"
    assert after_crash.holdings.bookings == records.holdings.bookings == {}
    records.keep_positions()
    assert Records(store).positions == {"h1": at(3)} == sink.positions()


async def test_reading_entries_again_changes_nothing(store: Store) -> None:
    _, sink = with_bookings(store, "g")
    entries = [entry(1, "g", shown("h1", "g", 1)), entry(2, "x", refused("x", 1)), entry(3, "x", shown("h1", "x", 1))]
    sink.apply(HOST, at(3), entries)
    log = store._staged_head
    sink.apply(HOST, at(3), entries)
    assert store._staged_head == log


async def test_a_far_host_is_not_heard(store: Store) -> None:
    records, sink = with_bookings(store, "g")
    far = replace(HOST, cluster="c2")
    sink.apply(far, at(1), [entry(1, "g", refused("g", 9))])
    sink.replace(far, at(2), [row("g", refused("g", 9))])
    assert "g" in records.holdings.bookings
    assert not sink.positions() and not records.holdings.sights


async def test_where_a_host_is_comes_from_its_record_and_goes_with_it(store: Store) -> None:
    records, sink = with_bookings(store)
    here = a_host("h1", carriage=Carriage(underlay="192.0.2.1"))
    sink.apply(HOST, at(1), [Entry(1, 0, "host", "h1", encode(here), "cause", b"")])
    assert [carrier.address for carrier in records.holdings.carriers.values()] == ["192.0.2.1"]
    other = a_host("h2", carriage=Carriage(underlay="192.0.2.2"))
    sink.apply(HOST, at(2), [Entry(2, 0, "host", "h2", encode(other), "cause", b"")])
    told = [carrier.address for carrier in records.holdings.carriers.values()]
    assert told == [], "a host speaks of itself alone, and what it says of itself in another's name is nothing"
    sink.apply(HOST, at(3), [Entry(3, 0, "host", "h1", encode(here), "cause", b"")])
    sink.replace(HOST, at(4), [Row("host", "h1", 3, encode(here))])
    await records.durable()
    assert Records(store).holdings.carriers.keys() == {"h1"}
    sink.replace(HOST, at(5), [])
    assert records.holdings.carriers == {}
