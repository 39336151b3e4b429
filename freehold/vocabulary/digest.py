"""The chain over a log: each digest covers its entry and the digest before it."""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from freehold.vocabulary.envelope import DIGEST_BYTES

CHAINED_MAX: Final = 1024
VALUE_BYTES_MAX: Final = 16 * 1024
"""Digests that are remembered, and of which entries: in one process an owner and several readers need each."""


def chained(before: bytes, seq: int, time: int, kind: str, key: str, value: bytes | None, cause: str) -> bytes:
    """The digest (BLAKE2b, 16 bytes) after an entry, from the one before it. It covers every field and its length."""
    digest = blake2b(before, digest_size=DIGEST_BYTES)
    for part in (kind.encode(), key.encode(), cause.encode(), b"\0" if value is None else b"\1" + value):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    digest.update(seq.to_bytes(8, "big") + time.to_bytes(8, "big"))
    return digest.digest()


def chained_once(before: bytes, seq: int, time: int, kind: str, key: str, value: bytes | None, cause: str) -> bytes:
    """The same, computed once for all who need it in this process within a short time."""
    if value is not None and len(value) > VALUE_BYTES_MAX:
        return chained(before, seq, time, kind, key, value, cause)
    return _remembered(before, seq, time, kind, key, value, cause)


_remembered: Final = lru_cache(maxsize=CHAINED_MAX)(chained)
