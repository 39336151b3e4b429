"""Backups that only the owner of a key can read: every segment is encrypted before it leaves the process.

AES-256-GCM with a random nonce for each segment, under a key of the store's own that is derived (HKDF) from the key in
the file. The number is bound to it as associated data, and the store by its key: a segment under another number, or in
another store, can't be opened. Which history it belongs to (epoch and position), and the segment before it, stand
inside (freehold/store/segments.py); so pieces can't be exchanged, left out or put back unseen, but for the last ones.

    sealed      MAGIC, the key's fingerprint (8 bytes), the nonce (12 bytes), the ciphertext with its tag
"""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from freehold.drivers.backup.interface import Backups, OtherKey, Plain
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.secret import Secret

MAGIC: Final = b"freehold sealed backup 1\n"
KEY_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 8
NONCE_BYTES: Final = 12
_BODY_AT: Final = len(MAGIC) + FINGERPRINT_BYTES + NONCE_BYTES
_LINE: Final = re.compile(r"freehold-backup-key-1 ([A-Za-z0-9_-]{43}=)")


class Keys:
    """Keys as texts: the first seals; all of them open. Raises BadRequest for a text that is none."""

    def __init__(self, texts: list[Secret]) -> None:
        self._keys = {fingerprint(_bytes(text)): _bytes(text) for text in texts}
        self.first = next(iter(self._keys), b"")
        self._derived = lru_cache(4096)(self._derive)

    def _derive(self, which: bytes, store: str) -> AESGCM:
        purpose = b"freehold backup of " + store.encode()
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(self._keys[which]))

    def sealed(self, store: str, number: int, content: bytes) -> bytes:
        """The bytes to keep."""
        nonce = os.urandom(NONCE_BYTES)
        head = MAGIC + self.first
        return head + nonce + self._derived(self.first, store).encrypt(nonce, content, _bound(head, store, number))

    def opened(self, store: str, number: int, content: bytes) -> bytes:
        """What was sealed. Raises Plain, OtherKey, or Broken for what was changed."""
        if not content.startswith(MAGIC):
            raise Plain(
                f"segment {number} of the backup of store {store} isn't encrypted: it is damaged, or from before "
                "backups were. Say --plain if you trust whoever can write there."
            )
        which, nonce = content[len(MAGIC) : len(MAGIC) + FINGERPRINT_BYTES], content[_BODY_AT - NONCE_BYTES : _BODY_AT]
        if which not in self._keys:
            given = ", ".join(one.hex() for one in self._keys) or "none"
            raise OtherKey(
                f"the backup of store {store} is encrypted with another key: {which.hex()}; given: {given}. Say where "
                "the key of the machine that wrote it is, with --key."
            )
        try:
            bound = _bound(content[: len(MAGIC) + FINGERPRINT_BYTES], store, number)
            return self._derived(which, store).decrypt(nonce, content[_BODY_AT:], bound)
        except (InvalidTag, ValueError):
            raise Broken(f"segment {number} of the backup of store {store} is damaged, or not in its place.") from None


def _bound(head: bytes, store: str, number: int) -> bytes:
    return head + f"{store} {number}".encode()


def fingerprint(key: bytes) -> bytes:
    """What a key is called: nothing can be learned from it."""
    return blake2b(key, digest_size=FINGERPRINT_BYTES, person=b"freehold backup").digest()


def new_key() -> Secret:
    """A key, as a line of text."""
    return Secret(f"freehold-backup-key-1 {urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()}")


def _bytes(text: Secret) -> bytes:
    match = _LINE.fullmatch(text.reveal())
    if match is None:
        raise BadRequest("a key for backups is a line as `freehold backup key` prints it; this file has another")
    return urlsafe_b64decode(match[1])


def read_keys(path: Path) -> Keys:
    """The keys in a file, one a line. Blocks. Raises BadRequest."""
    try:
        lines = path.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise BadRequest(f"the key for backups {path} can't be read: {why}. Say where it is with --key.") from None
    keys = Keys([Secret(line.strip()) for line in lines if line.strip() and not line.startswith("#")])
    if not keys.first:
        raise BadRequest(f"there is no key for backups in {path}")
    return keys


def kept_keys(path: Path, say: Callable[[str], None]) -> Keys:
    """The keys in a file; a new one, and loud words, where there is none. Blocks. Raises BadRequest."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_name(f"{path.name}.{os.getpid()}.new")
        with open(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(new_key().reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)  # the first of several processes makes it
        except FileExistsError:
            pass
        else:
            say(f"a key for backups was made: {path}. Keep a copy elsewhere: without it NOTHING can be restored")
        made.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
    if path.stat().st_mode & 0o077:
        raise BadRequest(f"the key for backups {path} can be read by others: chmod 600 {path}")
    return read_keys(path)


class SealedBackups:
    """See Backups: another place's, encrypted. What isn't encrypted there is refused, unless it is wanted (`plain`):
    whoever can write there could have put it.
    """

    def __init__(self, inner: Backups, keys: Keys, plain: bool = False) -> None:
        self._inner, self._keys, self._plain = inner, keys, plain

    async def stores(self) -> list[str]:
        """See Backups."""
        return await self._inner.stores()

    async def hold(self, store: str) -> None:
        """See Backups."""
        await self._inner.hold(store)

    async def numbers(self, store: str) -> list[int]:
        """See Backups."""
        return await self._inner.numbers(store)

    async def write(self, store: str, number: int, content: bytes) -> None:
        """See Backups."""
        await self._inner.write(store, number, self._keys.sealed(store, number, content))

    async def read(self, store: str, number: int) -> bytes:
        """See Backups. Also raises Plain and OtherKey, and Broken for what was changed."""
        content = await self._inner.read(store, number)
        if self._plain and not content.startswith(MAGIC):
            return content
        return self._keys.opened(store, number, content)

    async def delete(self, store: str, number: int) -> None:
        """See Backups."""
        await self._inner.delete(store, number)

    async def close(self) -> None:
        """See Backups."""
        await self._inner.close()
