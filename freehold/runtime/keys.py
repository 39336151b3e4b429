"""Ed25519: keys that sign, and the check of what was signed."""

from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from freehold.runtime.chance import Chance

KEY_BYTES = 32


class SigningKey:
    """A private key. It can't be shown, and what it signs is signed with the purpose that it is for."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError unless `secret` has `KEY_BYTES`."""
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @classmethod
    def made(cls, chance: Chance) -> Self:
        """A new one."""
        return cls(chance.bytes(KEY_BYTES))

    def __repr__(self) -> str:
        return "SigningKey(…)"

    @property
    def public(self) -> bytes:
        """The public key, `KEY_BYTES` long."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, purpose: bytes, *parts: bytes) -> bytes:
        """A signature over the parts, each with its length: no two lists of parts are signed alike."""
        return self._key.sign(_joined(purpose, parts))


def is_signed(key: bytes, signature: bytes, purpose: bytes, *parts: bytes) -> bool:
    """Whether `signature` is that of the public key `key` over the parts, for this purpose. False for a key that is
    none.
    """
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _joined(purpose, parts))
    except (InvalidSignature, ValueError):
        return False
    return True


def _joined(purpose: bytes, parts: tuple[bytes, ...]) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in (purpose, *parts))
