"""A cloud with several of each in one process: real workers, simulated hosts, API processes each with its own view."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

from argon2 import PasswordHasher

from freehold.api.cloud import Cloud
from freehold.api.server import application
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.local import LocalBus
from freehold.bus.passports import Identity, sealed_passport
from freehold.bus.signed import SignedBus
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.runtime.chance import SeededChance, new_id
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.keys import SigningKey
from freehold.runtime.tasks import Tasks, ThreadOffload
from freehold.store.database import Store
from freehold.views.cloud import CloudView
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import Shards
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.host.worker import HostWorker
from freehold.workers.image.worker import ImageWorker
from freehold.workers.network.worker import NetworkWorker
from freehold.workers.registrar.worker import RegistrarWorker
from freehold.workers.scheduler.worker import SchedulerWorker
from tests.api.asgi import Client, Reply

PASSWORD = "correct horse"
SERVERS = "/compute/v2.1/servers"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PATIENCE_S = 30.0

R = TypeVar("R", bound=Word)


class Role(Protocol):
    tasks: Tasks

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Person:
    """A member of a project, at every API process."""

    project: str
    apis: list[Client]

    def api(self, number: int) -> Client:
        """One of the API processes, by turns."""
        return self.apis[number % len(self.apis)]


@dataclass
class Several:
    """See `several`. Lists are by number; a registrar's number is its shard."""

    means: Means
    folder: Path
    stack: AsyncExitStack
    authority: SigningKey | None = None
    """Where everybody signs what he says: who vouches for them."""
    buses: list[SignedBus] = field(default_factory=list)
    registrars: list[RegistrarWorker] = field(default_factory=list)
    images: list[ImageWorker] = field(default_factory=list)
    schedulers: list[SchedulerWorker] = field(default_factory=list)
    hosts: list[HostWorker] = field(default_factory=list)
    views: list[CloudView] = field(default_factory=list)
    stores: dict[str, Store] = field(default_factory=dict)
    nobody: Person = field(default_factory=lambda: Person("", []))
    admin: Person = field(default_factory=lambda: Person("", []))
    image: str = ""
    network: str = ""
    _names: Any = field(default_factory=count)

    # --- opening ---------------------------------------------------------------------------------------------------

    async def store(self, role: str, number: int = 0, shard: int = 0) -> Store:
        means, name = self.means, f"{role}-{number}"
        opened = await Store.open(
            self.folder / f"{name}.db",
            role=role,
            cluster="default",
            clock=means.clock,
            chance=means.chance,
            offload=means.offload,
            shard=shard,
        )
        self.stores[name] = opened
        self.stack.push_async_callback(opened.close)
        return opened

    async def start(self, role: Role) -> None:
        await role.open()
        self.stack.push_async_callback(role.close)

    def means_of(self, role: str, *stores: Store) -> Means:
        """What a role is handed: the bus that all share, or one of its own over that."""
        if self.authority is None:
            return self.means
        key, chance, clock = SigningKey.made(self.means.chance), self.means.chance, self.means.clock.clock
        now_ms, machine = clock.unix_ms(), new_id(chance)
        passport = Passport(
            machine=machine,
            name=role,
            roles=(role,),
            cluster="default",
            stores=tuple(store.id for store in stores),
            key=key.public,
            issued_ms=now_ms,
            expires_ms=now_ms + 3_600_000,
        )
        identity = Identity(sealed_passport(passport, self.authority), key)
        self.buses.append(SignedBus(self.means.bus, identity, self.authority.public, clock, chance))
        return replace(self.means, bus=self.buses[-1])

    async def open_registrar(self, shard: int) -> None:
        store = await self.store("registrar", shard, shard)
        registrar = RegistrarWorker(self.means_of("registrar", store), store, f"r{shard}", CHEAP)
        if shard == 0:
            await registrar.bootstrap(Secret(PASSWORD))
        self.registrars.append(registrar)
        await self.start(registrar)

    async def open_image_worker(self, number: int) -> None:
        store = await self.store("image", number)
        self.images.append(ImageWorker(self.means_of("image", store), store, MemoryImageStore()))
        await self.start(self.images[-1])

    async def open_scheduler(self) -> None:
        number = len(self.schedulers)
        means = self.means_of("scheduler")
        self.schedulers.append(SchedulerWorker(means, self.folder / f"fleet-{number}", "boot"))
        await self.start(self.schedulers[-1])

    async def open_host(self, number: int, ram_mib: int) -> None:
        clock = self.means.clock.clock
        hypervisor = SimulatedHypervisor(None, clock, ram_mib=ram_mib)
        store = await self.store("host", number)
        fabric, images = SimulatedFabric(), SimulatedImageCache(clock)
        means = self.means_of("host", store)
        self.hosts.append(HostWorker(means, store, f"host-{number}", hypervisor, fabric, images, 64))
        await self.start(self.hosts[-1])

    async def open_network(self) -> None:
        store = await self.store("network")
        await self.start(NetworkWorker(self.means_of("network", store), store))

    async def open_api(self, number: int) -> None:
        means = self.means_of("api")
        view = CloudView(means.bus, means.clock, self.folder / f"view-{number}", "boot")
        self.stack.push_async_callback(view.close)
        await view.open()
        self.views.append(view)
        cloud = Cloud(means.bus, view, means.clock, means.chance, "http://cloud", shards=means.shards)
        self.nobody.apis.append(Client(application(cloud)))

    # --- people ----------------------------------------------------------------------------------------------------

    async def sign_in(self, user: str, project: str, project_id: str = "") -> Person:
        who = {"name": user, "domain": {"id": "default"}, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": {"id": "default"}}}
        api = self.nobody.apis[0]
        reply = await api.post("/identity/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        assert reply.status == 201, reply.body
        headers = {"x-auth-token": reply.headers["x-subject-token"], "openstack-api-version": "compute 2.96"}
        return Person(project_id, [Client(api.app, headers) for api in self.nobody.apis])

    async def newcomer(self, shard: int | None = None, **quota: int) -> Person:
        """A member of a new project, of the shard if one is named."""
        while True:
            name = f"person-{next(self._names)}"
            project = (await self.ask("POST", "/identity/v3/projects", {"project": {"name": name}}))["project"]["id"]
            if shard in (None, self.means.shards.of(project)):
                break
        user = {"user": {"name": name, "password": PASSWORD}}
        person = (await self.ask("POST", "/identity/v3/users", user))["user"]["id"]
        role = (await self.ask("GET", "/identity/v3/roles?name=member"))["roles"][0]["id"]
        await self.ask("PUT", f"/identity/v3/projects/{project}/users/{person}/roles/{role}")
        if quota:
            await self.ask("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": quota})
        return await self.sign_in(name, name, project)

    async def ask(self, method: str, path: str, body: Any = b"") -> Any:
        """What the admin is answered; it must be a success."""
        return well(await self.admin.apis[0].ask(method, path, body))

    async def new_image(self) -> str:
        """A public image of some image worker, with its bytes."""
        record = {"name": "tiny", "visibility": "public", "disk_format": "raw", "container_format": "bare"}
        image = str((await self.ask("POST", "/image/v2/images", record))["id"])
        owner = self.images[self.image_owner(image)]

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(1024)

        await owner.transfers.take(image, chunks())
        return image

    def image_owner(self, image: str) -> int:
        """The number of the image worker that has an image."""
        return next(n for n in range(len(self.images)) if self.stores[f"image-{n}"].read("image", image) is not None)

    async def new_network(self) -> str:
        network = (await self.ask("POST", "/network/v2.0/networks", {"network": {"name": "net", "shared": True}}))[
            "network"
        ]["id"]
        subnet = {"network_id": network, "cidr": "10.0.0.0/16", "ip_version": 4}
        await self.ask("POST", "/network/v2.0/subnets", {"subnet": subnet})
        return str(network)

    def server(self, name: str, group: str = "", **fields: Any) -> dict[str, Any]:
        """The body of a POST to /servers."""
        given = {"name": name, "imageRef": self.image, "flavorRef": "1", "networks": [{"uuid": self.network}]} | fields
        hints = {"os:scheduler_hints": {"group": group}} if group else {}
        return {"server": given, **hints}

    def rows(self, shape: type[R]) -> list[R]:
        """The records of a kind in all stores."""
        return [row for store in self.stores.values() for row in store.scan(shape)]


@asynccontextmanager
async def several(
    folder: Path,
    *,
    shards: int = 2,
    image_workers: int = 1,
    schedulers: int = 2,
    apis: int = 2,
    hosts: int = 3,
    ram_mib: int = 64 * 1024,
    signed: bool = False,
) -> AsyncIterator[Several]:
    """A cloud that is up, with an image and a network that everybody may use. `signed`: nobody trusts the bus."""
    async with AsyncExitStack() as stack:
        bus, offload = LocalBus(CARRIED_BYTES_MAX), ThreadOffload(4)
        stack.callback(offload.close)
        stack.push_async_callback(bus.close)
        means = Means(bus, HybridClock(SystemClock()), SeededChance(1), offload, Shards(shards))
        cloud = Several(means, folder, stack, SigningKey.made(means.chance) if signed else None)
        for shard in means.shards.all():
            await cloud.open_registrar(shard)
        for number in range(image_workers):
            await cloud.open_image_worker(number)
        await cloud.open_network()
        for _ in range(schedulers):
            await cloud.open_scheduler()
        for number in range(hosts):
            await cloud.open_host(number, ram_mib)
        for number in range(apis):
            await cloud.open_api(number)
        cloud.admin = await cloud.sign_in("admin", "admin")
        cloud.image, cloud.network = await cloud.new_image(), await cloud.new_network()
        await eventually(lambda: _known(cloud))
        yield cloud


async def _known(cloud: Several) -> bool:
    """Whether the schedulers know all hosts."""
    return all(len(scheduler.fleet.hosts()) == len(cloud.hosts) for scheduler in cloud.schedulers)


def well(reply: Reply) -> Any:
    """The body of an answer that must be a success."""
    assert reply.status < 300, f"{reply.status} {reply.body!r}"
    return reply.json if reply.body else None


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    """Waits until `holds`. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.01)
