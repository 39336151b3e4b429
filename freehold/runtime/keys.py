"""Ed25519: keys that sign, and the check of what was signed. ChaCha20-Poly1305: what only one other may read."""

import re
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as PrivateKey
from nacl.signing import VerifyKey

from freehold.runtime.chance import Chance

KEY_BYTES = 32
_PLAIN = re.compile(rb"[A-Za-z0-9._-]+")
_ONCE = bytes(12)


class SigningKey:
    """A private key. It can't be shown, and what it signs is signed with the purpose that it is for."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError unless `secret` has `KEY_BYTES`."""
        self._key = PrivateKey(secret)

    @classmethod
    def made(cls, chance: Chance) -> Self:
        """A new one."""
        return cls(chance.bytes(KEY_BYTES))

    def __repr__(self) -> str:
        return "SigningKey(…)"

    @property
    def public(self) -> bytes:
        """The public key, `KEY_BYTES` long."""
        return bytes(self._key.verify_key)

    def sign(self, purpose: bytes, *parts: bytes) -> bytes:
        """A signature over the parts, each with its length: no two lists of parts are signed alike."""
        return self._key.sign(_joined(purpose, parts)).signature

    def sign_plain(self, text: bytes) -> bytes:
        """A signature over a text as it stands, for protocols that aren't ours. Raises ValueError for a text that could
        be more than that: what `sign` signs begins with a length.
        """
        if not _PLAIN.fullmatch(text):
            raise ValueError("only a text of letters, digits, dots, dashes and underscores is signed as it stands")
        return self._key.sign(text).signature


def is_signed(key: bytes, signature: bytes, purpose: bytes, *parts: bytes) -> bool:
    """Whether `signature` is that of the public key `key` over the parts, for this purpose. False for a key that is
    none.
    """
    try:
        VerifyKey(key).verify(_joined(purpose, parts), signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def closed(key: bytes, text: bytes) -> bytes:
    """A text that only who has the key can read. The key, `KEY_BYTES` long, is for this one text."""
    return ChaCha20Poly1305(key).encrypt(_ONCE, text, None)


def opened(key: bytes, text: bytes) -> bytes:
    """What `closed` was given. Raises ValueError for what wasn't closed with this key."""
    try:
        return ChaCha20Poly1305(key).decrypt(_ONCE, text, None)
    except InvalidTag:
        raise ValueError("this was closed with another key, or was changed") from None


def _joined(purpose: bytes, parts: tuple[bytes, ...]) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in (purpose, *parts))
