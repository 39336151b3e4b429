"""The format of a store's backup: numbered segments, each with a checksum, chained to the one before.

    segment     MAGIC, the BLAKE2b (32 bytes) of the body, the body: a `Segment` as MessagePack
    run         one or more segments that bring a copy from one moment of the store to a later one; `whole` is true of
                the last
    snapshot    a run from nothing: the compacted log and all private values. Its first segment is the `base` of
                itself and of all that follow, until the next snapshot
    line        runs of one history. A store that was restored, or put back to an old copy, begins another line

A copy is what the segments from a base to a whole one say, in order.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from freehold.vocabulary.codec import decode as decode_word
from freehold.vocabulary.codec import encode as encode_word
from freehold.vocabulary.envelope import Entry, Owner, Position
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word

MAGIC: Final = b"freehold backup 1\n"
CHECKSUM_BYTES: Final = 32
BODY_AT: Final = len(MAGIC) + CHECKSUM_BYTES


class PrivateRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A private value as it stands, or (None) the trace of a deleted one, with the number of its last change."""

    kind: str
    key: str
    value: bytes | None
    version: int


class Mark(Word, frozen=True, kw_only=True):
    """Where a copy stands: the log's position, and the number of the last change to a private value."""

    position: Position
    version: int = 0


class Segment(Word, frozen=True, kw_only=True):
    """One segment. `time` is the clock time at which its run was read, `place` where the store's file lies in the
    folder of the cloud's state.

    Entries come after the log's `after`. When the segment is whole, the copy stands at `mark`.
    """

    owner: Owner
    place: str
    time: int
    number: int
    before: bytes
    """The checksum of the segment before it; nothing to compare with at a base."""
    base: int
    base_before: int = 0
    """The base of the whole snapshot before, in the same line; 0 if there is none."""
    line: int
    """The number of the first segment of this history."""
    snapshot: bool = False
    whole: bool = False
    after: int = 0
    mark: Mark
    snapshot_bytes: int = 0
    """The bytes of the snapshot's segments before this one."""
    since_bytes: int = 0
    """The bytes of the segments after the snapshot and before this one."""
    entries: tuple[Entry, ...] = ()
    private: tuple[PrivateRow, ...] = ()

    def last(self) -> int:
        """The sequence of the last entry that a copy has after this segment."""
        return self.entries[-1].seq if self.entries else self.after


def encode(segment: Segment) -> bytes:
    """The bytes of a segment."""
    body = encode_word(segment)
    return MAGIC + blake2b(body, digest_size=CHECKSUM_BYTES).digest() + body


def checksum(content: bytes) -> bytes:
    """The checksum that a segment's bytes carry."""
    return content[len(MAGIC) : BODY_AT]


def decode(content: bytes, store: str, number: int) -> Segment:
    """The segment in `content`. Raises Broken unless it is exactly the one that was written under that number."""
    body = content[BODY_AT:]
    if content[: len(MAGIC)] != MAGIC or blake2b(body, digest_size=CHECKSUM_BYTES).digest() != checksum(content):
        raise Broken(f"segment {number} of the backup of store {store} is damaged.")
    segment = decode_word(body, Segment)
    if (segment.owner.store, segment.number) != (store, number):
        raise Broken(
            f"segment {number} of the backup of store {store} is segment {segment.number} of {segment.owner.store}."
        )
    return segment
