"""How a process comes onto the bus that its settings name: known there by its passport, and with a server of its own if
it is to be a broker.

STATE/identity     who this machine is: its key, passport and ticket
STATE/broker/      the files of its server of the bus, written anew at each start
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from freehold.bus import tickets
from freehold.bus.interface import Bus
from freehold.bus.local import LocalBus
from freehold.bus.membership import Membership
from freehold.bus.passports import Identity, opened_passport
from freehold.config import Settings, bus_servers, listed
from freehold.drivers.busserver.interface import BusServer
from freehold.runtime.chance import Chance
from freehold.runtime.clock import HybridClock
from freehold.runtime.keys import SigningKey
from freehold.runtime.machine import host_name
from freehold.runtime.tasks import Offload
from freehold.store.database import Store
from freehold.store.identity import IdentityFile, KeptIdentity, keep_identity, own_stores, read_identity
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.shards import Shards
from freehold.workers.base import Means
from freehold.workers.broker.effects import Served
from freehold.workers.broker.lifecycle import Place, Tls
from freehold.workers.broker.worker import BrokerWorker
from freehold.workers.directory.first import let_self_in

BROKER_FOLDER: Final = "broker"


class Joining:
    """What is opened on the way is closed by `stack`. `say` is told, line by line, how far it has come."""

    def __init__(
        self, settings: Settings, clock: HybridClock, chance: Chance, offload: Offload, stack: AsyncExitStack
    ) -> None:
        self._settings, self._clock, self._chance, self._offload = settings, clock, chance, offload
        self._stack = stack
        self.directory: tuple[Store, SigningKey] | None = None
        """The directory's store and the authority's key, where this process has them."""
        self.membership: Membership | None = None
        """This machine's, where it has a passport: to be opened."""
        self.centre = ""
        """The directory's cluster, where this machine was told of it."""
        self._served: Served | None = None
        self._broker: BrokerWorker | None = None

    async def bus(self, server: BusServer, say: Callable[[str], None]) -> Bus:
        """The bus within this process; or the one over servers, signed where this machine has a passport. `server`: the
        one that is run if this process is a broker.
        """
        settings = self._settings
        if not bus_servers(settings.bus):
            local = LocalBus()
            self._stack.push_async_callback(local.close)
            return local
        from freehold.bus.connect import connected  # a third of a second, which most commands needn't wait for

        if "directory" in settings.roles:
            await self._let_self_in()
        kept = read_identity(settings.state)
        if "broker" in settings.roles:
            await self._serve(server, kept, say)
        if kept is None:
            bus = await connected(settings, host_name(), self._clock.clock, self._chance, say)
            self._stack.push_async_callback(bus.close)
            return bus
        self.centre = kept.centre
        identity = Identity(kept.passport, SigningKey(bytes.fromhex(kept.key.reveal())), kept.ticket)
        passport = _passport(kept)
        bus = await connected(settings, host_name(), self._clock.clock, self._chance, say, identity, passport)
        self._stack.push_async_callback(bus.close)

        def renewed(identity: Identity) -> None:
            bus.identify(identity)
            self._identify_broker()

        over = (self._clock.clock, self._chance, IdentityFile(settings.state), renewed)
        self.membership = Membership(bus, identity, kept.authority, *over)
        return self.membership.bus

    async def _let_self_in(self) -> None:
        settings, clock, chance = self._settings, self._clock, self._chance
        path, stores = settings.state / "directory.db", own_stores(settings, chance)
        store = await Store.open(
            path, role="directory", cluster=settings.cluster, clock=clock, chance=chance, offload=self._offload
        )
        self._stack.push_async_callback(store.close)
        place = (host_name(), settings.roles, settings.cluster, stores)
        identity, authority = await let_self_in(store, place, clock, chance, Shards(settings.registrar_shards))
        keep_identity(settings.state, identity)
        self.directory = store, authority

    # --- the broker ------------------------------------------------------------------------------------------------

    async def _serve(self, server: BusServer, kept: KeptIdentity | None, say: Callable[[str], None]) -> None:
        """Runs the server: nobody can be reached before."""
        settings = self._settings
        if kept is None or kept.roll is None or kept.route is None:
            raise BadRequest(
                f"the machine of {settings.state} isn't known as a broker: `freehold machine invite NAME --role broker"
                f" --cluster {settings.cluster}` on the control machine, then `freehold enroll` here"
            )
        passport = _passport(kept)
        if passport.cluster != settings.cluster:
            raise BadRequest(f"this machine was invited to cluster {passport.cluster}, and its settings say another")
        self._served = Served(server, _place(settings, passport), kept.roll, kept.route)
        self._served.identify(kept.ticket, kept.key)
        self._stack.push_async_callback(server.close)
        await self._served.start()
        say(f"broker: a server at {settings.broker_listen}{_to(settings)}")
        if not settings.bus.startswith("tls://"):
            say("broker: not encrypted; keep it to this machine, or give it bus_certificate, and tls:// in bus")

    def broker(self, means: Means) -> BrokerWorker:
        """Who watches over the server, once there is a bus."""
        kept = read_identity(self._settings.state)
        if self._served is None or kept is None:
            raise BadRequest("a cloud whose bus is local needs no broker: nobody else can speak on it")
        machines = tickets.account(kept.authority)
        self._broker = BrokerWorker(means, self._served, machines, IdentityFile(self._settings.state))
        return self._broker

    def _identify_broker(self) -> None:
        kept = read_identity(self._settings.state)
        if self._broker is not None and kept is not None:
            self._broker.identify(kept.ticket, kept.key)


def _passport(kept: KeptIdentity) -> Passport:
    passport = opened_passport(kept.passport, kept.authority)
    if passport is None:
        raise Broken("this machine's passport isn't signed by its authority; remove its identity and enroll it again")
    return passport


def _place(settings: Settings, passport: Passport) -> Place:
    ca = str(settings.bus_ca.absolute()) if settings.bus_ca else ""
    hub = bus_servers(settings.broker_hub) if settings.broker_hub else ()
    tls = None
    if settings.bus.startswith("tls://"):
        assert settings.bus_certificate is not None and settings.bus_key is not None
        tls = Tls(str(settings.bus_certificate.absolute()), str(settings.bus_key.absolute()), ca)
    return Place(
        name=f"{passport.name}-{passport.machine}",
        cluster=settings.cluster,
        listen=settings.broker_listen,
        link_listen=settings.broker_link_listen,
        link_advertised=settings.broker_link_advertised,
        hub=hub,
        route_listen=settings.broker_route_listen,
        routes=listed(settings.broker_routes),
        tls=tls,
        ca=ca if any(server.startswith("tls://") for server in hub) else "",
    )


def _to(settings: Settings) -> str:
    return f", linked to {settings.broker_hub}" if settings.broker_hub else ""
