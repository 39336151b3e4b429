"""A machine's place among the others: it speaks under its passport, renews that, and hears who was shut out."""

from collections.abc import Callable
from typing import Final, Protocol

from freehold.bus import passports, subjects, talk
from freehold.bus.interface import Bus, Subscription
from freehold.bus.passports import Identity
from freehold.bus.signed import SignedBus
from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock
from freehold.runtime.keys import SigningKey
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.machine import Barred, Papers, Passport, Passported, Renew

LOOK_PERIOD_S: Final = 600.0

_log = logger("membership")


class Rolled(Protocol):
    """Where the machine's key is kept while it is rolled."""

    def next_key(self, chance: Chance) -> bytes:
        """The key to ask a passport for; the same one until `take`."""

    def take(self, papers: Papers) -> None:
        """Keeps the next key and its papers as the machine's."""


class Membership:
    """`bus` is what the machine's roles are handed. `kept` is written before a new key and passport are used, and
    `renewed` is told of them.
    """

    def __init__(
        self,
        over: Bus,
        identity: Identity,
        authority: bytes,
        clock: Clock,
        chance: Chance,
        kept: Rolled,
        renewed: Callable[[Identity], None] = lambda identity: None,
    ) -> None:
        self._identity, self._authority, self._clock, self._chance = identity, authority, clock, chance
        self._kept, self._renewed = kept, renewed
        self._barred: frozenset[str] = frozenset()
        self.bus = SignedBus(over, identity, authority, clock, chance, lambda machine: machine in self._barred)
        self.tasks = Tasks("membership")
        self._subscriptions: list[Subscription] = []

    @property
    def passport(self) -> Passport | None:
        """What the others are shown; None if the authority hasn't signed it."""
        return passports.opened_passport(self._identity.passport, self._authority)

    async def open(self) -> None:
        """Hears who is barred, and renews the passport from now on."""
        self._subscriptions = [await talk.hear(self.bus, subjects.BARRED, Barred, self._hear_barred)]
        self.tasks.start("renew", periodically(self._clock.sleep, LOOK_PERIOD_S, self._look))

    async def close(self) -> None:
        """Ends both."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.tasks.close()

    async def _hear_barred(self, barred: Barred) -> None:
        self._barred = frozenset(barred.machines)

    async def _look(self) -> None:
        passport = self.passport
        if passport is None or 2 * self._clock.unix_ms() < passport.issued_ms + passport.expires_ms:
            return
        try:
            await self.renew(passport)
        except FreeholdError as error:
            _log.warning("the passport isn't renewed yet", error=error.message, expires_ms=passport.expires_ms)

    async def renew(self, passport: Passport) -> None:
        """Gets papers of a new key. Raises what the directory refuses with, NoAnswer, Broken: the old ones hold."""
        key = SigningKey(self._kept.next_key(self._chance))
        request = passports.machine_request(key, passport.stores, passport.machine)
        signature = passports.renewal(self._identity.key, request)
        question = Renew(machine=passport.machine, request=request, signature=signature)
        answer = await talk.ask(self.bus, subjects.ASK_PASSPORT, question, Passported)
        papers = passports.read_papers(answer)
        self._kept.take(papers)
        self._identity = Identity(papers.passport, key, papers.ticket)
        self.bus.identify(self._identity)
        self._renewed(self._identity)
        _log.info("the passport was renewed", machine=passport.machine)
