"""Guests change while the server that backups go to is killed and comes back; then the owners die, and are restored
elsewhere: byte for byte what they were at the position that the backup has, and that is as far as they had said.

FREEHOLD_BACKUP_GUESTS says how many guests there are, with every server; without it, a hundred and one server
(`make test-backups`).
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from freehold.cli.main import app
from tests.scenarios.cloud import Cloud, simulated, until
from tests.servers import SERVERS, Server

GUESTS = 100
KINDS = sorted(SERVERS) if "FREEHOLD_BACKUP_GUESTS" in os.environ else ["postgresql"]
STORES = ["hosts/0.db", "hosts/1.db", "image.db", "network.db", "notifier.db", "registrar.db", "volume.db"]
"""Of a cloud with two hosts, in one process."""
CALL_S_MAX = 15.0
"""For a create: nothing waits for the place for backups, which takes longer than this to be given up."""

Log = list[tuple[Any, ...]]


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    started = await asyncio.to_thread(SERVERS[request.param])
    yield started
    started.close()


class Churn:
    """Guests that are made, stopped and deleted, by several people at once, until it is ended."""

    def __init__(self, cloud: Cloud, guests: int) -> None:
        self._cloud, self._most, self._random = cloud, guests, random.Random(7)
        self._guests: list[str] = []
        self.done = 0
        self.slowest_s = 0.0

    async def go_on(self, changes: int, people: int = 4) -> None:
        """Does so many changes more."""
        wanted = self.done + changes
        image, network = (await self._cloud.get("/image/v2/images"))["images"][0]["id"], await self._cloud.network()

        async def person() -> None:
            while self.done < wanted:
                self.done += 1
                began_s = asyncio.get_running_loop().time()
                await self._change(image, network)
                self.slowest_s = max(self.slowest_s, asyncio.get_running_loop().time() - began_s)

        await asyncio.gather(*(person() for _ in range(people)))

    async def _change(self, image: str, network: str) -> None:
        if len(self._guests) < self._most and self._random.random() < 0.7:
            self._guests.append(await self._cloud.created(f"guest-{self.done}", image, network))
        elif self._guests:
            guest = self._guests.pop(self._random.randrange(len(self._guests)))
            reply = await self._cloud.call("DELETE", f"/compute/v2.1/servers/{guest}")
            assert reply.status == 204, reply.body


@pytest.mark.timeout(1200)
async def test_owners_come_back_elsewhere_as_they_were(tmp_path: Path, server: Server) -> None:
    guests = int(os.environ.get("FREEHOLD_BACKUP_GUESTS") or GUESTS)
    settings = {"backup": server.url, "backup_secret_file": str(server.secrets), "hosts": 2}
    async with simulated(tmp_path, **settings) as cloud:
        await cloud.new_image()
        await nobody_is_stopped_by_a_quota(cloud)
        churn = Churn(cloud, guests)
        await churn.go_on(guests // 2)
        await until(lambda: covered(cloud), 60, cloud.last_lines)
        server.kill()
        await churn.go_on(guests // 2)
        await until(lambda: behind(cloud), 60, cloud.last_lines)
        assert churn.slowest_s < CALL_S_MAX, "nobody waits for the place for backups"
        code, said = await cloud.command("status")
        assert code == 0 and " s behind" in said, said
        await asyncio.to_thread(server.start)
        await until(lambda: covered(cloud), 120, cloud.last_lines)
        await until(lambda: all_restore(cloud, server), 120, cloud.last_lines)  # of moto's S3 nothing was left
        changing = asyncio.create_task(churn.go_on(10_000))
        wanted = churn.done + max(10, guests // 4)
        await until(lambda: has_changed(cloud, churn, wanted), 60, cloud.last_lines)
        reported = await owners(cloud)
        await cloud.kill()
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        # The machine is gone: the key and the file of secrets were kept elsewhere.
        await restored_elsewhere(cloud, server, reported, tmp_path / "elsewhere")
        await beside_another_owner(cloud, server, tmp_path / "third")


async def nobody_is_stopped_by_a_quota(cloud: Cloud) -> None:
    project = (await cloud.get("/identity/v3/projects?name=admin"))["projects"][0]["id"]
    limits = {"instances": -1, "cores": -1, "ram": -1}
    await cloud.well("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": limits})


async def owners(cloud: Cloud) -> list[Any]:
    found: list[Any] = (await cloud.get("/freehold/v1/owners"))["owners"]
    return [owner for owner in found if owner["backup"] is not None]


async def covered(cloud: Cloud) -> bool:
    found = await owners(cloud)
    return len(found) == len(STORES) and all(is_covered(owner["seq"], owner["backup"]) for owner in found)


def is_covered(seq: int, backup: dict[str, Any]) -> bool:
    return backup == {"seq": seq, "entries": 0, "seconds": 0.0}


async def behind(cloud: Cloud) -> bool:
    return any(owner["role"] == "registrar" and owner["backup"]["entries"] > 10 for owner in await owners(cloud))


async def all_restore(cloud: Cloud, server: Server) -> bool:
    key = str(cloud.state / "backup.key")
    place = ("--from", server.url, "--secret-file", str(server.secrets), "--key", key)
    _, said = await command("backup", "verify", *place)
    return f"{len(STORES)} of {len(STORES)} restore" in said


async def has_changed(cloud: Cloud, churn: Churn, wanted: int) -> bool:
    try:
        await owners(cloud)
    except aiohttp.ClientError:
        return False
    return churn.done >= wanted


async def restored_elsewhere(cloud: Cloud, server: Server, reported: list[Any], elsewhere: Path) -> None:
    there = ("--from", server.url, "--secret-file", str(server.secrets), "--key", str(cloud.state / "backup.key"))
    to = ("--state", str(elsewhere), "--store")
    elsewhere.mkdir()
    code, said = await command("restore", *there, *to, reported[0]["store"])
    assert code == 1 and "being written by its owner" in said, "its lease isn't over yet"
    for owner in reported:
        code, said = await command("restore", *there, *to, owner["store"], "--force")
        assert code == 0 and "it must be dead" in said, said
    code, said = await command("backup", "verify", *there)
    assert code == 0 and f"{len(STORES)} of {len(STORES)} restore" in said, said
    places = sorted(path.relative_to(elsewhere) for path in elsewhere.rglob("*.db"))
    assert [str(place) for place in places] == STORES
    told = {owner["store"]: owner["backup"]["seq"] for owner in reported}
    for place in places:
        store, seq = as_it_was(cloud.state / place, elsewhere / place)
        assert seq >= told[store], f"{place} had said that it was backed up to {told[store]}"


async def command(*words: str) -> tuple[int, str]:
    """A command in this process, which is quicker."""
    answer = await asyncio.to_thread(CliRunner().invoke, app, words)
    return answer.exit_code, answer.output


def as_it_was(before: Path, after: Path) -> tuple[str, int]:
    """Checks that a restored store is, byte for byte, the first part of the one that was lost. Gives its id, and how
    far it goes.
    """
    lost, restored = sqlite3.connect(before), sqlite3.connect(after)
    whole = "SELECT seq, time, kind, key, value, cause, digest FROM log ORDER BY seq"
    log: Log = restored.execute(whole).fetchall()
    assert log == lost.execute(whole).fetchall()[: len(log)]
    fold = {(kind, key): (seq, value) for seq, _, kind, key, value, *_ in log}
    rows = {(kind, key): (seq, value) for kind, key, seq, value in restored.execute("SELECT * FROM rows")}
    assert rows == {place: there for place, there in fold.items() if there[1] is not None}
    private = {(kind, key, version): value for kind, key, value, version in lost.execute("SELECT * FROM private")}
    for kind, key, value, version in restored.execute("SELECT * FROM private"):
        assert private.get((kind, key, version), value) == value
    (store,) = restored.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()
    lost.close()
    restored.close()
    return store, log[-1][0] if log else 0


async def beside_another_owner(cloud: Cloud, server: Server, third: Path) -> None:
    """The owner is up again: nobody else restores its store, nor writes its backup."""
    await cloud.start()
    await until(lambda: covered(cloud), 60, cloud.last_lines)
    key, secrets = str(cloud.state / "backup.key"), str(server.secrets)
    third.mkdir()
    there = ("--from", server.url, "--secret-file", secrets, "--key", key, "--state", str(third))
    code, said = await command("restore", *there, "--role", "registrar")
    assert code == 1 and "is being written by its owner" in said and "s ago). Stop that process first" in said, said
    assert not list(third.glob("*.db"))
    assert "p@ss" not in cloud.log.read_text()
