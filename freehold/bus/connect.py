"""The bus that the settings name."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from freehold.bus.interface import BODY_BYTES_MAX, CARRIED_BYTES_MAX
from freehold.bus.nats import PAUSE_OF_FEW_S_MAX, PAUSE_S_MAX, NatsBus, NatsPlace
from freehold.bus.passports import Identity
from freehold.bus.tickets import inbox
from freehold.config import Settings, bus_servers
from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.machine import Passport

WAIT_S: Final = 5.0
"""How long a start waits for the bus before it goes on without: a host is its own master."""


async def connected(
    settings: Settings,
    name: str,
    clock: Clock,
    chance: Chance,
    say: Callable[[str], None],
    identity: Identity | None = None,
    passport: Passport | None = None,
) -> NatsBus:
    """A bus over the servers of the settings; it may not be connected yet. `identity` and its `passport`: who this
    machine is, if it is known. Raises BadRequest for files that can't be read.
    """
    servers = bus_servers(settings.bus)
    place = NatsPlace(servers, name, _tls(settings), identity=identity, pause_s_max=_pause_s_max(settings))
    if passport is not None:
        place = replace(place, inbox=inbox(passport))
    signed = identity is not None
    bus = NatsBus(place, clock, chance, CARRIED_BYTES_MAX if signed else BODY_BYTES_MAX)
    bus.open()
    try:
        async with asyncio.timeout(WAIT_S):
            await bus.connected()
        say(f"bus: connected to {bus.server}, {'signed' if signed else 'not signed: this machine has no passport'}")
    except TimeoutError:
        say(f"bus: no connection to {', '.join(servers)} yet; trying on")
    return bus


def _pause_s_max(settings: Settings) -> float:
    """Machines that are only hosts are many; the others come back before them."""
    return PAUSE_S_MAX if settings.roles == ("host",) else PAUSE_OF_FEW_S_MAX


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """What a connection is secured with; None where the servers ask for nothing."""
    if not any(server.startswith("tls://") for server in bus_servers(settings.bus)):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.bus_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if settings.bus_certificate is not None:
            context.load_cert_chain(settings.bus_certificate, settings.bus_key)
    except (OSError, ssl.SSLError) as error:
        raise BadRequest(f"bus_ca, bus_certificate or bus_key can't be read: {error}") from error
    return context
