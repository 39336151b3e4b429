"""What tests of this door make and look at."""

from typing import Any

from tests.api.asgi import Client, Reply

V2 = "/image/v2"
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch"}
BYTES = {"content-type": "application/octet-stream"}
RAW = bytes(range(256)) * 4096


async def made_image(client: Client, **fields: Any) -> Any:
    document = {"name": "tiny", "disk_format": "raw", "container_format": "bare", **fields}
    reply = await client.post(f"{V2}/images", document)
    assert reply.status == 201, reply.body
    return reply.json


async def patched(client: Client, image: str, *operations: Any) -> Reply:
    return await client.ask("PATCH", f"{V2}/images/{image}", list(operations), PATCH)


async def uploaded(client: Client, image: str, content: bytes = RAW) -> Reply:
    return await client.ask("PUT", f"{V2}/images/{image}/file", content, BYTES)


async def names_of(client: Client, query: str = "") -> list[str]:
    return [image["name"] for image in (await client.get(f"{V2}/images{query}")).json["images"]]
