"""The bus between processes and machines: core NATS, in which nothing durable lives.

A connection that ends is made again, by another server if there are several, after a pause that grows and is drawn, so
that ten thousand hosts don't come back at once. What is published meanwhile is lost, as the bus may lose anything:
readers find the gap. A question waits for the connection, until its own deadline.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from freehold.bus.ears import Ear, Losses, Mouth, Waker, bounded
from freehold.bus.interface import BODY_BYTES_MAX, Answerer, Listener
from freehold.bus.nats_library import Client, Msg, NoRespondersError, StaleConnectionError
from freehold.bus.nats_library import Error as NatsError
from freehold.bus.nats_library import Subscription as NatsSubscription
from freehold.bus.passports import Identity
from freehold.bus.tickets import shown
from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.errors import Broken, NoAnswer

CONNECT_S: Final = 2
CONNECT_S_MAX: Final = 16
"""How long a server may take to take a connection: at first, and when that has failed often. One that all come back to
is slow, and who begins anew makes it slower.
"""
LOOK_S: Final = 2
"""How long a connection that has ended may be taken for one."""
PING_S: Final = 5
PINGS_UNANSWERED_MAX: Final = 2
"""A server that is silent for longer than `PING_S` times this is left."""
IN_FLIGHT_S: Final = 5.0
"""What was said so shortly before a connection ended may have gone with it, in the buffers of server or readers."""
PAUSE_S: Final = 0.25
PAUSE_S_MAX: Final = 4.0
PAUSE_OF_FEW_S_MAX: Final = 0.5
"""The longest pause of those of whom there are few."""
OUTBOUND_BYTES_MAX: Final = 16 * 1024 * 1024
"""What waits for a server that takes it too slowly; past that publications are lost, and nobody waits."""
QUESTION_S_MAX: Final = 3600.0
"""Longer than any deadline: deadlines are kept here, not in the library."""
_TURNED_AWAY: Final = "authorization violation"
BROKEN_HEADER: Final = "Freehold-Broken"
"""On an answer: the answerer failed, and there is no body."""

_log = logger("bus")


@dataclass(frozen=True, slots=True)
class NatsPlace:
    """Where the servers are, and how to get in."""

    servers: tuple[str, ...]
    """``nats://HOST:PORT`` or ``tls://HOST:PORT``."""
    name: str = ""
    """What the server calls this connection, in its log and its monitor."""
    tls: ssl.SSLContext | None = None
    """Checks the server, and has the certificate that this machine is known by."""
    inbox: str = "_INBOX"
    """Where answers come to: the first tokens of subjects that nobody else may hear."""
    identity: Identity | None = None
    """Whose ticket is shown, if servers ask for one."""
    pause_s_max: float = PAUSE_S_MAX
    """Between two attempts to connect. Those that read come back before the many who tell, to hear what they say."""


class _Ear(Ear):
    def __init__(self, bus: "NatsBus", pattern: str, listener: Listener, group: str) -> None:
        super().__init__(bus.tasks, pattern, listener, group, bus.losses)
        self._bus = bus

    async def come(self, message: Msg) -> None:
        """Takes a message from the connection, at once."""
        self.hear(message.subject, message.data)

    async def close(self) -> None:
        """See Subscription."""
        await self._bus.forget(self)
        await super().close()


class _Mouth(Mouth):
    def __init__(self, bus: "NatsBus", pattern: str, answerer: Answerer, group: str) -> None:
        super().__init__(pattern, answerer, group)
        self._bus = bus

    async def come(self, message: Msg) -> None:
        """Begins to answer a question from the connection."""
        self.begin(self._answer(message))

    async def _answer(self, message: Msg) -> None:
        try:
            body, headers = await self.answered(message.subject, message.data), None
        except Broken:
            body, headers = b"", {BROKEN_HEADER: "1"}
        if len(body) > self._bus.bytes_max:
            _log.error("an answer is too large to be sent", subject=message.subject, bytes=len(body))
            body, headers = b"", {BROKEN_HEADER: "1"}
        await self._bus.send(message.reply, body, headers)

    async def close(self) -> None:
        """See Subscription."""
        await self._bus.forget(self)
        await super().close()


@dataclass(slots=True)
class _Connection:
    """One connection, from when it stands until it has ended."""

    client: Client = field(default_factory=Client)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    heard: dict[_Ear | _Mouth, NatsSubscription | None] = field(default_factory=dict)
    silent: bool = False
    """It has ended because its server said nothing any more."""
    asking: set[asyncio.Future[Msg]] = field(default_factory=set)
    """Questions that wait for their answer: it can't come once the connection has ended."""

    @property
    def takes_more(self) -> bool:
        """Whether what is published now has a chance to go out."""
        return self.client.is_connected and self.client.pending_data_size < OUTBOUND_BYTES_MAX

    async def settle(self, within_s: int) -> None:
        """Until the server hears what was subscribed. Raises TimeoutError, NatsError or OSError."""
        for _ in range(2):  # the library's first ping may overtake what it hasn't written yet
            await self.client.flush(within_s)

    def give_up(self) -> None:
        """Ends the questions that wait."""
        for question in self.asking:
            question.cancel()


class NatsBus:
    """See the module and freehold.bus.interface.Bus."""

    def __init__(self, place: NatsPlace, clock: Clock, chance: Chance, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._place, self._clock, self._chance = place, clock, chance
        self._identity = place.identity
        self.bytes_max = bytes_max
        self.tasks = Tasks("bus")
        self.losses = Losses()
        self.unsent = 0
        """Publications that no server took."""
        self.denied = 0
        """Subjects that a server didn't let this machine say or hear."""
        self.turned_away = 0
        """Times that a server didn't let it in."""
        self.connections = 0
        """Connections that were made: the first, and one after each that ended."""
        self._heard: dict[_Ear | _Mouth, None] = {}
        self._wakers: dict[Waker, None] = {}
        self._connection: _Connection | None = None
        self._lost_since_s: float | None = None
        """Since when there is no connection, or one that may not have carried what was said."""
        self._up = asyncio.Event()
        self._closed = False

    def open(self) -> None:
        """Begins to connect. What is subscribed before is heard from the first connection on."""
        self.tasks.start("connection", self._stay_connected())

    def identify(self, identity: Identity) -> None:
        """Shows this ticket from the next connection on."""
        self._identity = identity

    async def connected(self) -> None:
        """Waits for a connection."""
        await self._up.wait()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return self._connection is not None and self._up.is_set()

    @property
    def server(self) -> str:
        """HOST:PORT of the server that is connected to; empty if none is."""
        at = None if self._connection is None else self._connection.client.connected_url
        return "" if at is None else at.netloc

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        tries = 0
        while not self._closed:  # the library may swallow that this is broken off
            connection = _Connection()
            try:
                await self._connect(connection, min(CONNECT_S * 2 ** min(tries, 8), CONNECT_S_MAX))
            except (OSError, NatsError, TimeoutError) as error:
                tries += 1
                self.turned_away += _TURNED_AWAY in _said(error).lower()
                if tries.bit_count() == 1:
                    _log.warning("no connection to the bus yet; trying on", error=_said(error), tries=tries)
                self._left(connection)
                await connection.client.close()
            else:
                tries = 0
                await self._until_ended(connection)
                self._left(connection)
                self._note_loss(connection)
                _log.warning("the connection to the bus has ended; making it again", servers=self._place.servers)
            longest_s = min(PAUSE_S * 2 ** min(tries, 8), self._place.pause_s_max)
            await self._clock.sleep(self._chance.uniform(0.0, longest_s))

    async def _until_ended(self, connection: _Connection) -> None:
        """The library doesn't say so if something was left to be sent, and couldn't be: it is looked at, too."""
        while not connection.ended.is_set() and connection.client.is_connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await connection.ended.wait()

    async def _connect(self, connection: _Connection, within_s: int) -> None:
        async def ended() -> None:
            connection.ended.set()

        async def failed(error: Exception) -> None:
            connection.silent |= type(error) is StaleConnectionError  # the end of a stream is one of its kinds, too
            self._hear_error(_said(error))

        await connection.client.connect(
            list(self._place.servers),
            name=self._place.name or None,
            tls=self._place.tls,
            inbox_prefix=self._place.inbox,
            allow_reconnect=False,
            connect_timeout=within_s,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            ping_interval=PING_S,
            max_outstanding_pings=PINGS_UNANSWERED_MAX,
            pending_size=OUTBOUND_BYTES_MAX,
            closed_cb=ended,
            error_cb=failed,
            **shown(self._identity),
        )
        self._connection = connection
        for heard in list(self._heard):
            await self._attach(connection, heard)
        await connection.settle(within_s)
        self.connections += 1
        self._up.set()
        _log.info("connected to the bus", server=self.server)
        lost_s = 0.0 if self._lost_since_s is None else self._clock.monotonic_s() - self._lost_since_s
        self._lost_since_s = None
        for waker in list(self._wakers):
            waker.wake(lost_s)

    def _note_loss(self, connection: _Connection) -> None:
        before_s = PING_S * (PINGS_UNANSWERED_MAX + 1) if connection.silent else IN_FLIGHT_S
        self._lost_since_s = self._lost_since_s or self._clock.monotonic_s() - before_s

    def _hear_error(self, error: str) -> None:
        if "permissions violation" not in error.lower():
            _log.debug("the bus says", error=error)
            return
        self.denied += 1
        if self.denied.bit_count() == 1:
            _log.error("the bus denies this machine a subject that its work needs", error=error, denied=self.denied)

    def _left(self, connection: _Connection) -> None:
        self._connection = None
        self._up.clear()
        connection.give_up()

    async def _attach(self, connection: _Connection, heard: _Ear | _Mouth) -> None:
        if heard in connection.heard:
            return
        connection.heard[heard] = None
        got = await connection.client.subscribe(heard.pattern, queue=heard.group, cb=heard.come)
        if heard in self._heard:
            connection.heard[heard] = got
        else:  # it was closed meanwhile
            await got.unsubscribe()

    async def _hear(self, heard: _Ear | _Mouth) -> None:
        """Hears from now on, or from the next connection on."""
        self._heard[heard] = None
        connection = self._connection
        if connection is None:
            return
        try:
            await self._attach(connection, heard)
            await connection.settle(CONNECT_S)
        except (OSError, NatsError, TimeoutError) as error:
            _log.info("the connection ended before a subscription was made", pattern=heard.pattern, error=_said(error))

    async def forget(self, heard: _Ear | _Mouth) -> None:
        """Ends a subscription."""
        self._heard.pop(heard, None)
        connection = self._connection
        got = None if connection is None else connection.heard.pop(heard, None)
        if got is None:
            return
        try:
            await got.unsubscribe()
        except (OSError, NatsError, TimeoutError) as error:
            _log.debug("the connection ended before a subscription did", pattern=heard.pattern, error=_said(error))

    # --- what is said ------------------------------------------------------------------------------------------------

    async def publish(self, subject: str, body: bytes) -> None:
        """See Bus."""
        bounded(subject, body, self.bytes_max)
        await self.send(subject, body)

    async def send(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Sends what is known to be small enough. What no server takes is lost."""
        connection = self._connection
        if connection is None or not connection.takes_more:
            self._lose(subject)
            return
        try:
            await connection.client.publish(subject, body, headers=headers)
        except (OSError, NatsError, TimeoutError) as error:
            self._lose(subject, _said(error))

    def _lose(self, subject: str, why: str = "") -> None:
        self.unsent += 1
        if self.unsent.bit_count() == 1:
            _log.warning("the bus took nothing; what was published is lost", subject=subject, why=why, lost=self.unsent)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """See Bus."""
        bounded(subject, body, self.bytes_max)
        try:
            async with asyncio.timeout(deadline_s):
                message = await self._asked(subject, body)
        except TimeoutError:
            raise NoAnswer(f"no answer on {subject} within {deadline_s:g} s") from None
        if message.headers and BROKEN_HEADER in message.headers:
            raise Broken(f"the answerer on {subject} failed; its log says why")
        return message.data

    async def _asked(self, subject: str, body: bytes) -> Msg:
        await self._up.wait()
        connection = self._connection
        if connection is None:
            raise NoAnswer(f"the bus was closed before {subject} was asked")
        question = asyncio.ensure_future(connection.client.request(subject, body, timeout=QUESTION_S_MAX))
        connection.asking.add(question)
        try:
            return await question
        except NoRespondersError:
            raise NoAnswer(f"nobody answers on {subject}") from None
        except (OSError, NatsError) as error:
            raise NoAnswer(f"{subject} couldn't be asked: {_said(error)}") from error
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            raise NoAnswer(f"the connection to the bus ended before {subject} was answered") from None
        finally:
            connection.asking.discard(question)

    # --- who hears ---------------------------------------------------------------------------------------------------

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> _Ear:
        """See Bus."""
        ear = _Ear(self, subject, listener, group)
        await self._hear(ear)
        return ear

    async def answer(self, subject: str, answerer: Answerer, group: str) -> _Mouth:
        """See Bus."""
        mouth = _Mouth(self, subject, answerer, group)
        await self._hear(mouth)
        return mouth

    def on_connect(self, listener: Callable[[float], None]) -> Waker:
        """See Bus."""
        return Waker(listener, self._wakers)

    async def close(self) -> None:
        """See Bus."""
        self._closed = True
        connection, heard = self._connection, list(self._heard)
        self._heard.clear()
        for one in heard:
            if isinstance(one, _Mouth):
                one.drop()
        if connection is not None:
            self._left(connection)
            await connection.client.close()
        self._up.set()  # who waits for a connection is told that there won't be one
        await self.tasks.close()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
