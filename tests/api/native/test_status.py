"""Status: who owns what, and how old our knowledge of it is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from freehold.api.server import application
from freehold.bus import subjects, talk
from freehold.bus.local import LocalBus
from freehold.views.cloud import CloudView
from freehold.vocabulary.envelope import Hello
from tests.api.asgi import Client
from tests.api.conftest import Api


async def test_owners_are_listed_with_where_their_logs_stand(api: Api) -> None:
    owners = (await api.admin.get("/freehold/v1/owners")).json["owners"]
    assert {owner["role"] for owner in owners} == {"registrar", "image", "network"}
    before = {owner["store"]: owner["seq"] for owner in owners}
    await api.admin.post("/network/v2.0/networks", {"network": {"name": "one more"}})
    after = (await api.admin.get("/freehold/v1/owners")).json["owners"]
    grown = {owner["role"] for owner in after if owner["seq"] > before[owner["store"]]}
    assert grown == {"network"}
    assert all(owner["age_s"] is not None and owner["state"] == "heard" for owner in after)


async def test_an_owner_that_falls_silent_is_shown_with_its_age(api: Api) -> None:
    async def owners() -> list[Any]:
        return list((await api.admin.get("/freehold/v1/owners")).json["owners"])

    api.clock.waited_s = 100
    assert all(owner["state"] == "silent" and 100 <= owner["age_s"] < 160 for owner in await owners())
    await talk.say(api.cloud.bus, subjects.hello("host"), Hello())
    await until_all(owners, "heard")


async def until_all(owners: Callable[[], Awaitable[list[Any]]], state: str) -> None:
    async with asyncio.timeout(20):
        while any(owner["state"] != state for owner in await owners()):
            await asyncio.sleep(0.01)


async def test_an_owner_that_was_never_heard_is_told_from_a_silent_one(api: Api, tmp_path: Path) -> None:
    async def known(client: Client) -> list[Any]:
        reply = await client.get("/freehold/v1/owners")
        return list(reply.json["owners"]) if reply.status == 200 else []

    cloud = api.cloud
    first = CloudView(cloud.bus, cloud.clock, tmp_path / "another", "boot")
    await first.open()
    client = Client(application(replace(cloud, view=first)), api.admin.headers)
    async with asyncio.timeout(20):
        while len(await known(client)) < 3 or any(not owner["epoch"] for owner in await known(client)):
            await asyncio.sleep(0.01)
    await first.close()
    again = CloudView(LocalBus(), cloud.clock, tmp_path / "another", "boot")
    client = Client(application(replace(cloud, view=again)), api.admin.headers)
    api.clock.waited_s = 7
    found = await known(client)
    assert len(found) == 3
    assert all((o["state"], o["age_s"]) == ("never", None) and o["silent_s"] >= 7 for o in found)
    await again.close()


async def test_status_is_for_admins(api: Api) -> None:
    assert (await api.member.get("/freehold/v1/owners")).status == 403
    assert (await api.member.get("/freehold/v1/hosts")).status == 403


async def test_hosts_are_listed(api: Api) -> None:
    assert (await api.admin.get("/freehold/v1/hosts")).json == {"hosts": []}
