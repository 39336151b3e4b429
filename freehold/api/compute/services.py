"""Services: each host's worker, which is what Nova calls ``nova-compute``."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.host_view import Machine, machines
from freehold.api.compute.microversion import Version
from freehold.vocabulary.units import iso_micros

BINARY: Final = "nova-compute"


def short_id(host: str) -> int:
    """A number for a host, for the versions that have no UUIDs for them. The first 31 bits of its id."""
    return int(host.replace("-", "")[:8], 16) >> 1


async def index(call: Call) -> Answer:
    """GET /os-services."""
    host, binary, version = call.query.one("host"), call.query.one("binary"), mv.of(call)
    rows = [
        _shown(machine, version)
        for machine in await machines(call)
        if host in (None, machine.host.name) and binary in (None, BINARY)
    ]
    return Answer(body={"services": rows})


def _shown(machine: Machine, version: Version) -> dict[str, Any]:
    host = machine.host
    return {
        "id": host.id if version >= mv.UUID_FOR_HYPERVISORS else short_id(host.id),
        "binary": BINARY,
        "host": host.name,
        "zone": host.cluster,
        "status": machine.status,
        "state": machine.state,
        "updated_at": iso_micros(machine.heard),
        "disabled_reason": None,
        **({"forced_down": False} if version >= mv.SERVICE_FORCED_DOWN else {}),
    }
