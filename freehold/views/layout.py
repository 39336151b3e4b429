"""Where things are in the mapped file (`rows`), and how its ranges are walked."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import takewhile
from typing import Final

import lmdb

from freehold.vocabulary.word import Word

KEY_BYTES_MAX: Final = 300
"""LMDB takes keys of 511 bytes; longer record keys are cut and made unique by a hash."""
CREATED_BYTES: Final = 8
AFTER: Final = b"\xff" * 17
"""Makes a key one after all that begin with it and a hash."""

Pairs = Iterator[tuple[bytes, bytes]]


def forward(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> Pairs:
    """Keys and values that begin with `prefix`, after `start`."""
    found = _first_after(cursor, prefix, start)
    while found and bytes(cursor.key()).startswith(prefix):
        yield bytes(cursor.key()), bytes(cursor.value())
        found = cursor.next()


def backward(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> Pairs:
    """The same from the end, before `start`."""
    found = _last_before(cursor, prefix, start)
    while found and bytes(cursor.key()).startswith(prefix):
        yield bytes(cursor.key()), bytes(cursor.value())
        found = cursor.prev()


def keys_forward(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> Iterator[bytes]:
    """The keys alone, after `start`: a good deal faster."""
    if _first_after(cursor, prefix, start):
        yield from map(bytes, takewhile(lambda key: bytes(key).startswith(prefix), cursor.iternext(values=False)))


def keys_backward(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> Iterator[bytes]:
    """The same from the end, before `start`."""
    if _last_before(cursor, prefix, start):
        yield from map(bytes, takewhile(lambda key: bytes(key).startswith(prefix), cursor.iterprev(values=False)))


def between(cursor: lmdb.Cursor, first: bytes, last: bytes) -> Iterator[bytes]:
    """The values from one key to another."""
    found = cursor.set_range(first)
    while found and bytes(cursor.key()) <= last:
        yield bytes(cursor.value())
        found = cursor.next()


def _first_after(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> bool:
    """Whether anything is there, be it of the prefix or not; the cursor is at it then."""
    found = cursor.set_range(start or prefix)
    if found and start is not None and bytes(cursor.key()) == start:
        found = cursor.next()
    return found


def _last_before(cursor: lmdb.Cursor, prefix: bytes, start: bytes | None) -> bool:
    """The same from the end."""
    end = start or prefix[:-1] + b"\x01"
    return cursor.prev() if cursor.set_range(end) else cursor.last()


def bounded(key: str) -> bytes:
    raw = key.encode()
    return raw if len(raw) <= KEY_BYTES_MAX else raw[:KEY_BYTES_MAX] + blake2b(raw, digest_size=16).digest()


def place_of(kind: str, key: str) -> bytes:
    return kind.encode() + b"\0" + bounded(key)


def shadow_of(place: bytes, store: str) -> bytes:
    return place + b"\0" + store.encode()


def owned_at(store: str, place: bytes) -> bytes:
    return store.encode() + b"\0" + place


def owned_from(store: str, kind: str, key: str) -> bytes:
    """The first that `owned_at` may be: a key that is cut isn't in its place among those that begin alike."""
    return store.encode() + b"\0" + kind.encode() + b"\0" + key.encode()[:KEY_BYTES_MAX]


def row_key(kind: str, key: str, record: Word) -> bytes:
    project = str(getattr(record, "project", "")).encode()[:64]
    created = max(0, int(getattr(record, "created", getattr(record, "started", 0)))).to_bytes(CREATED_BYTES, "big")
    return kind.encode() + b"\0" + project + b"\0" + created + bounded(key)
