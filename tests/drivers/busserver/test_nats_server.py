"""A real nats-server as our child."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from freehold.drivers.busserver import nats_server
from freehold.drivers.busserver.interface import CONFIGURATION
from freehold.drivers.busserver.nats_server import NatsServer, program
from freehold.vocabulary.errors import Broken, Unavailable
from freehold.vocabulary.secret import Secret
from tests.nats_server import free_port


def files(port: int, **more: str) -> dict[str, Secret]:
    return {CONFIGURATION: Secret(f'listen: "127.0.0.1:{port}"\n')} | {n: Secret(t) for n, t in more.items()}


def pid_of(server: NatsServer) -> int:
    return int((Path(server.folder) / "pid").read_text())


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_it_takes_connections_when_it_has_started_and_its_files_are_its_own(tmp_path: Path) -> None:
    port, server = free_port(), NatsServer(tmp_path / "broker")
    await server.start(files(port, credentials="secret"))
    assert await listens(port)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "broker").iterdir() if path.name != "pid"} == {0}
    assert (tmp_path / "broker").stat().st_mode & 0o077 == 0
    await server.close()
    assert not await listens(port)


async def test_when_it_falls_that_is_told_and_it_can_be_started_again(tmp_path: Path) -> None:
    port, server = free_port(), NatsServer(tmp_path)
    await server.start(files(port))
    os.kill(pid_of(server), signal.SIGKILL)
    async with asyncio.timeout(10):
        assert "Server is ready" in await server.ended()
    with pytest.raises(Broken, match="has ended"):
        await server.change(files(port))
    await server.start(files(port))
    assert await listens(port)
    await server.close()


async def test_one_that_was_left_is_ended_by_the_next(tmp_path: Path) -> None:
    port = free_port()
    left, following = NatsServer(tmp_path), NatsServer(tmp_path)
    await left.start(files(port))
    first = pid_of(left)
    await following.start(files(port))
    assert await listens(port) and pid_of(following) != first
    async with asyncio.timeout(10):
        await left.ended()
    await following.close()


async def test_a_number_that_is_another_process_by_now_isnt_touched(tmp_path: Path) -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    (tmp_path / "pid").write_text(str(sleeper.pid))
    server = NatsServer(tmp_path)
    await server.start(files(free_port()))
    assert sleeper.returncode is None
    await server.close()
    sleeper.kill()
    await sleeper.wait()


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(Broken, match="address already in use"):
        await NatsServer(tmp_path).start(files(port))
    taken.close()


async def test_one_that_is_too_old_or_no_server_says_so(tmp_path: Path) -> None:
    old = tmp_path / "old"
    for says, wanted in (("nats-server: v2.8.4", "2.9 or newer"), ("hello", "2.9 or newer")):
        old.write_text(f"#!/bin/sh\necho '{says}'\n")
        old.chmod(0o755)
        with pytest.raises(Unavailable, match=wanted):
            await NatsServer(tmp_path / "broker", str(old)).start(files(1))
    with pytest.raises(Unavailable, match="can't be run"):
        await NatsServer(tmp_path / "broker", str(tmp_path / "none")).start(files(1))


def test_where_there_is_none_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nats_server.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Unavailable, match="install it"):
        program()
    here = tmp_path / "nats-server"
    here.write_text("")
    here.chmod(0o755)
    assert program() == str(here)


async def test_who_is_denied_often_fills_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, server = free_port(), NatsServer(tmp_path)
    await server.start({CONFIGURATION: Secret(f'listen: "127.0.0.1:{port}"\nauthorization: {{ token: "t" }}\n')})
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"CONNECT {}\r\n")
        await reader.read(-1)
        writer.close()
    await server.close()
    assert 3 <= capsys.readouterr().out.count("denied somebody") <= 5
