"""A site: one machine with the one process that runs a role on it, started by the production code's own opening."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from argon2 import PasswordHasher
from msgspec.structs import replace
from starlette.types import ASGIApp

from freehold.api.cloud import Cloud
from freehold.api.server import application
from freehold.drivers.backup.simulated import SimulatedBackups
from freehold.drivers.fabric.records import Records
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.drivers.volumereader.simulated import SimulatedVolumeReader
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import Tasks, offload_inline
from freehold.sim.disk import StoreFile
from freehold.sim.machine import Guests, SimClock, WatchedFabric
from freehold.sim.network import Endpoint
from freehold.sim.process import Process
from freehold.store.database import Store
from freehold.views.cloud import ROLES, CloudView
from freehold.views.follower import Follower
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.guest import Power
from freehold.vocabulary.network import Carriage
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD, Shards
from freehold.workers.backup import Backup
from freehold.workers.base import Means
from freehold.workers.host.worker import HostWorker
from freehold.workers.image.worker import ImageWorker
from freehold.workers.network.worker import NetworkWorker
from freehold.workers.registrar.worker import RegistrarWorker
from freehold.workers.scheduler.worker import SchedulerWorker

if TYPE_CHECKING:
    from freehold.sim.pool_site import PoolSite
    from freehold.sim.world import World

CLUSTER: Final = "default"
PASSWORD: Final = "seed of the world"
RESTART_S: Final = 1.0
"""How long a supervisor waits before it starts a role again that failed."""

HASHER: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Cheap on purpose: these passwords protect nothing."""


class Site(ABC):
    """One machine and its process. `store` is the file that its role owns, if it owns one."""

    role: str
    owns: bool = True
    shard: int = 0
    follows: tuple[str, ...] = ()
    """Roles whose whole log it reads, and keeps where it stands."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.clock = SimClock(world.loop)
        self.store: StoreFile | None = StoreFile(name, world.random, world.faults) if self.owns else None
        self.process: Process | None = None
        self.incarnations = 0
        self.started_s = 0.0
        self.held_at_start: frozenset[str] = frozenset()
        """The guests of which it had records when its process started."""
        self.opened = asyncio.Event()
        self.follower: Follower | None = None
        self.dead = False
        """The machine is lost for good."""
        self.away = False
        """It is off, and nobody switches it on before its operator does."""
        self.ends = ""
        """Why the last process ended by itself; for the transcript."""
        self._backups: SimulatedBackups | None = None

    @property
    def up(self) -> bool:
        """Whether a process is there and goes on."""
        return self.process is not None and self.process.runs

    def start(self) -> None:
        """Starts the process. One that is there already keeps the second out, as the lock on the store does."""
        if self.dead or self.away:
            return
        if self.process is not None and self.process.alive:
            self.world.faults["started twice"] += 1
            return
        self.incarnations += 1
        self.follower = None
        self.opened = asyncio.Event()
        self.process = Process(self.name, self.incarnations)
        self.started_s = self.world.loop.time()
        self.held_at_start = frozenset(self.store.keys("guest")) if self.store is not None else frozenset()
        self.process.start(self._live(self.process))

    def kill(self) -> None:
        """Ends the process between two of its steps."""
        process = self.process
        if process is None or not process.alive:
            return
        process.kill()
        if self._backups is not None:
            self._backups.abandon()
        self.let_go()
        # A broker notices late that a client is gone; what is sent there meanwhile is lost.
        self.world.later(self.world.random.uniform(0.0, 2.0), self.world.network.forget_process, process)

    def let_go(self) -> None:  # noqa: B027 - most have nothing to close
        """Closes what the operating system closes when a process dies."""

    async def _live(self, process: Process) -> None:
        """Runs the role; when it fails, a supervisor starts it anew."""
        try:
            tasks = await self.open(process)
            self.opened.set()
            if tasks is None:
                return
            await tasks.broken()
            self.ends = f"{type(tasks.failed).__name__}: {tasks.failed}"
        except FreeholdError as error:
            self.ends = f"{type(error).__name__}: {error.message}"
        self.world.role_ended(self, process)

    @abstractmethod
    async def open(self, process: Process) -> Tasks | None:
        """Opens the role by production code; gives the tasks whose failure ends it."""

    def means(self, process: Process) -> Means:
        """What the role is handed."""
        chance = SeededChance(self.world.seeded(f"{self.name}/{process.incarnation}"))
        bus, shards = Endpoint(self.world.network, process, self.name), Shards(self.world.scale.shards)
        return Means(bus, HybridClock(self.clock), chance, offload_inline, shards, gathers=True)

    def open_store(self, means: Means, process: Process) -> Store:
        """The role's store."""
        assert self.store is not None
        clock, chance = means.clock, means.chance
        store = self.store.open(
            role=self.role, cluster=CLUSTER, shard=self.shard, process=process, clock=clock, chance=chance
        )
        if self.world.shelf is not None:
            self._backups = SimulatedBackups(self.world.shelf)
            process.start(Backup(means, store, self._backups, f"{self.name}.db").open())
        return store


class RegistrarSite(Site):
    """The machine of one of the registrar's shards."""

    role, follows = "registrar", ("host",)

    def __init__(self, world: "World", shard: int) -> None:
        super().__init__(world, f"registrar-{shard}" if shard else "registrar")
        self.shard = shard

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        worker = RegistrarWorker(means, self.open_store(means, process), self.name, HASHER)
        if self.shard == IDENTITY_SHARD:
            await worker.bootstrap(Secret(PASSWORD))
        self.follower = worker.follower
        await worker.open()
        return worker.tasks


class ImageSite(Site):
    """The image worker's machine; `images` is the bucket behind it."""

    role = "image"

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.images = MemoryImageStore()
        self.worker: ImageWorker | None = None

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        self.worker = ImageWorker(means, self.open_store(means, process), self.images)
        await self.worker.open()
        return self.worker.tasks


class NetworkSite(Site):
    """The network worker's machine."""

    role, follows = "network", ("host",)

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        worker = NetworkWorker(means, self.open_store(means, process))
        self.follower = worker.follower
        await worker.open()
        return worker.tasks


class SchedulerSite(Site):
    """A scheduler's machine."""

    role, owns, follows = "scheduler", False, ("host", "registrar")

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.path: Path = world.folder / name
        self.worker: SchedulerWorker | None = None

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        self.worker = SchedulerWorker(self.means(process), self.path, self.name)
        self.follower = self.worker.follower
        await self.worker.open()
        return self.worker.tasks

    def let_go(self) -> None:
        """See Site: the mapped file is let go without a word."""
        if self.worker is not None:
            self.worker.fleet.abandon()
        self.worker = None


LOOKS: Final = ("power", "guests")


class Watched:
    """A driver around whose calls the world may kill the process that makes them."""

    def __init__(self, site: "HostSite | PoolSite", process: Process, driver: object) -> None:
        self._site, self._process, self._driver = site, process, driver
        self._calls = 0

    def __getattr__(self, verb: str) -> Any:
        real = getattr(self._driver, verb)
        if self._site.hangs.get(verb):
            self._site.hangs[verb] -= 1
            return _never
        if verb in LOOKS and self._site.slow_s:
            return partial(self._old_news, real)
        around = self._site.world.around_verb
        if around is None or not asyncio.iscoroutinefunction(real):
            return real
        if self._site.world.asked_by is not None:
            self._site.world.asked_by()

        async def call(*arguments: Any) -> Any:
            self._calls += 1
            number = self._calls
            await self._maybe_killed(verb, "before", number)
            running: asyncio.Task[Any] = self._process.start(real(*arguments))
            await asyncio.sleep(0)
            await self._maybe_killed(verb, "during", number)
            result = await running
            await self._maybe_killed(verb, "after", number)
            return result

        return call

    async def _old_news(self, real: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """What was so when it was looked at, told a while later."""
        seen = await real(*arguments)
        await asyncio.sleep(self._site.world.random.uniform(0.0, self._site.slow_s))
        return seen

    async def _maybe_killed(self, verb: str, moment: str, number: int) -> None:
        around = self._site.world.around_verb
        if around is not None and around(self._site, verb, moment, number):
            await asyncio.get_running_loop().create_future()


async def _never(*_arguments: Any) -> Any:
    """A verb that has begun and doesn't return."""
    await asyncio.get_running_loop().create_future()


class HostSite(Site):
    """A machine that runs guests: they go on when the worker ends."""

    role, follows = "host", ("network",)
    boot_s = 0.4

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.boots, self.ram_mib = 1, world.scale.host_ram_mib
        self.strangers: dict[str, None] = {}
        """Guests that were started here past the worker."""
        self.hangs: dict[str, int] = {}
        """How many of the next calls of a driver's verb never return."""
        self.deaf: set[str] = set()
        """Guests whose system doesn't hear that it shall shut down, whoever drives them."""
        self.slow_s = 0.0
        """How long an answer of the hypervisor may be old when it comes."""
        self.guests = Guests(lambda guest, before, after: world.checkers.guest_kept(self, guest, before, after))
        self.carriage = Carriage(underlay=f"192.0.2.{int(name.rpartition('-')[2]) + 1}", overlay_mtu=1450)
        self.ports = Records(None)
        """What is plugged here."""
        self.hypervisor: SimulatedHypervisor | None = None
        self.images: SimulatedImageCache | None = None
        self.worker: HostWorker | None = None

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        self.hypervisor = SimulatedHypervisor(
            None,
            self.clock,
            ram_mib=self.ram_mib,
            boot_s=self.boot_s,
            shutdown_s=0.5,
            boot=f"{self.name}/{self.boots}",
            guests=self.guests,
        )
        self.hypervisor.deaf = self.deaf
        self.images = SimulatedImageCache(self.clock, fetch_s=0.2)
        look = self.world.checkers.leases.plugged
        fabric = WatchedFabric(self.ports, self.carriage, lambda wiring: look(self, wiring))
        store = self.open_store(means, process)
        reader = SimulatedVolumeReader(store.id)
        doing = (self.hypervisor, fabric, self.images, reader)
        hypervisor, wired, images, volumes = (Watched(self, process, driver) for driver in doing)
        self.worker = HostWorker(means, store, self.name, hypervisor, wired, images, launches_max=8, volumes=volumes)
        self.follower = self.worker.reader.follower
        if process.incarnation > 1:
            self.world.checkers.witness.restarted(store.id)
        await self.worker.open()
        return self.worker.tasks

    def live_ports(self) -> frozenset[str]:
        """The ports of guests that run here."""
        plans = (held.plan for held in self.guests.values() if held.power is Power.RUNNING)
        return frozenset(nic.port for plan in plans if plan is not None for nic in plan.nics)

    def mend_drivers(self) -> None:
        """Nothing hangs, lags or fails any more, nor does what was still to fail."""
        self.hangs.clear()
        self.slow_s = 0.0
        if self.images is not None:
            self.images.faults.clear()
        if self.hypervisor is not None:
            self.hypervisor.mend()

    def die(self) -> None:
        """The machine is lost for good, and its guests with it."""
        self.lose_power()
        self.dead = True

    def lose_power(self) -> None:
        """The machine stops: its worker is killed, its guests run no more, and nobody is told."""
        self.kill()
        assert self.store is not None
        self.world.checkers.witness.lost_power(self.store.id)
        self.boots += 1
        for guest, held in list(self.guests.items()):
            if held.power in (Power.RUNNING, Power.PAUSED):
                self.guests[guest] = replace(held, power=Power.CRASHED)


class ApiSite(Site):
    """An API process with its view."""

    role, owns, follows = "api", False, ROLES

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.path: Path = world.folder / name
        self.boots = 1
        self.app: ASGIApp | None = None
        self.view: CloudView | None = None

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        self.view = view = CloudView(means.bus, means.clock, self.path, f"{self.name}/{self.boots}")
        self.world.checkers.watch_view(self.name, view)
        self.follower = view.follower
        await view.open()
        cloud = Cloud(means.bus, view, means.clock, means.chance, "http://cloud", "RegionOne", CLUSTER, means.shards)
        self.app = application(cloud)
        return view.follower.tasks

    def let_go(self) -> None:
        """See Site: the mapped file is let go without a word."""
        if self.view is not None:
            self.view.abandon()
        self.view = self.app = None
