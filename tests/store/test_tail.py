"""What is told right after it is on disk comes from memory, and is what the disk has."""

from msgspec.structs import replace

from freehold.store.tail import TAIL_ENTRIES, Tail
from freehold.vocabulary.envelope import Entry, Position


def entry(seq: int) -> Entry:
    return Entry(seq, seq, "guest", str(seq), b"", "test", seq.to_bytes(16, "big"))


def position(seq: int) -> Position:
    return Position(epoch="e", seq=seq, digest=entry(seq).digest)


def test_what_follows_on_a_position_is_given_in_parts() -> None:
    tail = Tail()
    tail.add(entry(seq) for seq in range(5, 10))
    assert tail.since(position(5), 2) == (entry(6), entry(7))
    assert tail.since(position(7), 100) == (entry(8), entry(9))
    assert tail.since(position(9), 100) == ()


def test_what_it_cant_say_is_looked_for_elsewhere() -> None:
    tail = Tail()
    assert tail.since(position(1), 1) is None
    tail.add(entry(seq) for seq in range(5, 10))
    for other in (position(4), position(10), replace(position(7), digest=b"another history")):
        assert tail.since(other, 100) is None
    tail.clear()
    assert tail.since(position(7), 100) is None


def test_only_the_newest_are_kept() -> None:
    tail, last = Tail(), TAIL_ENTRIES + 10
    tail.add(entry(seq) for seq in range(1, last + 1))
    assert tail.since(position(10), 1) is None
    first = last - TAIL_ENTRIES + 1
    assert tail.since(position(first), last) == tuple(entry(seq) for seq in range(first + 1, last + 1))
