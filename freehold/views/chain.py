"""Whether what an owner tells leads on from what was read of it: by sequence, and by digest."""

from collections.abc import Sequence

from freehold.vocabulary.digest import chained_once
from freehold.vocabulary.envelope import Entries, Entry, Position


def chains(stands: Position, entries: Sequence[Entry]) -> bool:
    """Whether `entries` follow one another from `stands`."""
    seq, digest = stands.seq, stands.digest
    for e in entries:
        seq += 1
        digest = chained_once(digest, e.seq, e.time, e.kind, e.key, e.value, e.cause)
        if e.seq != seq or e.digest != digest:
            return False
    return True


def continues(stands: Position, answer: Entries) -> bool:
    """Whether an answer leads on from `stands`; one that doesn't would be asked for without end."""
    return chains(stands, answer.entries) and (bool(answer.entries) or answer.position.seq <= stands.seq)


def reached(stands: Position, entries: Sequence[Entry]) -> Position:
    """Where who stood at `stands` stands after these entries."""
    last = entries[-1] if entries else None
    return stands if last is None else Position(epoch=stands.epoch, seq=last.seq, digest=last.digest)
