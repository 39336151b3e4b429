"""A host worker on a bus of its own, over simulated drivers, with a clock that stands until it is moved."""

import asyncio
import heapq
from collections.abc import Callable
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.bus.local import LocalBus
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store, put
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.guest import (
    Delete,
    Guest,
    GuestSpec,
    GuestState,
    HostQuestion,
    Labels,
    Reboot,
    RebootKind,
    Refusal,
    Start,
    Stop,
)
from freehold.vocabulary.host import NOTHING, Capacity, Host, needed_by
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.network import (
    Carriage,
    Carrier,
    Direction,
    FixedAddress,
    Port,
    PortWiring,
    Rule,
    SecurityGroup,
)
from freehold.vocabulary.request import Build, DeedPage, DeedsOf, Intent, IntentList, Intents, LedgerNotice, Lost
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.units import GIB, clock_time
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.host.worker import HostWorker

PROJECT = "a-project"
GUEST = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
IMAGE = "22222222-2222-4333-8444-555555555555"
NETWORK = "33333333-2222-4333-8444-555555555555"
WEB = "44444444-2222-4333-8444-555555555555"
S = GuestState

WEB_GROUP = SecurityGroup(
    id=WEB,
    name="web",
    project=PROJECT,
    rules=(Rule(id="r1", direction=Direction.INGRESS, protocol="tcp", port_first=80, port_last=80),),
)


class StandingClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def unix_ms(self) -> int:
        return 1_700_000_000_000 + int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Lets `seconds` pass, waking sleepers in their order, each before the next one's time comes."""
        end = self.now_s + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            self.now_s = max(self.now_s, at)
            if not future.done():
                future.set_result(None)
            await settled()
        self.now_s = max(self.now_s, end)
        await settled()


async def settled() -> None:
    """Lets everything that can run without time passing, run."""
    for _ in range(60):
        await asyncio.sleep(0)


class Bench:
    """Everything around one host worker. `intents` is what the registrar says; None: it doesn't answer."""

    def __init__(self, folder: Path, shards: Shards = ONE_SHARD) -> None:
        self.folder, self.bus, self.clock = folder, LocalBus(), StandingClock()
        self.means = Means(self.bus, HybridClock(self.clock), SeededChance(7), offload_inline, shards)
        self.hypervisor = SimulatedHypervisor(None, self.clock, vcpus=1, ram_mib=4096, disk_gib=100)
        self.fabric = SimulatedFabric(carriage=Carriage(underlay="192.0.2.1", overlay_mtu=1450))
        self.images = SimulatedImageCache(self.clock)
        self.intents: dict[str, Intent] = {}
        self.fenced = False
        """Whether the registrar fences this host."""
        self.read: Position | None = None
        """How far the registrar says that it has read this host; None: it doesn't say."""
        self.deeds: list[Deed] = []
        """What the registrar has given this host."""
        self.unseen: frozenset[str] = frozenset()
        """Of those, the guests that this host has told nothing of."""
        self.lost: tuple[str, ...] = ()
        self.registrar: Subscription | None = None
        self.others: list[Subscription] = []
        """The registrar's other shards."""
        self.traits: tuple[str, ...] = ()
        """What the operator says of the host."""
        self.heard = True
        """Whether the network worker hears each start of the host at once."""
        self.gates: dict[str, asyncio.Event] = {}
        self.given: dict[str, Deed | None] = {}
        """The deeds that the registrar has recorded for guests of which `intents` says nothing."""

    async def begin(self) -> None:
        """The network worker's voice, and the registrar."""
        self.network = await self._store("network")
        self.network_desk = Desk(self.means, self.network, "network")
        await self.network.commit([put(WEB, WEB_GROUP)], "test")
        await self.network_desk.open()
        await self.open_registrar()
        await self.open()

    async def open_registrar(self) -> None:
        async def answer(question: Any) -> Word:
            if isinstance(question, DeedsOf):
                return DeedPage(deeds=tuple(self.deeds), unseen=self.unseen)
            if isinstance(question, Lost):
                self.lost += question.guests
                return Done(store="", position=Position(epoch=""))
            assert isinstance(question, Intents)
            return IntentList(
                intents=tuple(self._intent(guest) for guest in question.guests), fenced=self.fenced, read=self.read
            )

        self.registrar, *self.others = [
            await talk.serve(self.bus, subjects.ask_ledger_as_hosts(shard), LedgerNotice, answer, "registrar")
            for shard in self.means.shards.all()
        ]

    def _intent(self, guest: str) -> Intent:
        return self.intents.get(guest) or Intent(guest=guest, deed=self.given.get(guest))

    async def _store(self, role: str) -> Store:
        means = self.means
        return await Store.open(
            self.folder / f"{role}.db",
            role=role,
            cluster="c",
            clock=means.clock,
            chance=means.chance,
            offload=means.offload,
        )

    async def open(self) -> None:
        """The next process over the same store and machine."""
        self.store = await self._store("host")
        drivers = self.hypervisor, self.fabric, self.images
        self.worker = HostWorker(self.means, self.store, "h", *drivers, traits=self.traits)
        await self.worker.open()
        if self.heard:
            await self.hear()

    async def hear(self) -> None:
        """The network worker has heard this incarnation of the host, and tells so."""
        carrier = Carrier(host=self.store.id, incarnation=self.host().incarnation)
        await self.network.commit([put(carrier.host, carrier)], "test")

    async def kill(self) -> None:
        """Ends the process as kill -9 does: what isn't on disk is lost, and nobody is told."""
        await self.worker.close()
        await self.store.close()
        for verb in list(self.gates):
            self.release(verb)

    async def end(self) -> None:
        await self.kill()
        await self.network_desk.close()
        await self.network.close()
        await self.hypervisor.close()
        await self.bus.close()

    # --- the world

    def hold(self, verb: str) -> None:
        """Calls of a driver's verb wait until `release`."""
        driver: Any = next(one for one in (self.hypervisor, self.fabric, self.images) if hasattr(one, verb))
        gate = self.gates[verb] = asyncio.Event()
        real = getattr(type(driver), verb)

        async def held(*arguments: Any) -> Any:
            await gate.wait()
            return await real(driver, *arguments)

        setattr(driver, verb, held)

    def release(self, verb: str) -> None:
        """Lets them go on."""
        self.gates.pop(verb).set()
        driver: Any = next(one for one in (self.hypervisor, self.fabric, self.images) if hasattr(one, verb))
        delattr(driver, verb)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits, without time passing, until `condition` holds."""
        for _ in range(200):
            if condition():
                return
            await settled()
        raise AssertionError(f"it never came to it; the guests are {self.guests()}")

    # --- asking and telling

    def build(self, guest: str = GUEST, deed: int = 1, port: str = "", **changes: Any) -> Build:
        wiring = a_wiring(port or guest)
        build = Build(
            urn=f"urn:freehold:request:{guest}",
            guest=guest,
            project=PROJECT,
            user="u",
            created=self.means.clock.now(),
            expires=clock_time(self.clock.unix_ms() + 600_000),
            hostname="web",
            labels=Labels(name="web"),
            spec=a_spec(),
            image=an_offer(),
            deed=Deed(guest=guest, project=PROJECT, number=deed, host=self.store.id, cluster="c", urn="u"),
            ports=(wiring,),
        )
        return replace(build, **changes)

    def lose_store(self) -> None:
        """The disk is new, and the machine goes on. Nobody may have the store open."""
        for path in self.folder.glob("host.db*"):
            path.unlink()

    async def send(self, build: Build, *, told: bool = True) -> None:
        """Sends a build, after the registrar has recorded its deed and the network worker has told of its ports."""
        known = self.given.setdefault(build.guest, build.deed)
        if known is not None and build.deed is not None and build.deed.number > known.number:
            self.given[build.guest] = build.deed
        if told:
            leased = [replace(a_port(one), host=self.store.id, device=build.guest) for one in build.ports]
            await self.network.commit([put(port.id, port) for port in leased], "test")
        if self.registrar is not None:
            await self.until(lambda: self.worker.cleared)
        await talk.say(self.bus, subjects.build_host(self.store.id), build)
        await settled()

    async def running(self, guest: str = GUEST) -> Guest:
        """A guest that has been built."""
        await self.send(self.build(guest))
        await self.until(lambda: self.state(guest) is S.RUNNING)
        return self.guest(guest)

    async def ask(self, question: HostQuestion) -> Done:
        return await talk.ask(self.bus, subjects.ask_host(self.store.id), question, Done)

    # --- what is

    def guest(self, guest: str = GUEST) -> Guest:
        found = self.store.read_as(Guest, guest)
        assert found is not None
        return found

    def state(self, guest: str = GUEST) -> GuestState | None:
        found = self.store.read_as(Guest, guest)
        return None if found is None else found.state

    def guests(self) -> dict[str, GuestState]:
        return {guest.id: guest.state for guest in self.store.scan(Guest)}

    def refusal(self, guest: str = GUEST) -> Refusal:
        found = self.store.read_as(Refusal, guest)
        assert found is not None
        return found

    def host(self) -> Host:
        found = self.store.read_as(Host, self.store.id)
        assert found is not None
        return found

    def check(self) -> None:
        """What must always hold."""
        used = reduce(Capacity.plus, (needed_by(guest.spec.flavor) for guest in self.store.scan(Guest)), NOTHING)
        assert self.host().used == used
        assert self.host().total.fits(used)


def a_spec(ram_mib: int = 1024) -> GuestSpec:
    return GuestSpec(
        flavor=Flavor(id="f", name="m1.small", vcpus=1, ram_mib=ram_mib, disk_gib=10),
        image=IMAGE,
        key_name="mine",
        public_key="ssh-ed25519 AAAA me",
        security_groups=(WEB,),
    )


def an_offer() -> ImageOffer:
    return ImageOffer(
        id=IMAGE,
        disk_format="qcow2",
        size_bytes=15 << 20,
        virtual_bytes=GIB,
        checksum_sha256="0" * 64,
        min_disk_gib=0,
        min_ram_mib=0,
        url="http://images/1",
        key=Secret("the-image-key"),
    )


def a_wiring(port: str, groups: tuple[str, ...] = (WEB,)) -> PortWiring:
    last = int(port[:2], 16) % 200 + 10
    return PortWiring(
        port=port,
        network=NETWORK,
        network_name="private",
        segment=7,
        mtu=1450,
        mac=f"fa:16:3e:00:00:{last:02x}",
        addresses=(f"10.0.0.{last}",),
        cidr="10.0.0.0/24",
        gateway="10.0.0.1",
        dns=("9.9.9.9",),
        security_groups=groups,
    )


def a_port(wiring: PortWiring) -> Port:
    return Port(
        id=wiring.port,
        project=PROJECT,
        network=wiring.network,
        mac=wiring.mac,
        addresses=tuple(FixedAddress(subnet="s", address=address) for address in wiring.addresses),
        security_groups=wiring.security_groups,
    )


def start(urn: str = "start-1", guest: str = GUEST, project: str = PROJECT) -> Start:
    return Start(urn=urn, guest=guest, user="u", project=project)


def stop(urn: str = "stop-1", grace_s: float = 60.0) -> Stop:
    return Stop(urn=urn, guest=GUEST, user="u", project=PROJECT, grace_s=grace_s)


def reboot(how: RebootKind, urn: str = "reboot-1") -> Reboot:
    return Reboot(urn=urn, guest=GUEST, user="u", project=PROJECT, how=how)


def delete(guest: str = GUEST, deed: int = 1, urn: str = "delete-1") -> Delete:
    return Delete(urn=urn, guest=guest, user="u", project=PROJECT, deed=deed)


def a_guest_record() -> Guest:
    """A guest as it might stand in a host's store."""
    wiring = a_wiring(GUEST)
    return Guest(
        id=GUEST,
        project=PROJECT,
        user="u",
        host="this-host",
        cluster="c",
        deed=1,
        urn="build-1",
        spec=a_spec(),
        labels=Labels(name="web", metadata={"role": "front"}),
        hostname="web",
        state=S.RUNNING,
        ports=(wiring,),
        image=an_offer(),
    )
