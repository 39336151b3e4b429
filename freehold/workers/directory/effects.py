"""What the directory does outside its store: signs passports, checks proofs, says who is barred."""

from freehold.bus import passports, subjects, talk
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.errors import Unauthorized
from freehold.vocabulary.machine import Barred, MachineRequest, Passport, Renew
from freehold.workers.base import Means


def check_proof(request: MachineRequest, asked_with: str) -> None:
    """Raises Unauthorized unless who asks has the key that it asks for."""
    if not passports.has_its_key(request, asked_with):
        raise Unauthorized("The request isn't signed by the key that it names.")


def check_renewal(key: bytes, asked: Renew) -> None:
    """Raises Unauthorized unless the request is signed by the key that is known."""
    if not passports.is_renewal(key, asked.request, asked.signature):
        raise Unauthorized("This machine gets no passport.")


def sealed(passport: Passport, authority: SigningKey) -> bytes:
    """A passport as it travels."""
    return passports.sealed_passport(passport, authority)


async def say_barred(means: Means, machines: tuple[str, ...]) -> None:
    """Says who is barred, to whoever listens."""
    await talk.say(means.bus, subjects.BARRED, Barred(machines=machines))
