"""Addresses of a server, by network."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute.server_view import addresses
from freehold.api.compute.servers import server_of
from freehold.vocabulary.errors import NotFound


async def _addresses(call: Call) -> dict[str, list[dict[str, Any]]]:
    every = addresses(call, await server_of(call))
    return {network: [{"version": a["version"], "addr": a["addr"]} for a in rows] for network, rows in every.items()}


async def index(call: Call) -> Answer:
    """GET /servers/{id}/ips."""
    return Answer(body={"addresses": await _addresses(call)})


async def show(call: Call) -> Answer:
    """GET /servers/{id}/ips/{network}: those on the network of that name."""
    network, found = call.params["network"], await _addresses(call)
    if network not in found:
        raise NotFound("Network name not found")
    return Answer(body={network: found[network]})
