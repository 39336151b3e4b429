"""What the directory does outside its store: signs passports, checks proofs, says who is barred."""

from freehold.bus import passports, subjects, talk, tickets
from freehold.bus.tickets import Cloud
from freehold.runtime.keys import SigningKey, closed
from freehold.vocabulary.codec import encode
from freehold.vocabulary.errors import Unauthorized
from freehold.vocabulary.machine import (
    Barred,
    BrokerPapers,
    MachineRequest,
    Papers,
    Passport,
    Passported,
    Renew,
    Roll,
    mac,
    route_key,
)
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Means


def check_proof(request: MachineRequest, asked_with: str) -> None:
    """Raises Unauthorized unless who asks has the key that it asks for."""
    if not passports.has_its_key(request, asked_with):
        raise Unauthorized("The request isn't signed by the key that it names.")


def check_renewal(key: bytes, asked: Renew) -> None:
    """Raises Unauthorized unless the request is signed by the key that is known."""
    if not passports.is_renewal(key, asked.request, asked.signature):
        raise Unauthorized("This machine gets no passport.")


class Office:
    """Signs what machines of a cloud are given."""

    def __init__(self, authority: SigningKey, cloud: Cloud) -> None:
        self._authority, self._cloud = authority, cloud
        self.public = authority.public

    def papers(self, passport: Passport, roll: Roll, route: bytes = b"") -> Papers:
        """A machine's papers; with the roll, and who else it takes in, for one that runs a server of the bus."""
        return Papers(
            passport=passports.sealed_passport(passport, self._authority),
            ticket=tickets.ticket(passport, self._authority, self._cloud),
            centre=self._cloud.centre,
            broker=BrokerPapers(roll=roll, route=route) if "broker" in passport.roles else None,
        )

    def first_papers(self, passport: Passport, roll: Roll, secret: Secret) -> Passported:
        """What answers an invitation with this secret."""
        route = self.route_password(passport.cluster).reveal().encode()
        papers = encode(self.papers(passport, roll, closed(route_key(secret), route)))
        return Passported(papers=papers, mac=mac(secret, papers))

    def route_password(self, cluster: str) -> Secret:
        """What the servers of a cluster know each other by."""
        return tickets.route_password(self._authority, cluster)

    def roll(self, refused: dict[bytes, int], time: int) -> Roll:
        """What servers check tickets with, as it is now."""
        return tickets.roll(self._authority, refused, time)


async def say_roll(means: Means, roll: Roll) -> None:
    """Says which tickets aren't taken, to the servers of the bus."""
    await talk.say(means.bus, subjects.ROLL, roll)


async def say_barred(means: Means, machines: tuple[str, ...]) -> None:
    """Says who is barred, to whoever listens."""
    await talk.say(means.bus, subjects.BARRED, Barred(machines=machines))
