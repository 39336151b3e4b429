"""Network workers, as Neutron's agents and availability zones; and what isn't offered yet."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.faults import HttpRefusal
from freehold.api.reading import not_found
from freehold.views.interface import OwnerSeen
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.units import clock_time, iso_seconds, unix_ms


def _workers(call: Call) -> list[OwnerSeen]:
    return [seen for seen in call.cloud.view.owners() if seen.owner.role == "network"]


def _agent(call: Call, seen: OwnerSeen) -> dict[str, Any]:
    heard = iso_seconds(clock_time(unix_ms(call.cloud.clock.now()) - round(seen.silent_s * 1000)))
    return {
        "id": seen.owner.store,
        "agent_type": "Network worker",
        "binary": "freehold-network",
        "topic": "N/A",
        "host": seen.name,
        "availability_zone": seen.owner.cluster,
        "admin_state_up": True,
        "alive": seen.is_heard,
        "heartbeat_timestamp": heard,
        "configurations": {},
        "description": "",
    }


async def agents(call: Call) -> Answer:
    """GET /agents."""
    return Answer(body={"agents": [_agent(call, seen) for seen in _workers(call)]})


async def agent(call: Call) -> Answer:
    """GET /agents/{agent_id}."""
    for seen in _workers(call):
        if seen.owner.store == call.params["agent_id"]:
            return Answer(body={"agent": _agent(call, seen)})
    raise NotFound(not_found("Agent", call.params["agent_id"]))


async def zones(call: Call) -> Answer:
    """GET /availability_zones: one for each cluster."""
    clusters = dict.fromkeys(seen.owner.cluster for seen in _workers(call))
    rows = [{"name": cluster, "resource": "network", "state": "available"} for cluster in clusters]
    return Answer(body={"availability_zones": rows})


async def nothing(call: Call) -> Answer:
    """GET of a collection that isn't offered: it is empty."""
    return Answer(body={call.path.rsplit("/", 1)[-1]: []})


async def not_there(call: Call) -> Answer:
    """Anything about one thing of such a collection."""
    raise NotFound(not_found("It", call.params["id"]))


async def refuse(call: Call) -> Answer:
    """POST to such a collection."""
    noun = call.path.rsplit("/", 1)[-1]
    raise HttpRefusal(
        400, f"{noun} aren't offered by this release: guests are reached on networks with a route to them."
    )
