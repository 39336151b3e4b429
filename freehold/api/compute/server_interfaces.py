"""Interfaces of a server, for reading: its ports."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.server_view import ports_of
from freehold.api.compute.servers import server_of
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.network import Port


def _shown(port: Port, version: Version) -> dict[str, Any]:
    return {
        "port_id": port.id,
        "net_id": port.network,
        "mac_addr": port.mac,
        "port_state": "ACTIVE" if port.active else "DOWN",
        "fixed_ips": [{"subnet_id": a.subnet, "ip_address": a.address} for a in port.addresses],
        **({"tag": None} if version >= mv.INTERFACE_TAG else {}),
    }


async def index(call: Call) -> Answer:
    """GET /servers/{id}/os-interface."""
    ports = ports_of(call, await server_of(call))
    return Answer(body={"interfaceAttachments": [_shown(port, mv.of(call)) for port in ports]})


async def show(call: Call) -> Answer:
    """GET /servers/{id}/os-interface/{port_id}."""
    server, key = await server_of(call), call.params["port_id"]
    for port in ports_of(call, server):
        if port.id == key:
            return Answer(body={"interfaceAttachment": _shown(port, mv.of(call))})
    raise NotFound(f"Instance {server.admission.guest} does not have port {key[:64]}")
