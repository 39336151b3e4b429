"""Volumes with real guests: one boots from a volume; another writes on one, which is kept, extended and given away.

demo_volumes.py STATE IMAGE
"""

import asyncio
import base64
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from demo_guest import FLAVOR, GUEST_DEADLINE_S, allowed, answered, gone, openstack, started

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin

COMPUTE, VOLUME = "/compute/v2.1", "/volume/v3"
WORDS = "written-by-the-first-guest"
DEADLINE_S = 120.0
POLL_S = 0.1
DOORS = """#!/bin/sh
# Small doors on the guest's web server, by which its disk /dev/vdb is written and read.
mkdir -p /var/www/cgi-bin
cd /var/www/cgi-bin
printf '#!/bin/sh\\necho; echo\\necho "$QUERY_STRING" | dd of=/dev/vdb bs=512 conv=sync,fsync 2>&1\\n' >write
printf '#!/bin/sh\\necho; echo\\ndd if=/dev/vdb bs=512 count=1 2>/dev/null | tr -d "\\\\0"\\n' >read
printf '#!/bin/sh\\necho; echo\\ncat /sys/block/$QUERY_STRING/size 2>&1\\n' >size
printf '#!/bin/sh\\necho; echo\\ncat /sys/block/$QUERY_STRING/serial 2>&1\\n' >serial
chmod +x write read size serial
"""

T = TypeVar("T")


def say(line: str) -> None:
    print(f"demo-volumes: {line}", flush=True)


async def until(what: str, look: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """What `look` gives once it `holds`."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds(seen := await look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"demo-volumes: {what} within {DEADLINE_S:g} s; it is {seen!r}")
        await asyncio.sleep(POLL_S)
    return seen


class Demo:
    """What is done through the API, and asked of guests over HTTP."""

    def __init__(self, client: Client, session: aiohttp.ClientSession) -> None:
        self._client, self._session = client, session
        self.image = self.network = ""

    async def begin(self) -> None:
        self.image = (await self._client.get("/image/v2/images?name=demo"))["images"][0]["id"]
        self.network = (await self._client.get("/network/v2.0/networks?name=default"))["networks"][0]["id"]
        await allowed(self._client)

    async def guest(self, name: str, **more: Any) -> tuple[str, str]:
        """A guest that answers, and its address."""
        body = {"name": name, "flavorRef": FLAVOR, "networks": [{"uuid": self.network}], "imageRef": self.image}
        body["user_data"] = base64.b64encode(DOORS.encode()).decode()
        made = await self._client.post(f"{COMPUTE}/servers", {"server": body | more})
        guest, deadline = str(made["server"]["id"]), time.monotonic() + GUEST_DEADLINE_S
        address = await started(self._client, guest, deadline)
        await answered(self._session, f"http://{address}/", deadline)
        await until(f"guest {name} has no doors", lambda: self.door(address, "size?vda"), lambda text: text.isdecimal())
        return guest, address

    async def door(self, address: str, path: str) -> str:
        """What a guest says; empty if nobody answers there."""
        try:
            async with self._session.get(f"http://{address}/cgi-bin/{path}") as answer:
                return (await answer.text()).strip() if answer.status == 200 else ""
        except aiohttp.ClientError:
            return ""

    async def volume(self, name: str, **more: Any) -> str:
        """A volume that is available."""
        made = await self._client.post(f"{VOLUME}/volumes", {"volume": {"name": name, "size": 1} | more})
        await self.becomes(str(made["volume"]["id"]), "available")
        return str(made["volume"]["id"])

    async def becomes(self, volume: str, status: str, noun: str = "volume") -> None:
        async def look() -> str:
            return str((await self._client.get(f"{VOLUME}/{noun}s/{volume}"))[noun]["status"])

        await until(f"{noun} {volume} isn't {status}", look, lambda seen: seen == status)

    async def attach(self, guest: str, address: str, volume: str) -> None:
        body = {"volumeAttachment": {"volumeId": volume}}
        await self._client.post(f"{COMPUTE}/servers/{guest}/os-volume_attachments", body)
        await self.becomes(volume, "in-use")
        await self.sees(address, "serial?vdb", volume[:20])

    async def detach(self, guest: str, volume: str) -> None:
        await self._client.delete(f"{COMPUTE}/servers/{guest}/os-volume_attachments/{volume}")
        await self.becomes(volume, "available")

    async def sees(self, address: str, path: str, wanted: str) -> None:
        await until(f"a guest doesn't see {wanted}", lambda: self.door(address, path), lambda seen: seen == wanted)

    async def snapshot(self, volume: str) -> str:
        body = {"snapshot": {"name": "demo", "volume_id": volume, "force": True}}
        made = await self._client.post(f"{VOLUME}/snapshots", body)
        await self.becomes(str(made["snapshot"]["id"]), "available", "snapshot")
        return str(made["snapshot"]["id"])

    async def clean(self, guests: list[str], snapshots: list[str], volumes: list[str]) -> None:
        """Nothing stays of it."""
        for guest in guests:
            await gone(self._client, guest)
        for noun, ids in (("snapshot", snapshots), ("volume", volumes)):
            for identifier in ids:
                await self._client.delete(f"{VOLUME}/{noun}s/{identifier}")
                await self.vanishes(noun, identifier)

    async def vanishes(self, noun: str, identifier: str) -> None:
        await until(f"{noun} {identifier} isn't gone", lambda: self.ids(noun), lambda ids: identifier not in ids)

    async def ids(self, noun: str) -> list[str]:
        return [one["id"] for one in (await self._client.get(f"{VOLUME}/{noun}s"))[f"{noun}s"]]


async def play(demo: Demo, state: Path) -> None:
    await demo.begin()
    devices = [{"boot_index": 0, "source_type": "image", "destination_type": "volume", "uuid": demo.image}]
    devices[0] |= {"volume_size": 1, "delete_on_termination": True}
    booted, address = await demo.guest("demo-root", imageRef="", block_device_mapping_v2=devices)
    root = await demo.door(address, "serial?vda")
    say(f"guest {booted} has booted from volume {root}…, which was made of the image, and answers at {address}")

    first, first_at = await demo.guest("demo-first")
    volume = await demo.volume("demo")
    await demo.attach(first, first_at, volume)
    say(f"guest {first} sees volume {volume} as /dev/vdb")
    await demo.door(first_at, f"write?{WORDS}")
    await demo.sees(first_at, "read", WORDS)
    snapshot = await demo.snapshot(volume)
    await demo.door(first_at, "write?something-else")
    say(f"it wrote {WORDS!r} on it, a snapshot was taken, and it wrote something else")

    copy = await demo.volume("demo-copy", snapshot_id=snapshot)
    await demo.attach(booted, address, copy)
    await demo.sees(address, "read", WORDS)
    say("a new volume of that snapshot, given to the other guest, has the words")

    openstack(state, "--os-volume-api-version", "3.42", "volume", "set", "--size", "2", volume)
    await demo.sees(first_at, "size?vdb", str(2 * 1024 * 1024 * 2))
    say("the first volume was extended to 2 GiB, which its guest sees")

    await demo.detach(booted, copy)
    await demo.detach(first, volume)
    await demo.attach(booted, address, volume)
    await demo.sees(address, "read", "something-else")
    say("taken from the first guest and given to the other one, it has the bytes")
    openstack(state, "volume", "list")
    openstack(state, "server", "volume", "list", booted)
    await demo.clean([booted, first], [snapshot], [copy, volume])
    say("all of it was deleted again; make demo-stop ends the cloud")


async def main(state: Path) -> None:
    async with Client(read_admin(state)) as client, aiohttp.ClientSession() as session:
        await play(Demo(client, session), state)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
