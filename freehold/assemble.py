"""The one file that knows every room: it opens stores, picks drivers, and starts the roles that the settings name.

STATE/registrar.db image.db network.db notifier.db hosts/N.db   what is owned: keep it
STATE/hosts.db                                      the same, of simulated hosts that share a disk
STATE/hosts/N.sock                                  where the machine's operator asks a host, while it runs
STATE/backup.key                                    what backups are encrypted with: keep a copy elsewhere
STATE/images/                                       image bytes: owned by the image worker
STATE/guests/ fabric/                               disks and wirings: owned by the host
STATE/view/ cache/                                  may be deleted at any time while nothing runs

Where there are several of a role, those after the first have a number: registrar-1.db, image-1.db, images-1/, view-1/.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

from starlette.types import ASGIApp

from freehold.api.admission import Admission, limits_of
from freehold.api.cloud import Cloud
from freehold.api.listen import Listener
from freehold.api.metrics import metrics
from freehold.api.server import application
from freehold.bus.local import LocalBus
from freehold.config import Settings, bus_servers
from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.pick import key_file, owners_backups, readers_backups
from freehold.drivers.busserver.nats_server import NatsServer
from freehold.drivers.delivery.http import HttpDelivery
from freehold.drivers.fabric.beyond import beyond_of
from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.fabric.linux import LinuxFabric
from freehold.drivers.fabric.simulated import SimulatedFabric, simulated_carriage
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.imagestore.folder import FolderImageStore
from freehold.joining import BROKER_FOLDER, Joining
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import Clock, HybridClock, SystemClock
from freehold.runtime.local_socket import LocalSocket
from freehold.runtime.machine import boot_id, host_name
from freehold.runtime.tasks import Offload, Tasks, ThreadOffload, offload_inline
from freehold.simulated import Drivers, SimulatedMachines, clusters
from freehold.store.database import Store
from freehold.views.cloud import CloudView
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.place import place_of
from freehold.vocabulary.receiver import networks
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD, Shards
from freehold.workers.backup import Backup
from freehold.workers.base import Means
from freehold.workers.directory.worker import DirectoryWorker
from freehold.workers.host.worker import HostWorker
from freehold.workers.image.door import DoorAddress
from freehold.workers.image.worker import ImageWorker
from freehold.workers.network.worker import NetworkWorker
from freehold.workers.notifier.worker import NotifierWorker
from freehold.workers.registrar.worker import RegistrarWorker
from freehold.workers.scheduler.worker import SchedulerWorker

OFFLOAD_THREADS: Final = 8
BYTES_THREADS: Final = 2
"""For hashing and writing images, and as many for backups, so that commits never wait behind them."""
REAL_LAUNCHES_AT_ONCE: Final = 2
SOME_HOST: Final = "00000000-0000-4000-8000-000000000000"


class RoleFailed(Broken):
    """A role of this process has ended by itself."""


class _Role(Protocol):
    tasks: Tasks

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Running:
    """Roles that run in this process. `say` is told, line by line, how far the start has come."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._stack = AsyncExitStack()
        self._roles: list[_Role] = []
        self.url = ""
        """Where the API answers, once it does; empty where there is none in this process."""
        self.new_password: Secret | None = None
        """The admin's password, on a registrar's first start."""

    async def open(self) -> None:
        """Starts everything. Raises FreeholdError with a sentence for the operator."""
        self._settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        offload, self._bytes_offload = ThreadOffload(OFFLOAD_THREADS), ThreadOffload(BYTES_THREADS, "bytes")
        self._stack.callback(offload.close)
        self._stack.callback(self._bytes_offload.close)
        clock, chance = HybridClock(SystemClock()), SystemChance()
        self._joining = Joining(self._settings, clock, chance, offload, self._stack)
        await self._open_backups(clock.clock)
        bus = await self._joining.bus(NatsServer(self._settings.state / BROKER_FOLDER), self._say)
        self._means = Means(bus, clock, chance, offload, Shards(self._settings.registrar_shards), self._joining.centre)
        if self._joining.membership is not None:
            await self._start(self._joining.membership)
        for role in self._settings.roles:
            await self._open_role(role)

    async def _open_backups(self, clock: Clock) -> None:
        offload = ThreadOffload(BYTES_THREADS, "backup")  # its own: nothing else waits behind a place that hangs
        self._stack.callback(offload.close)
        self._backups = await offload(lambda: owners_backups(self._settings, clock, offload, self._say))
        if self._backups is not None:
            self._stack.push_async_callback(self._backups.close)

    async def _open_directory(self) -> None:
        if self._joining.directory is None:
            raise BadRequest("a cloud whose bus is local needs no directory: nobody else can speak on it")
        store, authority = self._joining.directory
        await self._back_up(store, "directory.db")
        await self._start(DirectoryWorker(self._means, store, authority))

    async def _open_broker(self) -> None:
        await self._start(self._joining.broker(self._means))

    async def _open_role(self, role: str) -> None:
        openers: dict[str, Callable[[], Awaitable[None]]] = {
            "broker": self._open_broker,
            "directory": self._open_directory,
            "registrar": self._open_registrars,
            "image": self._open_images,
            "scheduler": self._open_schedulers,
            "network": self._open_network,
            "host": self._open_hosts,
            "notifier": self._open_notifier,
            "api": self._open_apis,
        }
        await openers[role]()

    async def broken(self) -> None:
        """Waits until a role fails. Raises RoleFailed then: everything is started anew from what is on disk."""
        tasks = [asyncio.create_task(role.tasks.broken()) for role in self._roles]
        try:
            await asyncio.wait(
                tasks or [asyncio.create_task(asyncio.Event().wait())], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
        raise RoleFailed("a role has failed; its log line says why. Start it again: it goes on from what is on disk")

    async def close(self) -> None:
        """Stops in reverse order. Guests run on."""
        await self._stack.aclose()

    # --- roles ---

    async def _start(self, role: _Role) -> None:
        await role.open()
        self._roles.append(role)
        self._stack.push_async_callback(role.close)

    async def _store(self, name: str, role: str, shard: int = 0, cluster: str = "") -> Store:
        means = self._means
        store = await Store.open(
            self._settings.state / name,
            role=role,
            cluster=cluster or self._settings.cluster,
            clock=means.clock,
            chance=means.chance,
            offload=means.offload,
            shard=shard,
        )
        self._stack.push_async_callback(store.close)
        await self._back_up(store, name)
        return store

    async def _back_up(self, store: Store, name: str) -> None:
        """Writes the store's backup from now on, if the settings say where."""
        if self._backups is None:
            return
        keep_s = self._settings.backup_keep_days * 86_400
        backup = Backup(self._means, store, self._backups, name, keep_s)
        await backup.open()
        self._stack.push_async_callback(backup.close)

    async def _open_registrars(self) -> None:
        for shard in self._means.shards.all():
            store = await self._store(f"{_numbered('registrar', shard)}.db", "registrar", shard)
            registrar = RegistrarWorker(self._means, store, _numbered(host_name(), shard))
            password = Secret(self._means.chance.bytes(18).hex())
            if shard == IDENTITY_SHARD and await registrar.bootstrap(password):
                self.new_password = password
            await self._start(registrar)

    async def _open_images(self) -> None:
        for number in range(self._settings.image_workers):
            images = FolderImageStore(self._settings.state / _numbered("images", number), self._bytes_offload)
            store = await self._store(f"{_numbered('image', number)}.db", "image")
            await self._start(ImageWorker(self._means, store, images, self._image_door(number)))

    def _image_door(self, number: int) -> DoorAddress:
        settings = self._settings
        port = settings.image_port + number if settings.image_port else 0
        return DoorAddress(settings.image_listen, port, settings.image_url)

    async def _open_schedulers(self) -> None:
        for _ in range(self._settings.schedulers):
            await self._start(SchedulerWorker(self._means))

    async def _open_network(self) -> None:
        for number, cluster in enumerate(clusters(self._settings)):
            store = await self._store(f"{_numbered('network', number)}.db", "network", cluster=cluster)
            await self._start(NetworkWorker(self._means, store, self._settings.network_mtu))

    async def _open_notifier(self) -> None:
        store = await self._store("notifier.db", "notifier")
        delivery = HttpDelivery(networks(self._settings.notify_networks))
        self._stack.push_async_callback(delivery.close)
        await self._start(NotifierWorker(self._means, store, delivery, host_name()))

    async def _open_hosts(self) -> None:
        if self._settings.hypervisor == "simulated":
            await self._open_simulated_hosts()
            self._say(f"hosts: {self._settings.hosts} simulated")
        else:
            await self._open_real_host()

    async def _open_real_host(self) -> None:
        state, means = self._settings.state, self._means
        store = await self._store("hosts/0.db", "host")
        self._say("host: probing what this machine can do (the first time takes a few seconds)")
        hypervisor, fabric = machine(self._settings, state, store.id, means.offload)
        images: ImageCache = HttpImageCache(state / "cache", self._bytes_offload)
        facts = await hypervisor.probe()
        await fabric.probe()
        self._say(f"host: {facts.driver} {facts.version} with {facts.accelerator} ({facts.reason})")
        host = HostWorker(means, store, host_name(), hypervisor, fabric, images, REAL_LAUNCHES_AT_ONCE)
        for driver in (hypervisor, fabric, images):
            self._stack.push_async_callback(driver.close)
        await self._start(host)
        door = LocalSocket(state / "hosts" / "0.sock", host.local.answer)
        await door.open()
        self._stack.push_async_callback(door.close)

    async def _open_simulated_hosts(self) -> None:
        async def own(name: str, cluster: str) -> Store:
            return await self._store(name, "host", cluster=cluster)

        machines = SimulatedMachines(self._settings, self._means, self._stack, self._start, own, self._simulated)
        await machines.open()

    def _simulated(self, number: int) -> Drivers:
        settings, clock = self._settings, self._means.clock.clock
        folder = None if settings.one_disk else settings.state / "simulated" / str(number)
        hypervisor = SimulatedHypervisor(
            folder and folder / "guests", clock, ram_mib=settings.simulated_ram_mib, boot_s=settings.simulated_boot_s
        )
        fabric = SimulatedFabric(folder and folder / "fabric", carriage=simulated_carriage(settings, number))
        return hypervisor, fabric, SimulatedImageCache(clock)

    async def _open_apis(self) -> None:
        for number in range(self._settings.apis):
            port = self._settings.port + number if self._settings.port else 0
            url = await self._open_api(number, port)
            if number == 0:
                self.url = url
            else:
                self._say(f"api: also at {url}")

    async def _open_api(self, number: int, wanted_port: int) -> str:
        """Gives the URL that it answers at."""
        means, settings = self._means, self._settings
        view = CloudView(means.bus, means.clock, settings.state / _numbered("view", number), boot_id())
        self._stack.push_async_callback(view.close)
        await view.open(audited=True)

        def url(port: int) -> str:
            return settings.public_url or f"http://{settings.listen}:{port}"

        def app(port: int) -> ASGIApp:
            where = (url(port), settings.region, settings.default_zone or clusters(settings)[0])
            rest = (means.shards, settings.unknown_after_s, limits_of(settings))
            enrolls = bool(bus_servers(settings.bus))
            cloud = Cloud(
                means.bus, view, means.clock, means.chance, *where, *rest, enrolls=enrolls, beyond=means.beyond
            )
            server = application(cloud)
            lanes.update(server.lanes)
            return server

        lanes: dict[str, Admission] = {}
        listener = Listener(app, settings.listen, wanted_port)
        port = await listener.open()
        self._stack.push_async_callback(listener.close)
        self._stack.callback(view.news.end)  # before the listener closes: who waits is answered
        if settings.metrics_listen:
            await self._open_metrics(number, metrics(view, lanes))
        return url(port)

    async def _open_metrics(self, number: int, app: ASGIApp) -> None:
        address, _, first = self._settings.metrics_listen.rpartition(":")
        wanted_port = int(first) + number if int(first) else 0
        listener = Listener(lambda _port: app, address.strip("[]"), wanted_port, setting="metrics_listen")
        port = await listener.open()
        self._stack.push_async_callback(listener.close)
        self._say(f"metrics: http://{address}:{port}/metrics")


def machine(settings: Settings, folder: Path, host: str, offload: Offload) -> tuple[Hypervisor, Fabric]:
    """What a real host runs guests with, over a state folder; for `SOME_HOST`, only to be probed."""
    fabric = LinuxFabric(host, folder / "fabric", offload, beyond=beyond_of(settings))
    return QemuHypervisor(folder / "guests", SystemClock()), fabric


def _numbered(name: str, number: int) -> str:
    """The name of one of several: the first has no number."""
    return f"{name}-{number}" if number else name


def backup_key(settings: Settings) -> Path:
    """Where the key of this process's backups is."""
    return key_file(settings)


def place_to_restore_from(place: str, secrets: Path | None, key: Path | None, plain: bool) -> Backups:
    """See `readers_backups`. Raises BadRequest."""
    found = place_of(place)
    if found is None:
        raise BadRequest("say where the backup is: --from URL, or --config with a file that sets it")
    return readers_backups(found, secrets, key, plain, SystemClock(), offload_inline)


async def _opened(settings: Settings, name: str, role: str, means: Means) -> Store:
    """A store of a cloud that is down."""
    path, clock, chance = settings.state / name, means.clock, means.chance
    return await Store.open(
        path, role=role, cluster=settings.cluster, clock=clock, chance=chance, offload=means.offload
    )


async def new_admin_password(settings: Settings) -> Secret:
    """Gives the admin a new password. The cloud must be down: the registrar's store is opened."""
    shards = Shards(settings.registrar_shards)
    means = Means(LocalBus(), HybridClock(SystemClock()), SystemChance(), ThreadOffload(1), shards)
    store = await _opened(settings, "registrar.db", "registrar", means)
    registrar, password = RegistrarWorker(means, store), Secret(means.chance.bytes(18).hex())
    if not await registrar.bootstrap(password):
        await registrar.set_password("admin", password)
    await store.close()
    return password


async def wipe(settings: Settings) -> list[str]:
    """Ends every guest of this machine's host and takes away all that was made for them: disks, taps, bridges, rules.

    Gives the ids of the guests that were removed. The cloud must be down: the host's store is opened.
    """
    means = Means(LocalBus(), HybridClock(SystemClock()), SystemChance(), ThreadOffload(1))
    store = await _opened(settings, "hosts/0.db", "host", means)
    hypervisor, fabric = machine(settings, settings.state, store.id, means.offload)
    guests = sorted(await hypervisor.guests())
    for guest in guests:
        await hypervisor.remove(guest)
    await fabric.sweep(frozenset())
    await fabric.close()
    await hypervisor.close()
    await store.close()
    return guests
