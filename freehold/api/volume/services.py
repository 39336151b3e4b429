"""Services: the volume workers, which Cinder calls ``cinder-volume``; and the zones that they are in."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.microversions import Version
from freehold.api.volume import microversion as mv
from freehold.api.volume.pools import Backend, backends, service
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.units import iso_micros

BINARY: Final = "cinder-volume"


async def index(call: Call) -> Answer:
    """GET /os-services."""
    host = call.query.one("host")
    binary = call.query.one("binary") or call.query.one("service")
    rows = [
        _shown(one, mv.of(call))
        for one in await backends(call)
        if host in (None, service(one.pool), one.pool.name) and binary in (None, BINARY)
    ]
    return Answer(body={"services": rows})


def _shown(one: Backend, version: Version) -> dict[str, Any]:
    return {
        "binary": BINARY,
        "host": service(one.pool),
        "zone": one.pool.cluster,
        "status": "disabled" if one.pool.closed else "enabled",
        "state": "up" if one.up else "down",
        "updated_at": iso_micros(one.heard),
        "disabled_reason": None,
        "replication_status": "disabled",
        "active_backend_id": None,
        "frozen": False,
        **({"cluster": None} if version >= mv.SERVICE_CLUSTER else {}),
        **({"backend_state": "up" if one.up else "down"} if version >= mv.BACKEND_STATE else {}),
    }


async def update(call: Call) -> Answer:
    """PUT /os-services/{verb}."""
    verb = call.params["verb"][:64]
    raise BadRequest(f"'{verb}' isn't offered by this cloud: a volume worker itself says whether it takes volumes.")


async def zones(call: Call) -> Answer:
    """GET /os-availability-zone: the clusters that have pools."""
    found: dict[str, bool] = {}
    for one in await backends(call):
        found[one.pool.cluster] = found.get(one.pool.cluster, False) or (one.up and not one.pool.closed)
    rows = [{"zoneName": name, "zoneState": {"available": found[name]}} for name in sorted(found)]
    return Answer(body={"availabilityZoneInfo": rows})
