"""Evacuating with and without the backup of the dead host's store, as somebody types it."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from freehold.cli import evacuating
from freehold.cli.credentials import Admin, write_admin
from freehold.cli.from_backup import Kept
from freehold.cli.main import app
from freehold.cli.restore import Source
from freehold.vocabulary.envelope import Owner, Position
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import clock_time
from freehold.workers.host.messages import BuildSecret, Job
from freehold.workers.restore import Found
from tests.owners import a_guest

HOST = "11111111-2222-4333-8444-555555555555"


class Cloud:
    """An API with host ``h1``, which has these guests. `asked`: the evacuations that were asked for."""

    def __init__(self, **known_from: str) -> None:
        self.known_from = known_from
        self.asked: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        asked = (await request.json())["evacuation"]
        self.asked.append(asked)
        records = {one["id"] for one in asked.get("records", ())}
        rows = [self._row(guest, guest in records) for guest in asked["guests"] or self.known_from]
        told = {"host": "h1", "host_id": HOST, "dry_run": asked["dry_run"], "guests": rows, "more": False}
        return web.json_response({"evacuation": told})

    def _row(self, guest: str, recorded: bool) -> dict[str, Any]:
        source = "backup" if recorded else self.known_from[guest]
        row = {"id": guest, "name": guest, "known_from": source, "lost": ["its disk"]}
        return row | {"request": None, "refused": None}


@contextlib.asynccontextmanager
async def running(cloud: Cloud, state: Path) -> AsyncIterator[None]:
    async def sign_in(_: web.Request) -> web.Response:
        return web.json_response({"token": {}}, status=201, headers={"X-Subject-Token": "t"})

    served = web.Application(client_max_size=1 << 20)
    served.router.add_post("/identity/v3/auth/tokens", sign_in)
    served.router.add_post("/freehold/v1/hosts/{host}/evacuation", cloud.answer)
    server = TestServer(served)
    await server.start_server()
    write_admin(state, Admin(url=str(server.make_url("")).rstrip("/"), password=Secret("p")))
    try:
        yield
    finally:
        await server.close()


def kept(*guests: str, user_data: str = "") -> Kept:
    owner = Owner(store=HOST, role="host", cluster="c")
    place = Position(epoch="e", seq=7)
    found = Found(owner=owner, place="hosts/0.db", position=place, time=clock_time(0), base=1, last=1)
    secret = BuildSecret(user_data=Secret(user_data) if user_data else None)
    return Kept(found, {guest: Job(a_guest(guest, HOST), secret) for guest in guests})


@pytest.fixture
def backed_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, Kept]:
    """What the backup has, under ``h1``."""
    there: dict[str, Kept] = {}

    async def kept_of(_: Source, host: str, name: str) -> Kept:
        assert host == HOST
        if name not in there:
            raise NotFound(f"There is no backup of host {name}")
        return there[name]

    monkeypatch.setattr(evacuating, "kept_of", kept_of)
    return there


async def test_a_dry_run_says_what_comes_from_where(
    tmp_path: Path, backed_up: dict[str, Kept], capsys: pytest.CaptureFixture[str]
) -> None:
    backed_up["h1"] = kept("web", "gone")
    cloud = Cloud(web="view", db="view", mail="ledger")
    async with running(cloud, tmp_path):
        await evacuating._evacuate(tmp_path, "h1", (), Source(), dry_run=True, wait=False)
    told = capsys.readouterr().out
    assert "the backup of h1 is as of 1970-01-01T00:00:00.000Z, " in told and "days ago: it has 1 of these 3" in told
    assert "web: would be built from its image elsewhere (known from: backup)\n    lost" in told
    assert "(known from: view)\n    not in the backup: as its host told of it last, without user data" in told
    assert "(known from: ledger)\n    not in the backup, and its host isn't known" in told
    assert [asked["dry_run"] for asked in cloud.asked] == [True, True]
    assert [one["id"] for one in cloud.asked[1]["records"]] == ["web"], "and of no guest that isn't the host's any more"


async def test_nobody_leaves_before_the_backup_was_read(tmp_path: Path, backed_up: dict[str, Kept]) -> None:
    cloud = Cloud(web="view")
    async with running(cloud, tmp_path):
        with pytest.raises(NotFound, match="no backup of host h1"):
            await evacuating._evacuate(tmp_path, "h1", (), Source(), dry_run=False, wait=False)
    assert [asked["dry_run"] for asked in cloud.asked] == [True]


async def test_many_guests_with_much_user_data_go_in_portions(tmp_path: Path, backed_up: dict[str, Kept]) -> None:
    names = [f"guest-{number}" for number in range(25)]
    backed_up["h1"] = kept(*names, user_data="a" * 65000)
    cloud = Cloud(**dict.fromkeys(names, "view"))
    async with running(cloud, tmp_path):
        await evacuating._evacuate(tmp_path, "h1", (), Source(), dry_run=False, wait=False)
    portions = cloud.asked[1:]
    assert [guest for portion in portions for guest in portion["guests"]] == names
    assert all(portion["guests"] == [one["id"] for one in portion["records"]] for portion in portions)
    assert len(portions) == 3 and max(len(json.dumps(portion)) for portion in portions) < 1 << 20


async def test_without_a_backup_nothing_is_said_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = Cloud(web="view")
    async with running(cloud, tmp_path):
        await evacuating._evacuate(tmp_path, "h1", ("web",), dry_run=False, wait=False)
    assert "backup" not in capsys.readouterr().out
    assert cloud.asked == [{"dry_run": False, "guests": ["web"]}]


def test_how_to_read_a_backup_needs_one(tmp_path: Path) -> None:
    command = ["evacuate", "h1", "--dry-run", "--state", str(tmp_path), "--key", "k"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 2 and "say where it is" in answer.output


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (200000, "2 days")],
)
def test_how_old_it_is(seconds: int, said: str) -> None:
    assert evacuating.ago(seconds) == f"{said} ago"
