"""A cloud of many machines from nothing: a control machine, a host that is let in and shut out, a bus nobody trusts."""

import time
from pathlib import Path

import pytest

from tests.nats_server import free_port, nats_server
from tests.scenarios.cloud import Cloud, until
from tests.scenarios.test_processes import a_network

CONTROL = ["directory", "registrar", "image", "scheduler", "network", "api"]


@pytest.mark.timeout(300)
async def test_a_host_is_let_in_builds_and_is_shut_out(tmp_path: Path) -> None:
    async with nats_server() as server:
        given = {"bus": server.url, "log_level": "warning", "hypervisor": "simulated"}
        control = Cloud(tmp_path / "control", roles=CONTROL, **given)
        host, stranger = (Cloud(tmp_path / name, "host", **given) for name in ("host", "stranger"))
        try:
            await control.start()
            assert "signed" in control.log.read_text()
            invitation = await said(control, "machine", "invite", "h1")
            taken = ("--from", control.url, "--invitation", invitation, "--config", str(tmp_path / "host.toml"))
            assert "this machine is h1" in await said(host, "enroll", *taken)
            code, error = await stranger.command("enroll", *taken)
            assert code == 1 and "was used by another machine" in error
            await host.start()
            await stranger.start()  # without a passport: nobody hears it
            image, network = await control.new_image(), await a_network(control)
            guest = await control.created("first", image, network)
            await control.becomes(guest, "ACTIVE")
            assert (await control.get("/freehold/v1/hosts"))["hosts"][0]["state"] == "heard"
            assert len((await control.get("/freehold/v1/hosts"))["hosts"]) == 1

            assert "shut out" in await said(control, "machine", "bar", "h1")
            late = await control.created("second", image, network)

            async def refused() -> bool:
                return "reason=barred" in control.log.read_text()

            await until(refused, 5, control.last_lines)
            assert (await control.server(late))["status"] == "BUILD"
            assert (await control.server(guest))["status"] == "ACTIVE", "what was last known of it"
            assert await host.stop() == 0 and await stranger.stop() == 0 and await control.stop() == 0
        finally:
            for one in (control, host, stranger):
                if one.process is not None:
                    await one.kill()


@pytest.mark.timeout(300)
async def test_the_broker_lets_in_who_was_let_in_and_cuts_off_who_is_shut_out(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    given = {"bus": f"nats://{at}", "log_level": "info", "hypervisor": "simulated"}
    control = Cloud(tmp_path / "control", roles=["broker", *CONTROL], broker_listen=at, **given)
    host, stranger = (Cloud(tmp_path / name, "host", **given) for name in ("host", "stranger"))
    try:
        await control.start()
        invitation = await said(control, "machine", "invite", "h1")
        taken = ("--from", control.url, "--invitation", invitation, "--config", str(tmp_path / "host.toml"))
        await said(host, "enroll", *taken)
        await host.start()
        await stranger.start()
        assert "no connection to" in stranger.log.read_text() and "Authorization Violation" in stranger.log.read_text()
        image, network = await control.new_image(), await control.network()
        guest = await control.created("first", image, network)
        await control.becomes(guest, "ACTIVE")

        await said(control, "revoke", "h1")
        began = time.monotonic()
        await until(lambda: logged(host, "the connection to the bus has ended"), 5, host.last_lines)
        await until(lambda: logged(host, "Authorization Violation"), 10, host.last_lines)
        print(f"cut off, and turned away, {time.monotonic() - began:.2f} s after it was shut out")
        assert (await control.server(guest))["status"] == "ACTIVE", "what was last known of it"
        code, text = await host.command("guest", "stop", guest)
        assert code == 0, f"its operator is still master of it: {text}"

        await control.kill()
        await control.start()
        assert host.log.read_text().count("connected to the bus") == 1, "the broker remembers"
        assert await host.stop() == 0 and await stranger.stop() == 0 and await control.stop() == 0
    finally:
        for one in (control, host, stranger):
            if one.process is not None:
                await one.kill()


async def logged(cloud: Cloud, words: str) -> bool:
    return words in cloud.log.read_text()


async def said(cloud: Cloud, *command: str) -> str:
    code, text = await cloud.command(*command)
    assert code == 0, text
    return text.strip()


@pytest.mark.timeout(300)
async def test_a_host_that_is_retired_is_shut_out_and_does_not_come_back(tmp_path: Path) -> None:
    async with nats_server() as server:
        given = {"bus": server.url, "log_level": "warning", "hypervisor": "simulated"}
        control = Cloud(tmp_path / "control", roles=CONTROL, **given)
        host = Cloud(tmp_path / "host", "host", **given)
        try:
            await control.start()
            taken = ("--from", control.url, "--invitation", await said(control, "machine", "invite", "h1"))
            await said(host, "enroll", *taken, "--config", str(tmp_path / "host.toml"))
            await host.start()
            guest = await control.created("first", await control.new_image(), await a_network(control))
            await control.becomes(guest, "ACTIVE")
            (name,) = [one["name"] for one in (await control.get("/freehold/v1/hosts"))["hosts"]]

            assert "is drained (fans)" in await said(host, "host", "drain", "--here", "--reason", "fans")
            code, why = await control.command("host", "retire", name)
            assert code == 1 and "1 guest is deeded to host" in why
            await control.well("DELETE", f"/compute/v2.1/servers/{guest}")
            await control.goes(guest)
            assert "its machine is shut out" in await said(control, "host", "retire", name)
            assert (await control.get("/freehold/v1/hosts"))["hosts"] == []
            assert await host.stop() == 0
            await host.start()

            async def refused() -> bool:
                return "reason=barred" in control.log.read_text()

            await until(refused, 20, control.last_lines)
            owners = (await control.get("/freehold/v1/owners"))["owners"]
            assert not [owner for owner in owners if owner["role"] == "host"]
            assert (await control.get("/freehold/v1/hosts"))["hosts"] == []
            assert await host.stop() == 0 and await control.stop() == 0
        finally:
            for one in (control, host):
                if one.process is not None:
                    await one.kill()
