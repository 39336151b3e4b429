"""What tests of this door make and look at."""

from typing import Any

from tests.api.asgi import Client, Reply

V2 = "/network/v2.0"


async def made_network(client: Client, **fields: Any) -> Any:
    reply = await client.post(f"{V2}/networks", {"network": {"name": "blue", **fields}})
    assert reply.status == 201, reply.body
    return reply.json["network"]


async def made_subnet(client: Client, network: str, cidr: str = "10.0.0.0/24", **fields: Any) -> Reply:
    body = {"network_id": network, "cidr": cidr, "ip_version": 4, **fields}
    return await client.post(f"{V2}/subnets", {"subnet": body})


async def made_port(client: Client, network: str, **fields: Any) -> Reply:
    return await client.post(f"{V2}/ports", {"port": {"network_id": network, **fields}})


async def names_of(client: Client, collection: str, query: str = "") -> list[str]:
    found = (await client.get(f"{V2}/{collection}{query}")).json[collection.replace("-", "_")]
    return [row["name"] for row in found]
