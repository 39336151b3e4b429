"""What a store's owner reads is what he wrote last, whether it is staged, on disk, or kept in memory as well."""

import sqlite3
from collections.abc import Iterator

import pytest

from freehold.store.files import take_up
from freehold.store.values import RECENT_BYTES_MAX, RECENT_BYTES_MIN, RECENT_OVERHEAD_BYTES, Place, Room, Values
from freehold.store.writing import write_entries
from freehold.vocabulary.envelope import Entry

A = Place(False, "guest", "a")
SECRET = Place(True, "guest", "a")


@pytest.fixture
def disk() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    take_up(connection, "store", "epoch")
    yield connection
    connection.close()


def write(disk: sqlite3.Connection, place: Place, value: bytes | None) -> None:
    (seq,) = disk.execute("SELECT coalesce(max(seq), 0) + 1 FROM log").fetchone()
    write_entries(disk, [Entry(seq, seq, place.kind, place.key, value, "t", bytes(16))])


def test_what_is_staged_hides_what_is_on_disk_until_it_lands(disk: sqlite3.Connection) -> None:
    write(disk, A, b"old")
    values = Values(disk)
    assert values.get(A) == b"old"
    values.stage(A, b"new", 1)
    assert values.get(A) == b"new"
    write(disk, A, b"new")
    values.landed({A: b"new"}, 1)
    assert values.get(A) == b"new"
    assert values.scan(False, "guest", "") == [("a", b"new")]


def test_what_is_staged_later_stays_when_the_earlier_lands(disk: sqlite3.Connection) -> None:
    values = Values(disk)
    values.stage(A, b"1", 1)
    values.stage(A, b"2", 2)
    write(disk, A, b"1")
    values.landed({A: b"1"}, 1)
    assert values.get(A) == b"2"
    assert values.scan(False, "guest", "") == [("a", b"2")]


def test_what_is_deleted_is_gone_at_once_and_stays_gone(disk: sqlite3.Connection) -> None:
    write(disk, A, b"old")
    values = Values(disk)
    assert values.get(A) == b"old"
    values.stage(A, None, 1)
    assert values.get(A) is None
    assert values.scan(False, "guest", "") == []
    write(disk, A, None)
    values.landed({A: None}, 1)
    assert values.get(A) is None


def test_what_is_private_and_what_is_told_are_apart(disk: sqlite3.Connection) -> None:
    values = Values(disk)
    values.stage(SECRET, b"secret", 1)
    assert values.get(A) is None
    assert values.get(SECRET) == b"secret"
    assert values.scan(False, "guest", "") == []
    assert values.scan(True, "guest", "") == [("a", b"secret")]


def test_what_was_used_last_is_read_from_disk_once(disk: sqlite3.Connection) -> None:
    write(disk, A, b"1")
    values, asked = Values(disk), list[str]()
    disk.set_trace_callback(asked.append)
    for _ in range(3):
        assert values.get(A) == b"1"
        assert values.get(SECRET) is None
    assert len(asked) == 2


def test_no_more_than_a_bounded_number_of_bytes_is_kept(disk: sqlite3.Connection) -> None:
    value = bytes(10_000 - RECENT_OVERHEAD_BYTES)
    places = [Place(False, "guest", str(number)) for number in range(RECENT_BYTES_MAX // 10_000 + 1)]
    for place in places:
        write(disk, place, value)
    values, asked = Values(disk), list[str]()
    for place in places:
        assert values.get(place) == value
    disk.set_trace_callback(asked.append)
    for place in reversed(places):
        assert values.get(place) == value
    assert len(asked) == 1, "only what was read first had to be read again"


def test_several_stores_keep_so_much_together_and_each_something(disk: sqlite3.Connection) -> None:
    size = RECENT_BYTES_MIN // 4
    value, room = bytes(size - RECENT_OVERHEAD_BYTES), Room(10 * size)
    places = [Place(False, "guest", f"{number:02}") for number in range(12)]
    for place in places:
        write(disk, place, value)
    stores, asked = [Values(disk, room) for _ in range(3)], list[str]()
    for values in stores:
        for place in places:
            assert values.get(place) == value
    assert room.taken_bytes <= 10 * size + 2 * RECENT_BYTES_MIN
    disk.set_trace_callback(asked.append)
    for values, kept in zip(stores, (10, 4, 4), strict=True):
        for place in reversed(places[-kept:]):
            values.get(place)
        assert not asked
    stores[2].get(places[-5])
    assert len(asked) == 1
