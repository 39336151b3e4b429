"""The whole of it, started from settings in this process, over simulated hosts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.assemble.backups import place_to_restore_from
from freehold.assemble.offline import new_admin_password
from freehold.assemble.running import Running
from freehold.cli.client import Client
from freehold.cli.credentials import Admin
from freehold.cli.first_start import furnish
from freehold.config import Settings
from freehold.config import read as read_settings
from freehold.runtime.tasks import ThreadOffload, offload_inline
from freehold.vocabulary.errors import Broken, FreeholdError, Unavailable
from freehold.vocabulary.secret import Secret
from freehold.workers.restore import Found, every, restore
from tests.drivers.imagestore.published import Published
from tests.servers import SERVERS, Server

PUBLISHED = "11111111-2222-4333-8444-555555555555"


def settings(state: Path, **given: Any) -> Settings:
    return read_settings(None, **{"state": state, "hypervisor": "simulated", "port": 0} | given)


@contextlib.asynccontextmanager
async def running(state: Path, **given: Any) -> AsyncIterator[Running]:
    cloud = Running(settings(state, **given), lambda line: None)
    try:
        await cloud.open()
        yield cloud
    finally:
        await cloud.close()


def client(cloud: Running, password: Secret | None) -> Client:
    assert password is not None
    return Client(Admin(url=cloud.url, password=password))


async def test_a_new_cloud_answers_to_the_password_it_gives(tmp_path: Path) -> None:
    async with running(tmp_path / "cloud", hosts=2) as cloud, client(cloud, cloud.new_password) as asked:
        hosts = (await asked.get("/freehold/v1/hosts"))["hosts"]
        owners = (await asked.get("/freehold/v1/owners"))["owners"]
    assert sorted(host["name"] for host in hosts) == ["sim-0", "sim-1"]
    roles = ["host", "host", "image", "network", "notifier", "registrar", "volume"]
    assert sorted(owner["role"] for owner in owners) == roles


async def test_the_state_is_the_operators_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "deep" / "cloud") as cloud:
        assert (tmp_path / "deep" / "cloud").stat().st_mode & 0o777 == 0o700
        assert len(cloud.new_password.reveal() if cloud.new_password else "") >= 32


async def test_the_next_start_goes_on_and_gives_no_password(tmp_path: Path) -> None:
    async with running(tmp_path) as cloud:
        password = cloud.new_password
        async with client(cloud, password) as asked:
            await asked.post("/identity/v3/projects", {"project": {"name": "lab"}})
    async with running(tmp_path) as cloud:
        assert cloud.new_password is None
        async with client(cloud, password) as asked:
            names = [project["name"] for project in (await asked.get("/identity/v3/projects"))["projects"]]
    assert sorted(names) == ["admin", "lab"]


async def test_a_view_may_be_thrown_away_while_nothing_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as cloud:
        password = cloud.new_password
    for path in (tmp_path / "view").iterdir():
        path.unlink()
    async with running(tmp_path) as cloud, client(cloud, password) as asked:
        assert (await asked.get("/compute/v2.1/flavors"))["flavors"]


async def test_prometheus_may_read_how_far_backups_are_behind(tmp_path: Path) -> None:
    said: list[str] = []
    given = settings(tmp_path / "cloud", metrics_listen="127.0.0.1:0", backup=f"folder:{tmp_path / 'backup'}")
    cloud = Running(given, said.append)
    try:
        await cloud.open()
        [where] = [line.removeprefix("metrics: ") for line in said if line.startswith("metrics: ")]
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while "freehold_owner_backup_lag_seconds{" not in (text := await _text_of(session, where)):
                await asyncio.sleep(0.05)
    finally:
        await cloud.close()
    assert 'freehold_owner_heard{cluster="default",name="sim-0",role="host"' in text
    assert "process_resident_memory_bytes" in text


async def _text_of(session: aiohttp.ClientSession, where: str) -> str:
    async with session.get(where) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_the_operator_gives_the_admin_a_new_password(tmp_path: Path) -> None:
    async with running(tmp_path) as cloud:
        old = cloud.new_password
    password = await new_admin_password(settings(tmp_path))
    async with running(tmp_path) as cloud:
        async with client(cloud, password) as asked:
            await asked.get("/identity/v3/users")
        with pytest.raises(Unavailable, match="401"):
            await client(cloud, old).__aenter__()


async def test_a_password_may_be_given_before_the_first_start(tmp_path: Path) -> None:
    tmp_path.joinpath("cloud").mkdir()
    password = await new_admin_password(settings(tmp_path / "cloud"))
    async with running(tmp_path / "cloud") as cloud:
        assert cloud.new_password is None
        async with client(cloud, password) as asked:
            await asked.get("/identity/v3/users")


async def test_one_role_runs_alone(tmp_path: Path) -> None:
    async with running(tmp_path, roles=["image"]) as cloud:
        assert cloud.url == "" and cloud.new_password is None
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["image.db"]


@pytest.fixture(params=["s3", "swift"])
def bucket(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "swift":
        yield request.getfixturevalue("swift")
        return
    server = SERVERS[request.param]()
    yield server
    server.close()


async def test_the_bytes_of_images_lie_in_a_bucket(tmp_path: Path, bucket: Server) -> None:
    content, state = b"a disk" + bytes(3 << 20) + b"its end", tmp_path / "cloud"
    (tmp_path / "demo").write_bytes(content)
    place: dict[str, Any] = {"image_store": bucket.url, "image_store_secret_file": bucket.secrets}
    async with running(state, **place) as cloud:
        password = cloud.new_password
        assert password is not None
        demo = settings(state, demo_image=tmp_path / "demo", **place)
        await furnish(Admin(url=cloud.url, password=password), demo, lambda line: None)
    async with running(state, **place) as cloud, client(cloud, password) as asked:
        (image,) = (await asked.get("/image/v2/images"))["images"]
        async with asked._session.get(f"/image/v2/images/{image['id']}/file", headers=asked._headers) as answer:
            assert answer.status == 200 and await answer.read() == content
    assert not list(state.glob("images*"))


async def test_an_image_that_is_published_becomes_active_by_an_upload_of_the_same(tmp_path: Path) -> None:
    content = b"a disk" + bytes(3 << 20) + b"its end"
    (web := tmp_path / "web").mkdir()
    offload = ThreadOffload()
    published = Published(web, offload)
    published.publish(PUBLISHED, content)
    record = {"id": PUBLISHED, "name": "debian", "disk_format": "raw", "container_format": "bare"}
    path = f"/image/v2/images/{PUBLISHED}"
    async with (
        running(tmp_path / "cloud", image_store=published.url) as cloud,
        client(cloud, cloud.new_password) as asked,
    ):
        await asked.post("/image/v2/images", record)
        with pytest.raises(Unavailable, match=r"answered 403: .* those that came are others"):
            await asked.put(f"{path}/file", aiohttp.BytesPayload(b"another"))
        await asked.put(f"{path}/file", aiohttp.BytesPayload(content))
        assert (await asked.get(path))["status"] == "active"
        async with asked._session.get(f"{path}/file", headers=asked._headers) as answer:
            assert answer.status == 200 and await answer.read() == content
        await asked.delete(path)
    assert await published.images() == {PUBLISHED}
    published.close()
    offload.close()


async def test_a_shard_comes_back_from_its_backup(tmp_path: Path) -> None:
    counts: dict[str, Any] = {"registrar_shards": 2, "image_workers": 2, "backup": f"folder:{tmp_path / 'backup'}"}
    async with running(tmp_path / "cloud", **counts):
        pass
    for path in (tmp_path / "cloud").glob("registrar-1.db*"):
        path.unlink()
    state = tmp_path / "cloud"
    backups = place_to_restore_from(counts["backup"], None, state / "backup.key", False)
    places = {one.place: one for one in await every(backups) if isinstance(one, Found)}
    assert {"registrar.db", "registrar-1.db", "image.db", "image-1.db"} <= set(places)
    await restore(backups, places["registrar-1.db"], state / "registrar-1.db", "another-epoch", offload_inline)
    await backups.close()
    async with running(tmp_path / "cloud", **counts) as cloud:
        assert cloud.url


async def test_clients_are_told_the_public_address(tmp_path: Path) -> None:
    async with running(tmp_path, public_url="https://cloud.example") as cloud:
        assert cloud.url == "https://cloud.example"


async def test_a_port_that_is_taken_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(FreeholdError, match="can't listen on"):
            async with running(tmp_path, port=taken.getsockname()[1]):
                pass
    before = asyncio.all_tasks()
    async with running(tmp_path) as cloud:
        assert cloud.url
    assert asyncio.all_tasks() == before, "a task outlives its cloud"


async def test_closing_ends_every_task_and_every_answer(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with running(tmp_path) as cloud:
        url = cloud.url
    assert asyncio.all_tasks() == before
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)


@pytest.mark.parametrize("role", [0, -1], ids=["the first", "the last"])
async def test_a_role_that_fails_ends_the_whole(tmp_path: Path, role: int) -> None:
    async with running(tmp_path) as cloud:
        waiting = asyncio.ensure_future(cloud.broken())
        await asyncio.sleep(0)
        assert not waiting.done()

        async def fails() -> None:
            raise RuntimeError("a bug")

        cloud._roles[role].tasks.start("bad", fails())
        with pytest.raises(Broken, match="Start it again"):
            await asyncio.wait_for(waiting, 5)


async def test_it_is_said_how_far_the_start_has_come(tmp_path: Path) -> None:
    said: list[str] = []
    cloud = Running(settings(tmp_path, hosts=3), said.append)
    await cloud.open()
    await cloud.close()
    assert said == ["hosts: 3 simulated"]
