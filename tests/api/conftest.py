"""A whole small cloud without hosts behind the API: real registrar, image and network workers, and a real view."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from freehold.api.cloud import Cloud
from freehold.api.server import application
from freehold.bus.local import LocalBus
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import ThreadOffload
from freehold.store.database import Store
from freehold.views.cloud import CloudView
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Means
from freehold.workers.image.door import DoorAddress
from freehold.workers.image.worker import ImageWorker
from freehold.workers.network.worker import NetworkWorker
from freehold.workers.registrar.worker import RegistrarWorker
from tests.api.asgi import Client

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes at their real price would make every test wait for seconds."""


class MovableClock(SystemClock):
    """The machine's clock, moved ahead by `ahead_s`; `waited_s` is added to what has passed on the monotonic one."""

    ahead_s = 0
    waited_s = 0.0

    def unix_ms(self) -> int:
        return super().unix_ms() + self.ahead_s * 1000

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.waited_s


@dataclass
class Api:
    """The cloud under test, with three callers: nobody, the admin, and a member of the project ``lab``."""

    cloud: Cloud
    clock: MovableClock
    nobody: Client
    admin: Client
    member: Client
    other: Client
    """A member of another project, ``den``."""
    project: str
    user: str
    registrar: Store

    async def sign_in(self, user: str, password: str, project: str | None) -> str:
        """A token."""
        auth: dict[str, Any] = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": {"name": "Default"}, "password": password}},
            }
        }
        if project is not None:
            auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        reply = await self.nobody.post("/identity/v3/auth/tokens", {"auth": auth})
        assert reply.status == 201, reply.body
        return reply.headers["x-subject-token"]

    async def new_user(self, name: str, project: str, role: str = "member") -> tuple[str, str]:
        """Makes a user with a role in a new project; gives both ids."""
        made = await self.admin.post("/identity/v3/projects", {"project": {"name": project}})
        project_id = made.json["project"]["id"]
        made = await self.admin.post("/identity/v3/users", {"user": {"name": name, "password": PASSWORD}})
        user_id = made.json["user"]["id"]
        roles = (await self.admin.get(f"/identity/v3/roles?name={role}")).json["roles"]
        path = f"/identity/v3/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}"
        assert (await self.admin.put(path)).status == 204
        return project_id, user_id


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        clock = MovableClock()
        bus, offload = LocalBus(), ThreadOffload(2)
        stack.callback(offload.close)
        stack.push_async_callback(bus.close)
        means = Means(bus, HybridClock(clock), SeededChance(1), offload)
        registrar = await _open_workers(means, tmp_path, stack)
        view = CloudView(bus, means.clock, tmp_path / "view", "boot")
        stack.push_async_callback(view.close)
        await view.open()
        cloud = Cloud(bus, view, means.clock, means.chance, "http://cloud.example")
        yield await _with_people(cloud, clock, registrar)


async def _open_workers(means: Means, path: Path, stack: AsyncExitStack) -> Store:
    """Gives the registrar's store."""

    async def store(role: str) -> Store:
        opened = await Store.open(
            path / f"{role}.db",
            role=role,
            cluster="default",
            clock=means.clock,
            chance=means.chance,
            offload=means.offload,
        )
        stack.push_async_callback(opened.close)
        return opened

    kept = await store("registrar")
    registrar = RegistrarWorker(means, kept, hasher=CHEAP)
    await registrar.bootstrap(Secret(PASSWORD))
    images = ImageWorker(means, await store("image"), MemoryImageStore(), DoorAddress("127.0.0.1", 0))
    for worker in (registrar, images, NetworkWorker(means, await store("network"))):
        await worker.open()
        stack.push_async_callback(worker.close)
    return kept


async def _with_people(cloud: Cloud, clock: MovableClock, registrar: Store) -> Api:
    nobody = Client(application(cloud))
    api = Api(cloud, clock, nobody, nobody, nobody, nobody, "", "", registrar)
    api.admin = nobody.with_token(await api.sign_in("admin", PASSWORD, "admin"))
    api.project, api.user = await api.new_user("maria", "lab")
    await api.new_user("otto", "den")
    api.member = nobody.with_token(await api.sign_in("maria", PASSWORD, "lab"))
    api.other = nobody.with_token(await api.sign_in("otto", PASSWORD, "den"))
    return api
