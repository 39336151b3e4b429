"""What a new cloud is given, through the API that everybody uses: a network that this machine reaches, and a public
image.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

from freehold.cli.client import Client
from freehold.cli.credentials import Admin
from freehold.config import Settings
from freehold.vocabulary.errors import Unavailable

QCOW2_MAGIC: Final = b"QFI\xfb"
TRIES: Final = 60
PAUSE_S: Final = 1.0
_LISTS: Final = {"network": "/network/v2.0/networks", "image": "/image/v2/images"}


async def furnish(admin: Admin, settings: Settings, say: Callable[[str], None]) -> None:
    """Makes the network ``default`` and, where there is an image file, the image ``demo``: each where this process has
    the worker for it, for others may not be there yet.
    """
    async with await _signed_in(admin, [_LISTS[role] for role in _LISTS if role in settings.roles]) as client:
        if "network" in settings.roles:
            await _network(client, settings.network_cidr)
            say(f"network: default, {settings.network_cidr}")
        file = settings.demo_image or cached_demo_image()
        if "image" in settings.roles and await asyncio.to_thread(file.is_file):
            await _image(client, file)
            say(f"image: demo, from {file}")


async def _signed_in(admin: Admin, lists: list[str]) -> Client:
    """A client, once the cloud answers for these: thousands of hosts that have just come keep its owners busy for a
    while. Raises Unavailable.
    """
    for left in range(TRIES - 1, -1, -1):
        try:
            async with Client(admin) as client:
                for path in lists:
                    await client.get(path)
            break
        except Unavailable:
            if not left:
                raise
            await asyncio.sleep(PAUSE_S)
    return Client(admin)


def cached_demo_image() -> Path:
    """Where `make image` leaves the demo image."""
    cache = os.environ.get("FREEHOLD_CACHE", "")
    return (Path(cache) if cache else Path.home() / ".cache" / "freehold") / "demo.qcow2"


async def _network(client: Client, cidr: str) -> None:
    network = {"name": "default", "shared": True, "description": "Its hosts reach it by address"}
    flat = {"provider:network_type": "flat"}
    made = await client.post("/network/v2.0/networks", {"network": network | flat})
    subnet = {"name": "default", "network_id": made["network"]["id"], "cidr": cidr, "ip_version": 4}
    await client.post("/network/v2.0/subnets", {"subnet": subnet})


async def _image(client: Client, file: Path) -> None:
    with file.open("rb") as opened:
        disk_format = "qcow2" if opened.read(4) == QCOW2_MAGIC else "raw"
        opened.seek(0)
        record: dict[str, Any] = {"name": "demo", "visibility": "public", "disk_format": disk_format}
        made = await client.post("/image/v2/images", record | {"container_format": "bare"})
        await client.put(f"/image/v2/images/{made['id']}/file", aiohttp.BufferedReaderPayload(opened))
