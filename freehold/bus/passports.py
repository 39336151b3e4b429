"""Passports and what is asked for one: how each is signed, and how that is checked.

A passport is signed by the authority of the cloud; a machine's request by the key that it asks for, which proves that
it has it; a renewal besides by the key that the machine had.
"""

from dataclasses import dataclass
from typing import Final

from freehold.runtime.keys import SigningKey, is_signed
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.machine import MachineRequest, Papers, Passport, Passported, SealedPassport

_PASSPORT: Final = b"freehold passport 1"
_REQUEST: Final = b"freehold machine request 1"
_RENEWAL: Final = b"freehold renewal 1"
"""What a signature is for: none serves as another."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this machine is: its passport, and the key that the passport names."""

    passport: bytes
    """A SealedPassport."""
    key: SigningKey
    ticket: str = ""
    """What the servers of the bus let it in by; empty: whatever their own configuration says."""


def sealed_passport(passport: Passport, authority: SigningKey) -> bytes:
    """The passport as it travels, vouched for by the authority."""
    body = encode(passport)
    return encode(SealedPassport(passport=body, signature=authority.sign(_PASSPORT, body)))


def opened_passport(sealed: bytes, authority: bytes) -> Passport | None:
    """What a passport says, if the authority with this public key has signed it."""
    try:
        travels = decode(sealed, SealedPassport)
        if not is_signed(authority, travels.signature, _PASSPORT, travels.passport):
            return None
        return decode(travels.passport, Passport)
    except ValueError:
        return None


def read_papers(given: Passported) -> Papers:
    """What a machine was given, by a directory that may be older than it. Raises Broken for what can't be read."""
    try:
        return decode(given.papers, Papers) if given.papers else Papers(passport=given.passport)
    except ValueError as error:
        raise Broken("the directory gave papers that can't be read; both sides must run the same release") from error


def machine_request(key: SigningKey, stores: tuple[str, ...], asked_with: str) -> bytes:
    """What a machine asks a passport with, encoded. `asked_with`: the id of its invitation, or its own."""
    unsigned = encode(MachineRequest(key=key.public, stores=stores))
    signature = key.sign(_REQUEST, asked_with.encode(), unsigned)
    return encode(MachineRequest(key=key.public, stores=stores, signature=signature))


def has_its_key(request: MachineRequest, asked_with: str) -> bool:
    """Whether who asks has the key that it asks for."""
    unsigned = encode(MachineRequest(key=request.key, stores=request.stores))
    return is_signed(request.key, request.signature, _REQUEST, asked_with.encode(), unsigned)


def renewal(old: SigningKey, request: bytes) -> bytes:
    """The signature that a machine's request for a new key is sent with."""
    return old.sign(_RENEWAL, request)


def is_renewal(old: bytes, request: bytes, signature: bytes) -> bool:
    """Whether the request was signed by the key that is known."""
    return is_signed(old, signature, _RENEWAL, request)
