"""A bus over another that nobody trusts: what is said is signed, and what is heard was said by who may say it.

Refused is, and counted by its reason,
    unreadable    what isn't a sealed message
    unknown       a passport that our authority hasn't signed
    expired       a passport whose time is over
    barred        a machine that was shut out
    not allowed   a subject that the machine's roles don't have (`allowed`)
    stale         what was said longer than a day ago, or will be: no late message and no wrong clock explains it
    forged        a signature that isn't the machine's over this message on this subject, or over this answer to this
                  question
    replayed      what was heard before, or so long ago that nobody can tell
The broker can still lose, double, delay and reorder; so can everybody else.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from freehold.bus.allowed import may_answer, may_speak
from freehold.bus.ears import bounded
from freehold.bus.interface import Answerer, Bus, Hearing, Listener, Subscription
from freehold.bus.passports import Identity, opened_passport
from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock
from freehold.runtime.keys import is_signed
from freehold.runtime.log import logger
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.machine import Passport, Sealed

MESSAGE: Final = b"freehold message 1"
ANSWER: Final = b"freehold answer 1"
"""What a signature is for: none serves as another."""

SESSION_BYTES: Final = 8
STALE_MS: Final = 24 * 3600 * 1000
WINDOW: Final = 4096
"""How far a message may be behind the newest of its session."""
SESSIONS_MAX: Final = 8
"""Of one machine that are remembered: its processes, and those before them."""
MACHINES_MAX: Final = 200_000
PASSPORTS_MAX: Final = 200_000
VERIFIED_MAX: Final = 512
VERIFIED_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of publications whose signature was checked, so many, and so much, are remembered."""

_log = logger("bus")


class Refused(Exception):
    """A message isn't taken. Its text is the reason, as it is counted."""


class Verified:
    """What was found to be signed by whom it says, under one authority: several readers in one process hear the same,
    and its signature is checked once.
    """

    def __init__(self) -> None:
        self.passports: OrderedDict[bytes, Passport] = OrderedDict()
        self._heard: OrderedDict[bytes, tuple[bytes, Sealed]] = OrderedDict()
        """By what was heard: the subject that its signature holds for, and what it says."""
        self._bytes = 0

    def passport(self, by: bytes, authority: bytes) -> Passport:
        """Raises Refused for one that the authority hasn't sealed."""
        known = self.passports.get(by)
        if known is not None:
            return known
        passport = opened_passport(by, authority)
        if passport is None:
            raise Refused("unknown")
        self.passports[by] = passport
        if len(self.passports) > PASSPORTS_MAX:
            self.passports.popitem(last=False)
        return passport

    def get(self, raw: bytes, about: bytes) -> Sealed | None:
        """What a publication says, if its signature was checked."""
        known = self._heard.get(raw)
        return known[1] if known is not None and known[0] == about else None

    def keep(self, raw: bytes, about: bytes, sealed: Sealed) -> None:
        """Its signature was checked."""
        if raw in self._heard or len(raw) > VERIFIED_BYTES_MAX:
            return
        self._heard[raw] = about, sealed
        self._bytes += len(raw)
        while self._bytes > VERIFIED_BYTES_MAX or len(self._heard) > VERIFIED_MAX:
            self._bytes -= len(self._heard.popitem(last=False)[0])


class SignedBus:
    """See the module and freehold.bus.interface.Bus. `is_barred` says of a machine whether it was shut out; `verified`
    is shared by those of one process.
    """

    def __init__(
        self,
        bus: Bus,
        identity: Identity,
        authority: bytes,
        clock: Clock,
        chance: Chance,
        is_barred: Callable[[str], bool] = lambda machine: False,
        verified: Verified | None = None,
    ) -> None:
        self._bus, self._identity, self._authority, self._clock = bus, identity, authority, clock
        self._is_barred = is_barred
        self._session, self._number = chance.bytes(SESSION_BYTES), 0
        self._verified = verified or Verified()
        self.refused: Counter[str] = Counter()

    def identify(self, identity: Identity) -> None:
        """Goes on with another passport and key."""
        self._identity = identity

    # --- saying ------------------------------------------------------------------------------------------------------

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        bounded(subject, body)
        await self._bus.publish(subject, encode(self._sealed(MESSAGE, subject.encode(), body)))

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """See Bus. Raises NoAnswer as well if the question was refused, or the answer isn't one that may be given."""
        bounded(subject, body)
        question = self._sealed(MESSAGE, subject.encode(), body)
        raw = await self._bus.ask(subject, encode(question), deadline_s)
        if not raw:
            raise NoAnswer(f"what this machine asked on {subject} was refused; the log of who was asked says why")
        try:
            return self._opened(raw, ANSWER, _answers(subject, question), may_answer, subject, None)
        except Refused as error:
            raise NoAnswer(f"the answer on {subject} was refused: {error}") from error

    def _sealed(self, purpose: bytes, about: bytes, body: bytes) -> Sealed:
        self._number += 1
        number, time_ms = self._number, self._clock.unix_ms()
        signed = (about, self._identity.passport, self._session, _bytes(number), _bytes(time_ms), body)
        return Sealed(
            by=self._identity.passport,
            session=self._session,
            number=number,
            time_ms=time_ms,
            body=body,
            signature=self._identity.key.sign(purpose, *signed),
        )

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> Hearing:
        """See Bus. What was heard before is dropped for each subscription by itself."""
        heard = Heard()

        async def opened(subject_heard: str, raw: bytes) -> None:
            try:
                body = self._opened(raw, MESSAGE, subject_heard.encode(), may_speak, subject_heard, heard)
            except Refused:
                return
            await listener(subject_heard, body)

        return await self._bus.subscribe(subject, opened, group)

    async def answer(self, subject: str, answerer: Answerer, group: str) -> Subscription:
        """See Bus."""
        heard = Heard()

        async def opened(subject_asked: str, raw: bytes) -> bytes:
            try:
                body = self._opened(raw, MESSAGE, subject_asked.encode(), may_speak, subject_asked, heard)
            except Refused:
                return b""
            answered = await answerer(subject_asked, body)
            about = _answers(subject_asked, decode(raw, Sealed))
            return encode(self._sealed(ANSWER, about, answered))

        return await self._bus.answer(subject, opened, group)

    def on_connect(self, listener: Callable[[float], None]) -> Subscription:
        """See Bus."""
        return self._bus.on_connect(listener)

    async def close(self) -> None:
        """See Bus."""
        await self._bus.close()

    def _opened(
        self,
        raw: bytes,
        purpose: bytes,
        about: bytes,
        may: Callable[[Passport, str], bool],
        subject: str,
        heard: "Heard | None",
    ) -> bytes:
        try:
            return self._checked(raw, purpose, about, may, subject, heard)
        except Refused as error:
            reason = str(error)
            self.refused[reason] += 1
            if self.refused[reason].bit_count() == 1:
                _log.error("a message was refused", reason=reason, subject=subject, refused=self.refused[reason])
            raise

    def _checked(
        self,
        raw: bytes,
        purpose: bytes,
        about: bytes,
        may: Callable[[Passport, str], bool],
        subject: str,
        heard: "Heard | None",
    ) -> bytes:
        verified = self._verified.get(raw, about) if heard is not None else None
        sealed = _read(raw) if verified is None else verified
        passport, now_ms = self._verified.passport(sealed.by, self._authority), self._clock.unix_ms()
        if passport.expires_ms <= now_ms:
            raise Refused("expired")
        if self._is_barred(passport.machine):
            raise Refused("barred")
        if not may(passport, subject):
            raise Refused("not allowed")
        if abs(now_ms - sealed.time_ms) > STALE_MS:
            raise Refused("stale")
        if verified is None:
            signed = (about, sealed.by, sealed.session, _bytes(sealed.number), _bytes(sealed.time_ms), sealed.body)
            if not is_signed(passport.key, sealed.signature, purpose, *signed):
                raise Refused("forged")
            if heard is not None:
                self._verified.keep(raw, about, sealed)
        if heard is not None and not heard.is_new(passport.machine, sealed.session, sealed.number):
            raise Refused("replayed")
        return sealed.body


class Heard:
    """Which messages were heard: for each session of a machine the newest number, and a bit for each of those before.

    A machine that begins many sessions forgets its own older ones, and nobody else's.
    """

    def __init__(self) -> None:
        self._machines: OrderedDict[str, OrderedDict[bytes, tuple[int, int]]] = OrderedDict()

    def is_new(self, machine: str, session: bytes, number: int) -> bool:
        """Whether this wasn't heard before; from now on it was. False too for what is `WINDOW` behind the newest."""
        sessions = self._machines.setdefault(machine, OrderedDict())
        newest, seen = sessions.get(session, (0, 0))
        if number > newest:
            seen = (seen << min(number - newest, WINDOW) | 1) & ((1 << WINDOW) - 1)
            newest = number
        else:
            bit = 1 << (newest - number) if number > 0 and newest - number < WINDOW else 0
            if not bit or seen & bit:
                return False
            seen |= bit
        sessions[session] = (newest, seen)
        if len(sessions) > SESSIONS_MAX:
            sessions.popitem(last=False)
        if len(self._machines) > MACHINES_MAX:
            self._machines.popitem(last=False)
        return True


def _read(raw: bytes) -> Sealed:
    try:
        return decode(raw, Sealed)
    except ValueError:
        raise Refused("unreadable") from None


def _answers(subject: str, question: Sealed) -> bytes:
    """What an answer is bound to: this question of this machine."""
    return b"\0".join((subject.encode(), question.signature))


def _bytes(number: int) -> bytes:
    return number.to_bytes(16, "big", signed=True)
