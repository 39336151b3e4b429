"""A real server of the bus that lets in by tickets, and machines that have some."""

import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from freehold.bus import tickets
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity, sealed_passport
from freehold.bus.tickets import Cloud
from freehold.drivers.busserver.nats_server import NatsServer
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.keys import KEY_BYTES, SigningKey
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.secret import Secret
from freehold.workers.broker import lifecycle
from freehold.workers.broker.lifecycle import Keys, Place
from tests.nats_server import free_port

CENTRE = "default"
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Someone:
    """A machine."""

    passport: Passport
    secret: bytes
    identity: Identity


class Authority:
    """Lets machines in."""

    def __init__(self, **cloud: Any) -> None:
        self.key = SigningKey.made(SystemChance())
        self.cloud = Cloud(CENTRE, **cloud)
        self.refused: dict[bytes, int] = {}
        self._time = 0

    def machine(
        self, machine: str, *roles: str, cluster: str = CENTRE, stores: tuple[str, ...] = (), **more: Any
    ) -> Someone:
        secret, now_ms = SystemChance().bytes(KEY_BYTES), SystemClock().unix_ms()
        key = SigningKey(secret)
        passport = Passport(
            machine=machine,
            name=machine,
            roles=roles,
            cluster=cluster,
            stores=stores or (machine,),
            key=key.public,
            issued_ms=now_ms,
            expires_ms=now_ms + HOUR_MS,
        )
        passport = replace(passport, **more)
        ticket = tickets.ticket(passport, self.key, self.cloud)
        return Someone(passport, secret, Identity(sealed_passport(passport, self.key), key, ticket))

    def bar(self, someone: Someone) -> None:
        self.refused[someone.passport.key] = someone.passport.expires_ms

    def keys(self, someone: Someone | None = None) -> Keys:
        """What a server is told; the one that runs on `someone`'s machine, if it is linked to another."""
        self._time += 1
        known = tickets.credentials(someone.identity.ticket, someone.secret) if someone else Secret("")
        roll = tickets.roll(self.key, self.refused, self._time)
        return Keys(roll, tickets.route_password(self.key, CENTRE), known, tickets.TICKET_BYTES_MAX)


@dataclass
class Server:
    """A server that runs."""

    authority: Authority
    place: Place
    driver: NatsServer
    someone: Someone | None = None
    tls: ssl.SSLContext | None = None
    """What its machines check it with."""
    buses: list[NatsBus] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'nats' if self.tls is None else 'tls'}://{self.place.listen}"

    async def start(self) -> None:
        await self.driver.start(lifecycle.files(self.place, self.authority.keys(self.someone), self.driver.folder))

    async def tell(self) -> None:
        """It hears who was barred."""
        await self.driver.change(lifecycle.files(self.place, self.authority.keys(self.someone), self.driver.folder))

    def bus(self, someone: Someone, **more: Any) -> NatsBus:
        """A connection that begins."""
        place = NatsPlace((self.url,), tls=self.tls, inbox=tickets.inbox(someone.passport), identity=someone.identity)
        bus = NatsBus(place, SystemClock(), SystemChance(), CARRIED_BYTES_MAX)
        self.buses.append(bus)
        bus.open()
        return bus

    async def let_in(self, someone: Someone) -> NatsBus:
        """A connection that stands."""
        bus = self.bus(someone)
        await bus.connected()
        return bus

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()
        await self.driver.close()


@asynccontextmanager
async def server(
    authority: Authority, someone: Someone | None = None, tls_context: ssl.SSLContext | None = None, **place: Any
) -> AsyncIterator[Server]:
    """A server that takes connections until the test ends."""
    with tempfile.TemporaryDirectory(prefix="freehold-broker-") as folder:
        at = Place(**{"name": f"s{free_port()}", "cluster": CENTRE, "listen": f"127.0.0.1:{free_port()}"} | place)
        made = Server(authority, at, NatsServer(Path(folder)), someone, tls_context)
        await made.start()
        try:
            yield made
        finally:
            await made.close()
