"""A machine of the cloud, and what it says on a bus that nobody trusts."""

from freehold.vocabulary.word import Word


class Passport(Word, frozen=True, kw_only=True):
    """Who a machine is: which roles it runs, where, and which stores it speaks for. Vouched for by the authority."""

    machine: str
    """An id that no other machine has, and that isn't given again."""
    name: str
    """For people."""
    roles: tuple[str, ...]
    cluster: str
    stores: tuple[str, ...] = ()
    """The stores that it owns. It speaks for no other."""
    key: bytes
    """Its public key (Ed25519, 32 bytes)."""
    issued_ms: int
    expires_ms: int
    """Unix milliseconds."""


class SealedPassport(Word, frozen=True, kw_only=True):
    """A passport as it travels: its bytes, and the authority's signature over them."""

    passport: bytes
    signature: bytes


class Sealed(Word, frozen=True, kw_only=True):
    """A message as it travels: who says it, once, on which subject (which is signed, and isn't sent again).

    `session` and `number` tell a message from every other of its machine: a session is a process, and in it numbers
    count up.
    """

    by: bytes
    """A SealedPassport."""
    session: bytes
    number: int
    time_ms: int
    body: bytes
    signature: bytes
