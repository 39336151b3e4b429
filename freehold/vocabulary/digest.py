"""The chain over a log: each digest covers its entry and the digest before it."""

from hashlib import blake2b

from freehold.vocabulary.envelope import DIGEST_BYTES


def chained(before: bytes, seq: int, time: int, kind: str, key: str, value: bytes | None, cause: str) -> bytes:
    """The digest (BLAKE2b, 16 bytes) after an entry, from the one before it. It covers every field and its length."""
    digest = blake2b(before, digest_size=DIGEST_BYTES)
    for part in (kind.encode(), key.encode(), cause.encode(), b"\0" if value is None else b"\1" + value):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    digest.update(seq.to_bytes(8, "big") + time.to_bytes(8, "big"))
    return digest.digest()
