"""Boots guests through the API and by a bare QEMU command line in turn, and tells what each took until its answer.

One boot says little: boots of the same image swing by a fifth. So each way boots a few times, in turn, and the medians
are compared. The last guest of the cloud stays. FREEHOLD_DEMO_ROUNDS: how many times, for who wants a steadier figure.

demo_guest.py STATE IMAGE
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.drivers.hypervisor.qemu_command import SPARE_PORTS, accelerator_arguments, pluggable_ports

GUEST_DEADLINE_S = 120.0
POLL_S = 0.04
PROBE_S = 0.1
PROBE_ENDS_S = 0.4
"""Few are under way at once: those that wait for the guest's address all reach it in its busiest moment."""
FLAVOR = "1"
ROUNDS = int(os.environ.get("FREEHOLD_DEMO_ROUNDS", "5"))
GREETING = "hello from "


def say(line: str) -> None:
    print(f"demo: {line}", flush=True)


async def answered(session: aiohttp.ClientSession, url: str, deadline: float) -> str:
    """The HTTP answer of a guest, asked for every `PROBE_S` without waiting for the question before.

    A question that comes before the guest has its address hangs until it is given up; waiting for it would round the
    time that is measured up to whole seconds.
    """
    asked: set[asyncio.Task[str]] = set()
    try:
        while time.monotonic() < deadline:
            asked.add(asyncio.create_task(greeting(session, url)))
            done, asked = await asyncio.wait(asked, timeout=PROBE_S, return_when=asyncio.FIRST_COMPLETED)
            for text in filter(None, (task.result() for task in done)):
                return text
            await asyncio.sleep(PROBE_S if done else 0)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    raise SystemExit(f"demo: {url} didn't answer within {GUEST_DEADLINE_S:g} s")


async def greeting(session: aiohttp.ClientSession, url: str) -> str:
    """The guest's greeting, or nothing. Anything else that answers there isn't the guest."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=PROBE_ENDS_S)) as answer:
            text = (await answer.text()).strip()
            return text if text.startswith(GREETING) else ""
    except (aiohttp.ClientError, TimeoutError):
        return ""  # nobody there yet


class Booted(NamedTuple):
    """A guest made through the API. Seconds count from the POST."""

    guest: str
    address: str
    text: str
    started_s: float
    """Until the cloud's own part was done: the guest is ACTIVE, its first instruction has run."""
    answered_s: float


async def by_the_cloud(client: Client, session: aiohttp.ClientSession) -> Booted:
    """Boots a guest through the API and waits for its HTTP answer."""
    images = (await client.get("/image/v2/images?name=demo"))["images"]
    networks = (await client.get("/network/v2.0/networks?name=default"))["networks"]
    await allowed(client)
    body = {"name": "demo", "imageRef": images[0]["id"], "flavorRef": FLAVOR, "networks": [{"uuid": networks[0]["id"]}]}
    began = time.monotonic()
    guest = (await client.post("/compute/v2.1/servers", {"server": body}))["server"]["id"]
    address = await started(client, guest, began + GUEST_DEADLINE_S)
    started_s = time.monotonic() - began
    text = await answered(session, f"http://{address}/", began + GUEST_DEADLINE_S)
    return Booted(guest, address, text, started_s, time.monotonic() - began)


async def gone(client: Client, guest: str) -> None:
    """Deletes the guest and waits until nothing of it is left."""
    await client.delete(f"/compute/v2.1/servers/{guest}")
    deadline = time.monotonic() + GUEST_DEADLINE_S
    while any(row["id"] == guest for row in (await client.get("/compute/v2.1/servers"))["servers"]):
        if time.monotonic() > deadline:
            raise SystemExit(f"demo: guest {guest} wasn't deleted within {GUEST_DEADLINE_S:g} s")
        await asyncio.sleep(POLL_S)


async def allowed(client: Client) -> None:
    """Opens ping, HTTP and ssh in the project's default security group, which lets nothing in from outside."""
    groups = (await client.get("/network/v2.0/security-groups?name=default"))["security_groups"]
    group = groups[0]
    for protocol, port in (("icmp", None), ("tcp", 80), ("tcp", 22)):
        if any(
            (rule["protocol"], rule["port_range_min"]) == (protocol, port) for rule in group["security_group_rules"]
        ):
            continue
        rule: dict[str, Any] = {"security_group_id": group["id"], "direction": "ingress", "protocol": protocol}
        if port is not None:
            rule |= {"port_range_min": port, "port_range_max": port}
        await client.post("/network/v2.0/security-group-rules", {"security_group_rule": rule})


async def started(client: Client, guest: str, deadline: float) -> str:
    """The guest's address, once the guest is ACTIVE."""
    while time.monotonic() < deadline:
        server = (await client.get(f"/compute/v2.1/servers/{guest}"))["server"]
        if server["status"] == "ERROR":
            raise SystemExit(f"demo: the guest couldn't be built: {server['fault']['message']}")
        if server["status"] == "ACTIVE":
            return str(next(row["addr"] for rows in server["addresses"].values() for row in rows))
        await asyncio.sleep(POLL_S)
    raise SystemExit(f"demo: the guest wasn't ACTIVE within {GUEST_DEADLINE_S:g} s")


def bare_command(accelerator: str, folder: str, disk: Path, port: int) -> list[str]:
    """What a person would type to boot the image on the hardware that the cloud's guest has: what is compared is the
    cloud, and not a machine with more in it.
    """
    forward = f"user,id=n0,hostname=bare,hostfwd=tcp:127.0.0.1:{port}-:80"
    return [
        *("qemu-system-x86_64", "-machine", "q35", *accelerator_arguments(accelerator), "-m", "128", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{folder}/console.log"),
        *(
            "-drive",
            f"file={disk},if=virtio,format=qcow2",
            "-device",
            "virtio-rng-pci",
            "-device",
            "virtio-balloon-pci",
        ),
        *pluggable_ports(1 + SPARE_PORTS),
        *("-netdev", forward, "-device", "virtio-net-pci,netdev=n0,bus=port0,romfile="),
    ]


async def by_hand(client: Client, session: aiohttp.ClientSession, image: str) -> float:
    """Boots the same image by a bare QEMU command line, same machine and accelerator: seconds to its HTTP answer."""
    accelerator = (await client.get("/freehold/v1/hosts"))["hosts"][0]["accelerator"]
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        disk = Path(folder) / "disk.qcow2"
        make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", str(disk), "1G"]
        subprocess.run(make, check=True)
        began = time.monotonic()
        qemu = subprocess.Popen(bare_command(accelerator, folder, disk, port), start_new_session=True)
        try:
            await answered(session, f"http://127.0.0.1:{port}/", began + GUEST_DEADLINE_S)
            return time.monotonic() - began
        finally:
            qemu.kill()
            qemu.wait()


def openstack(state: Path, *words: str) -> None:
    """Runs the `openstack` command as the admin of the demo."""
    environment = os.environ | {"OS_CLIENT_CONFIG_FILE": str(state / "clouds.yaml"), "OS_CLOUD": "freehold"}
    program = Path(sys.executable).with_name("openstack")
    print(f"$ openstack {' '.join(words)}", flush=True)
    subprocess.run([str(program), *words], env=environment, check=True)


async def main(state: Path, image: str) -> None:
    async with Client(read_admin(state)) as client, aiohttp.ClientSession() as session:
        boots: list[Booted] = []
        bare: list[float] = []
        for number in range(1, ROUNDS + 1):
            if boots:
                await gone(client, boots[-1].guest)
            bare.append(await by_hand(client, session, image))
            say(f"round {number} of {ROUNDS}: a bare QEMU command line answered after {bare[-1]:.2f} s")
            boots.append(await by_the_cloud(client, session))
            took = boots[-1].answered_s
            say(f"round {number} of {ROUNDS}: a guest made through the API answered {took:.2f} s after the POST")
    guest, address, text = boots[-1][:3]
    say(f"guest {guest} has address {address}")
    say(f"its answer over HTTP: {text}")
    ping = subprocess.run(["ping", "-c", "1", "-W", "5", address], capture_output=True, text=True, check=False)
    say(f"its answer to a ping: {'yes' if ping.returncode == 0 else 'none'}")
    openstack(state, "console", "log", "show", "--lines", "8", guest)
    openstack(state, "server", "list")
    cloud, alone = statistics.median(boot.answered_s for boot in boots), statistics.median(bare)
    own = statistics.median(boot.started_s for boot in boots)
    say(f"medians: POST to HTTP answer {cloud:.2f} s; bare QEMU {alone:.2f} s; ratio {cloud / alone:.2f}")
    say(f"of that, from the POST until the guest ran (all that the control plane does): {own:.2f} s")
    say(f"use it: export OS_CLIENT_CONFIG_FILE={state}/clouds.yaml OS_CLOUD=freehold")
    say(f"look into it: .venv/bin/freehold status --state {state}; .venv/bin/freehold story {guest} --state {state}")
    say("stop it: make demo-stop")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
