"""The small cloud of the API's tests with a scheduler and two simulated hosts, so that servers come up."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from freehold.bus.interface import Answerer, Listener, Subscription
from freehold.bus.local import LocalBus
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.volumereader.simulated import SimulatedVolumeReader
from freehold.runtime.tasks import ThreadOffload
from freehold.store.database import Store
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.network import Carriage
from freehold.vocabulary.request import Admission, Stage
from freehold.workers.base import Means
from freehold.workers.host.worker import HostWorker
from freehold.workers.scheduler.worker import SchedulerWorker
from tests.api.asgi import Client, Reply, until
from tests.api.conftest import Api

V21 = "/compute/v2.1"


class Cable:
    """A host's end of the bus, which can be cut."""

    def __init__(self, bus: LocalBus) -> None:
        self._bus, self._whole = bus, True
        self._answers: list[tuple[str, Answerer, str]] = []
        self._open: list[Subscription] = []

    async def publish(self, subject: str, body: bytes) -> None:
        if self._whole:
            await self._bus.publish(subject, body)

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        if not self._whole:
            raise NoAnswer("the cable is cut")
        return await self._bus.ask(subject, body, deadline_s)

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> Subscription:
        async def heard(subject: str, body: bytes) -> None:
            if self._whole:
                await listener(subject, body)

        return await self._bus.subscribe(subject, heard, group)

    async def answer(self, subject: str, answerer: Answerer, group: str) -> Subscription:
        self._answers.append((subject, answerer, group))
        self._open.append(await self._bus.answer(subject, answerer, group))
        return self._open[-1]

    def on_connect(self, listener: Callable[[float], None]) -> Subscription:
        return self._bus.on_connect(listener)

    async def close(self) -> None:
        """The bus is closed by who made it."""

    async def cut(self) -> None:
        self._whole = False
        for subscription in self._open:
            await subscription.close()

    async def mend(self) -> None:
        self._whole = True
        self._open = [await self._bus.answer(*answer) for answer in self._answers]


@dataclass
class Compute:
    """The cloud, with an image and a network that everybody may use. `member` speaks 2.96, `oldest` 2.1."""

    api: Api
    member: Client
    other: Client
    admin: Client
    image: str
    network: str
    hypervisors: list[SimulatedHypervisor]
    cables: list[Cable]
    """What joins each host to the bus."""
    hosts: list[Store]

    @property
    def oldest(self) -> Client:
        return self.api.member

    def at(self, version: str, client: Client | None = None) -> Client:
        """A client (the member unless said otherwise) in another microversion."""
        return _in_version(client or self.member, version)

    def wanted(self, **more: Any) -> dict[str, Any]:
        """The body of a create."""
        server = {"name": "web", "flavorRef": "1", "imageRef": self.image, "networks": [{"uuid": self.network}]}
        return {"server": server | more}

    async def create(self, client: Client | None = None, **more: Any) -> str:
        """Asks for a server; gives its id."""
        reply = await (client or self.member).post(f"{V21}/servers", self.wanted(**more))
        assert reply.status == 202, reply.body
        return str(reply.json["server"]["id"])

    async def server(self, guest: str, client: Client | None = None) -> Any:
        """A server as it is shown."""
        reply = await (client or self.member).get(f"{V21}/servers/{guest}")
        assert reply.status == 200, reply.body
        return reply.json["server"]

    async def settled(self, guest: str, status: str = "ACTIVE") -> Any:
        """Waits until a server has a status and nothing is under way; gives it."""
        return await self.until(
            lambda: self.server(guest), lambda s: s["status"] == status and s["OS-EXT-STS:task_state"] is None
        )

    async def running(self, **more: Any) -> str:
        """A server that is ACTIVE, and of which the registrar knows that it is."""
        guest = await self.create(**more)
        await self.settled(guest)
        await self.until(lambda: self._stage(guest), lambda stage: stage is Stage.ACTIVE)
        return guest

    async def _stage(self, guest: str) -> Stage | None:
        admission = self.api.cloud.view.get(Admission, guest)
        return None if admission is None else admission.stage

    async def gone(self, guest: str) -> None:
        """Waits until a server is found no more."""
        await self.until(lambda: self.member.get(f"{V21}/servers/{guest}"), lambda reply: reply.status == 404)

    async def host_of(self, guest: str) -> int:
        """The number of the host that a server runs on."""
        return int((await self.server(guest, self.admin))["OS-EXT-SRV-ATTR:host"].removeprefix("host"))

    def pass_s(self, seconds: int) -> str:
        """Lets time pass on everybody's wall clock, and gives the time in the middle of it."""
        self.api.clock.ahead_s += seconds
        then = datetime.fromtimestamp(self.api.clock.unix_ms() / 1000 - seconds / 2, UTC)
        return then.strftime("%Y-%m-%dT%H:%M:%SZ")

    async def act(self, guest: str, action: str, given: Any = None, client: Client | None = None) -> Reply:
        """Does something to a server."""
        return await (client or self.member).post(f"{V21}/servers/{guest}/action", {action: given})

    until = staticmethod(until)


def _in_version(client: Client, version: str) -> Client:
    return Client(client.app, {**client.headers, "openstack-api-version": f"compute {version}"})


@pytest.fixture
async def compute(api: Api, tmp_path: Path) -> AsyncIterator[Compute]:
    async with AsyncExitStack() as stack:
        offload = ThreadOffload(2)
        stack.callback(offload.close)
        means = Means(api.cloud.bus, api.cloud.clock, api.cloud.chance, offload)
        scheduler = SchedulerWorker(means, tmp_path / "fleet", "boot")
        await scheduler.open()
        stack.push_async_callback(scheduler.close)
        cables = [Cable(api.cloud.bus) for _ in range(2)]  # type: ignore[arg-type]
        opened = [
            await open_host(replace(means, bus=cable), tmp_path / f"host{n}", f"host{n}", stack)
            for n, cable in enumerate(cables)
        ]
        yield Compute(
            api=api,
            member=_in_version(api.member, "2.96"),
            other=_in_version(api.other, "2.96"),
            admin=_in_version(api.admin, "2.96"),
            image=await _image(api),
            network=await _network(api),
            hypervisors=[hypervisor for hypervisor, _ in opened],
            cables=cables,
            hosts=[store for _, store in opened],
        )


async def open_host(
    means: Means,
    path: Path,
    name: str,
    stack: AsyncExitStack,
    cluster: str = "default",
    carriage: Carriage | None = None,
) -> tuple[SimulatedHypervisor, Store]:
    path.mkdir()
    store = await Store.open(
        path / "host.db",
        role="host",
        cluster=cluster,
        clock=means.clock,
        chance=means.chance,
        offload=means.offload,
    )
    stack.push_async_callback(store.close)
    clock = means.clock.clock
    hypervisor = SimulatedHypervisor(path / "guests", clock, vcpus=16, ram_mib=16384, disk_gib=200)
    fabric, images = SimulatedFabric(path / "fabric", carriage=carriage), SimulatedImageCache(clock)
    host = HostWorker(means, store, name, hypervisor, fabric, images, 8, volumes=SimulatedVolumeReader(store.id))
    await host.open()
    stack.push_async_callback(host.close)
    return hypervisor, store


async def _image(api: Api) -> str:
    record = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    made = await api.admin.post("/image/v2/images", record)
    image = str(made.json["id"])
    content = {"content-type": "application/octet-stream"}
    reply = await api.admin.ask("PUT", f"/image/v2/images/{image}/file", bytes(1 << 20), content)
    assert reply.status == 204, reply.body
    return image


async def _network(api: Api) -> str:
    made = await api.admin.post("/network/v2.0/networks", {"network": {"name": "shared", "shared": True}})
    network = str(made.json["network"]["id"])
    subnet = {"network_id": network, "cidr": "10.20.0.0/24", "ip_version": 4}
    assert (await api.admin.post("/network/v2.0/subnets", {"subnet": subnet})).status == 201
    return network
