"""A host that is cut off is its operator's to command, and what was done there is true when the rest returns."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from freehold.cli.main import app
from freehold.vocabulary.guest import Guest, GuestState
from tests.scenarios.cloud import END_S, ROOT, START_S, Cloud, until

pytestmark = pytest.mark.timeout(240)

SETTINGS: dict[str, Any] = {"hypervisor": "simulated", "log_level": "warning"}
ABOVE = ["registrar", "image", "scheduler", "network", "api"]
GUESTS = 8
NO_SUCH_GUEST = "00000000-0000-4000-8000-000000000000"


@contextlib.asynccontextmanager
async def running(state: Path, **settings: Any) -> AsyncIterator[Cloud]:
    """`freehold up` over a state that may be there already."""
    cloud = Cloud(state, **SETTINGS | settings)
    try:
        await cloud.start()
        yield cloud
    finally:
        if cloud.process is not None:
            await cloud.kill()


@contextlib.asynccontextmanager
async def first_host_alone(state: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`freehold host` for the first host only, in a process that hears nobody."""
    config, log = state.with_suffix(".host.toml"), state.with_suffix(".host.log")
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in (SETTINGS | {"hosts": 1}).items()))
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "freehold", "host", "--state", str(state), "--config", str(config)),
            stdout=out,
            stderr=out,
            cwd=ROOT,
        )

    async def ready() -> bool:
        assert process.returncode is None, log.read_text()
        return "ready host\n" in log.read_text()

    try:
        await until(ready, START_S, log.read_text)
        yield process
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), END_S) == 0


async def typed(cloud: Cloud, *arguments: str) -> tuple[int, str]:
    """The exit code of `freehold guest ...`, and all it said. In this process: there are many."""
    words = ["guest", *arguments, "--state", str(cloud.state)]
    run = functools.partial(CliRunner().invoke, app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})
    answer = await asyncio.to_thread(run)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, answer.output


async def freehold_guest(cloud: Cloud, *arguments: str) -> str:
    """What `freehold guest ...` says, which must go well."""
    code, said = await typed(cloud, *arguments)
    assert code == 0, said
    return said


async def refused(cloud: Cloud, *arguments: str) -> str:
    """What `freehold guest ...` says, which must not go well, and say so in one line."""
    code, said = await typed(cloud, *arguments)
    assert code == 1, said
    assert said.startswith("freehold: ") and said.count("\n") == 1, said
    return said


async def eight_guests(cloud: Cloud) -> list[str]:
    """Guests on both hosts; the second one of each host is stopped. Gives those of the first host."""
    image, network = await cloud.new_image(), await cloud.network()
    guests = [await cloud.created(f"guest-{number}", image, network) for number in range(GUESTS)]
    for guest in guests:
        await cloud.becomes(guest, "ACTIVE")
    first = sorted(guest.id for host, guest in cloud.host_rows(Guest) if host == "0")
    assert len(first) >= 4, first
    assert (await cloud.act(first[1], "os-stop")).status == 202
    await cloud.becomes(first[1], "SHUTOFF")
    return first


async def test_a_host_is_its_own_master(tmp_path: Path) -> None:
    state = tmp_path / "cloud"
    async with running(state, hosts=2) as cloud:
        first = await eight_guests(cloud)
        assert await cloud.stop() == 0
    on, off, restarted, doomed, *_ = first

    async with first_host_alone(state):
        await operate(cloud, on, off, restarted)
        async with running(state, roles=ABOVE) as above:  # nothing goes between this and the host
            assert (await above.call("DELETE", f"/compute/v2.1/servers/{doomed}")).status == 204
            assert await above.stop() == 0
        await freehold_guest(cloud, "stop", doomed, "--grace", "0")
        await freehold_guest(cloud, "start", doomed, "--without-registrar")
    held = {guest.id: guest for guest in cloud.rows("hosts/0", Guest)}
    assert held[doomed].state is GuestState.RUNNING

    async with running(state, hosts=2) as cloud:
        await merged(cloud, on, off, restarted, doomed)
        assert await cloud.stop() == 0
    assert "Traceback" not in cloud.last_lines()


async def operate(cloud: Cloud, on: str, off: str, restarted: str) -> None:
    code, listed = await cloud.command("guest", "list", "--host", "sim-0")
    assert code == 0, listed
    assert all(guest in listed for guest in (on, off, restarted)), listed
    assert "hasn't been heard" in listed and "10.88.0." in listed, listed

    assert "stopped\n" in await freehold_guest(cloud, "stop", on)
    assert "already" in await freehold_guest(cloud, "stop", on)
    assert "--without-registrar" in await refused(cloud, "start", off)
    said = await freehold_guest(cloud, "start", off, "--without-registrar")
    assert said.splitlines()[-1].endswith("running"), said
    assert "already" in await freehold_guest(cloud, "start", off, "--without-registrar")
    said = await freehold_guest(cloud, "reboot", restarted, "--hard", "--without-registrar")
    assert said.splitlines()[-1].endswith("running"), said
    assert (await freehold_guest(cloud, "console", restarted)).count("ready") == 2
    assert "guest list" in await refused(cloud, "start", NO_SUCH_GUEST)
    assert "guest list" in await refused(cloud, "console", "../../0")
    assert "no host named other" in await refused(cloud, "stop", on, "--host", "other")


async def merged(cloud: Cloud, on: str, off: str, restarted: str, doomed: str) -> None:
    """The API shows what was done at the host, and what was deleted is gone from everywhere."""
    await cloud.goes(doomed)
    await cloud.becomes(on, "SHUTOFF")
    await cloud.becomes(off, "ACTIVE")
    await cloud.becomes(restarted, "ACTIVE")
    shown = {server["id"]: server["status"] for server in await cloud.servers()}
    held = {guest.id: guest for _, guest in cloud.host_rows(Guest)}
    assert len(shown) == GUESTS - 1
    states = {GuestState.RUNNING: "ACTIVE", GuestState.STOPPED: "SHUTOFF"}
    assert shown == {guest: states[record.state] for guest, record in held.items()}
    assert not list((cloud.state / "simulated").glob(f"*/guests/{doomed}*"))
    assert (held[off].boot_count, held[restarted].boot_count, held[on].boot_count) == (2, 2, 1)
    assert (await cloud.act(on, "os-start")).status == 202
    await cloud.becomes(on, "ACTIVE")
    for guest, name in ((on, "stop"), (off, "start"), (restarted, "reboot")):
        path = f"/compute/v2.1/servers/{guest}/os-instance-actions"
        local = [action for action in (await cloud.get(path))["instanceActions"] if action["user_id"] == "local:root"]
        assert [(action["action"], action["message"]) for action in local] == [(name, None)], local
        _, told = await cloud.command("story", guest)
        assert "user=local:root" in told, told


@pytest.mark.skipif(os.geteuid() != 0, reason="names the user root")
async def test_nobody_is_there(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "cloud", **SETTINGS)
    assert "start it with `freehold host" in await refused(cloud, "list")
    async with running(tmp_path / "cloud") as cloud:
        await cloud.kill()
    assert (cloud.state / "hosts" / "0.sock").exists()
    assert "start it with `freehold host" in await refused(cloud, "list")
