"""The small cloud of the API's tests with two pools of volumes, in two clusters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.bus import subjects, talk
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.volume import Pool
from freehold.vocabulary.volume_request import ChoosePool
from freehold.workers.base import Means
from tests.api.asgi import Client, Reply, until
from tests.api.conftest import Api
from tests.api.volume.pools import Choosing, PoolUnderTest, opened

V3 = "/volume/v3"


@dataclass
class VolumeCloud:
    """The cloud. `member`, `other` and `admin` speak 3.71, and name no project in paths."""

    api: Api
    member: Client
    other: Client
    admin: Client
    pools: list[PoolUnderTest]

    def at(self, version: str, client: Client | None = None) -> Client:
        """A client (the member unless said otherwise) in another microversion."""
        return _in_version(client or self.member, version)

    async def asked(self, client: Client | None = None, **fields: Any) -> Reply:
        """A volume is asked for: of 1 GiB, unless told otherwise."""
        return await (client or self.member).post(f"{V3}/volumes", {"volume": {"size": 1} | fields})

    async def create(self, client: Client | None = None, **fields: Any) -> str:
        """Asks for a volume; gives its id."""
        reply = await self.asked(client, **fields)
        assert reply.status == 202, reply.body
        return str(reply.json["volume"]["id"])

    async def made(self, client: Client | None = None, **fields: Any) -> str:
        """A volume that is available; gives its id."""
        volume = await self.create(client, **fields)
        await self.settled(volume)
        return volume

    async def taken(self, volume: str, client: Client | None = None, **fields: Any) -> str:
        """A snapshot that is available; gives its id."""
        reply = await (client or self.member).post(f"{V3}/snapshots", {"snapshot": {"volume_id": volume} | fields})
        assert reply.status == 202, reply.body
        snapshot = str(reply.json["snapshot"]["id"])
        await self.settled(snapshot, noun="snapshot")
        return snapshot

    async def shown(self, identifier: str, client: Client | None = None, noun: str = "volume") -> Any:
        """A volume as it is shown."""
        reply = await (client or self.admin).get(f"{V3}/{noun}s/{identifier}")
        assert reply.status == 200, reply.body
        return reply.json[noun]

    async def settled(self, identifier: str, status: str = "available", noun: str = "volume") -> Any:
        """Waits until a volume has a status; gives it."""
        ends = (status, "error")
        it = await self.until(lambda: self.shown(identifier, noun=noun), lambda shown: shown["status"] in ends)
        assert it["status"] == status, it
        return it

    async def gone(self, identifier: str, noun: str = "volume") -> None:
        """Waits until a volume is found no more."""
        await self.until(lambda: self.admin.get(f"{V3}/{noun}s/{identifier}"), lambda reply: reply.status == 404)

    async def act(self, volume: str, action: str, given: Any = None, client: Client | None = None) -> Reply:
        """Does something to a volume."""
        return await (client or self.member).post(f"{V3}/volumes/{volume}/action", {action: given})

    async def ids(self, query: str = "", client: Client | None = None, noun: str = "volumes") -> list[str]:
        """What a list has."""
        reply = await (client or self.member).get(f"{V3}/{noun}{query}")
        assert reply.status == 200, reply.body
        return [one["id"] for one in reply.json[noun]]

    until = staticmethod(until)


def _in_version(client: Client, version: str) -> Client:
    return Client(client.app, {**client.headers, "openstack-api-version": f"volume {version}"})


@pytest.fixture
async def volumes(api: Api, tmp_path: Path) -> AsyncIterator[VolumeCloud]:
    async with AsyncExitStack() as stack:
        offload = ThreadOffload(2)
        stack.callback(offload.close)
        means = Means(api.cloud.bus, api.cloud.clock, api.cloud.chance, offload)
        pools = [await opened(means, tmp_path, cluster, stack) for cluster in ("default", "north")]
        view: Any = api.cloud.view
        answering = await talk.serve(means.bus, subjects.ASK_POOLS, ChoosePool, Choosing(view).answer, "scheduler")
        stack.push_async_callback(answering.close)
        member, other, admin = (_in_version(client, "3.71") for client in (api.member, api.other, api.admin))
        cloud = VolumeCloud(api, member, other, admin, pools)
        await cloud.until(lambda: _pools(api), lambda known: known == 2)
        yield cloud


async def _pools(api: Api) -> int:
    return sum(1 for pool in api.cloud.view.list(Pool) if pool.total_gib)
