"""This version and the one before it side by side, over a real nats-server: a cloud is upgraded under load, one process
after another, hosts first or last, and nothing is refused that was accepted before.
"""

import asyncio
import subprocess
import tarfile
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from tests.scenarios.cloud import ROOT, Cloud, Reply, until
from tests.scenarios.test_processes import Processes, a_network, all_show, owners_agree, processes, sure

GUESTS_KEPT = 3
"""Of each version that has built any."""


def version_before(folder: Path) -> Path:
    """The code as it was before what isn't committed, or else before the last commit."""
    changed = git("status", "--porcelain", "--", "freehold").strip()
    with tarfile.open(fileobj=BytesIO(git("archive", "HEAD" if changed else "HEAD~1", "freehold"))) as packed:
        packed.extractall(folder, filter="data")
    return folder


def git(*arguments: str) -> bytes:
    return subprocess.run(("git", *arguments), cwd=ROOT, check=True, capture_output=True).stdout


@dataclass
class Load:
    """Somebody who uses a cloud all the time: guests are made, stopped, started and deleted, and nothing is refused."""

    cloud: Processes
    image: str
    network: str
    rounds: int = 0
    ends: bool = False

    async def run(self) -> None:
        while not self.ends:
            await self.one_round()
            self.rounds += 1

    async def one_round(self) -> None:
        guest = await sure(self.cloud, f"load-{self.rounds}", self.image, self.network)
        server = f"/compute/v2.1/servers/{guest}"
        await self.becomes(guest, "ACTIVE")
        await self.answered("POST", f"{server}/action", {"os-stop": None})
        await self.becomes(guest, "SHUTOFF")
        await self.answered("POST", f"{server}/action", {"os-start": None})
        await self.becomes(guest, "ACTIVE")
        await self.answered("DELETE", server)

    async def goes_on(self, running: asyncio.Task[None]) -> None:
        """Waits until a whole round has begun and ended since."""
        rounds = self.rounds

        async def so() -> bool:
            if running.done():
                running.result()
            return self.rounds > rounds + 1

        await until(so, 120, self.cloud.apis[0].last_lines)

    async def becomes(self, guest: str, status: str) -> None:
        async def so() -> bool:
            shown = await self.answered("GET", f"/compute/v2.1/servers/{guest}")
            return bool(shown.json["server"]["status"] == status)

        await until(so, 90, lambda: f"{guest} isn't {status}")

    async def answered(self, method: str, path: str, body: object = None) -> Reply:
        """The answer of the API that answers: a process may be away, and then the other is asked. What was done though
        its answer was lost is no refusal.
        """
        lost = False
        for api in self.cloud.apis * 60:
            try:
                reply = await api.call(method, path, body)
            except (aiohttp.ClientError, TimeoutError):
                lost = True
                await asyncio.sleep(0.1)
                continue
            if reply.status < 300 or (lost and reply.status == (404 if method == "DELETE" else 409)):
                return reply
            assert reply.status == 503, f"{method} {path}: {reply.status} {reply.body!r}"
            lost |= b"may still be done" in reply.body  # a host was asked, and went away before it had answered
            await asyncio.sleep(0.1)
        raise AssertionError(f"nobody has answered {method} {path}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hosts_first", [True, False], ids=["hosts first", "hosts last"])
async def test_a_cloud_is_upgraded_under_load_one_process_after_another(tmp_path: Path, hosts_first: bool) -> None:
    before, kept = version_before(tmp_path / "before"), list[str]()
    async with processes(tmp_path, before) as cloud:
        image, network = await cloud.apis[0].new_image(), await a_network(cloud.apis[0])
        kept += await built(cloud, "before", image, network)
        load = Load(cloud, image, network)
        using = asyncio.create_task(load.run())
        control = [one for one in cloud.all if one is not cloud.host]
        for part in ([cloud.host], control) if hosts_first else (control, [cloud.host]):
            for one in part:
                await upgrade(one)
            kept += await built(cloud, f"between-{len(kept)}", image, network)
            await load.goes_on(using)
        load.ends = True
        await using
        await until(lambda: all_show(cloud, Counter({"ACTIVE": len(kept)})), 90, cloud.apis[0].last_lines)
        for one in cloud.all:
            assert await one.stop() == 0
        owners_agree(cloud, kept)


async def upgrade(one: Cloud) -> None:
    assert await one.stop() == 0
    one.code = ROOT
    await one.start()


async def built(cloud: Processes, key: str, image: str, network: str) -> list[str]:
    keys = [f"{key}-{number}" for number in range(GUESTS_KEPT)]
    return [await sure(cloud, key, image, network) for key in keys]
