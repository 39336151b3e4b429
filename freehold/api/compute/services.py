"""Services: each host's worker, which is what Nova calls ``nova-compute``."""

from dataclasses import replace
from typing import Any, Final

from msgspec import UNSET

from freehold.api import fences, host_orders
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.host_view import Machine, machines
from freehold.api.compute.microversion import Version
from freehold.api.compute.wire.services import ServiceForcedDown, ServiceIn, ServiceNamed
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.ids import is_uuid
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
        "disabled_reason": host.disabled_reason or None,
        **({"forced_down": machine.fenced} if version >= mv.SERVICE_FORCED_DOWN else {}),
    }


async def update(call: Call) -> Answer:
    """PUT /os-services/{id}; until 2.52 PUT /os-services/enable and its like, which name the host in the body."""
    version = mv.of(call)
    if version < mv.UUID_FOR_HYPERVISORS:
        return await _update_by_name(call, call.params["service_id"])
    machine, wanted = await _one(call), call.read(ServiceIn)
    if wanted.forced_down is not UNSET:
        machine = await _forced_down(call, machine, down=wanted.forced_down)
        if wanted.status is UNSET and wanted.disabled_reason is UNSET:
            return Answer(body={"service": _shown(machine, version)})
    if wanted.status is UNSET:
        raise BadRequest(
            "Specifying disabled_reason requires that status is 'disabled'."
            if wanted.disabled_reason is not UNSET
            else "No updates were requested. Fields 'status' or 'disabled_reason' should be specified."
        )
    if wanted.status == "enabled" and wanted.disabled_reason is not UNSET:
        raise BadRequest("Specifying disabled_reason requires that status is 'disabled'.")
    reason = "" if wanted.disabled_reason is UNSET else wanted.disabled_reason
    after = await _ordered(call, machine, enable=wanted.status == "enabled", reason=reason)
    return Answer(body={"service": _shown(after, version)})


async def _forced_down(call: Call, machine: Machine, *, down: bool) -> Machine:
    """An agent says that the host's machine is off, or isn't any more: it is fenced, or let in again."""
    host = machine.host
    if down:
        await fences.fence(call, host, "forced_down was set by the compute API", force=False)
    elif await fences.sure_fences(call, host.id):
        await fences.unfence(call, host)
    return replace(machine, up=machine.up and not down, fenced=down)


async def _force_down_by_name(call: Call) -> Answer:
    wanted = call.read(ServiceForcedDown)
    machine = await _named(call, wanted.host, wanted.binary)
    await _forced_down(call, machine, down=wanted.forced_down)
    body = {"host": wanted.host, "binary": BINARY, "forced_down": wanted.forced_down}
    return Answer(body={"service": body})


async def _named(call: Call, host: str, binary: str) -> Machine:
    known = {machine.host.name: machine for machine in await machines(call)}
    if binary != BINARY or host not in known:
        raise NotFound(f"Host '{host}' has no service '{binary}'.")
    return known[host]


async def _update_by_name(call: Call, verb: str) -> Answer:
    if verb == "force-down" and mv.of(call) >= mv.SERVICE_FORCED_DOWN:
        return await _force_down_by_name(call)
    if verb not in ("enable", "disable", "disable-log-reason"):
        raise NotFound("The resource could not be found.")
    wanted = call.read(ServiceNamed)
    given = wanted.disabled_reason is not UNSET
    if given is not (verb == "disable-log-reason"):
        raise BadRequest("Missing disabled reason field" if not given else "disabled_reason is for disable-log-reason")
    machine = await _named(call, wanted.host, wanted.binary)
    reason = "" if wanted.disabled_reason is UNSET else wanted.disabled_reason
    after = await _ordered(call, machine, enable=verb == "enable", reason=reason)
    body = {"host": after.host.name, "binary": BINARY, "status": after.status}
    return Answer(body={"service": body | ({"disabled_reason": reason} if given else {})})


async def _ordered(call: Call, machine: Machine, *, enable: bool, reason: str) -> Machine:
    if enable:
        host = await host_orders.undrain(call, machine.host)
    else:
        host = await host_orders.drain(call, machine.host, reason)
    return replace(machine, host=host)


async def delete(call: Call) -> Answer:
    """DELETE /os-services/{id}: the host is retired, for good. One that is down isn't asked: it goes if nothing is
    deeded to it.
    """
    machine = await _one(call)
    try:
        await host_orders.retire(call, machine.host, dead=not machine.up)
    except Conflict as error:
        raise Conflict(f"Unable to delete compute service that is hosting instances. {error.message}") from error
    return Answer(204)


async def _one(call: Call) -> Machine:
    key, by_uuid = call.params["service_id"], mv.of(call) >= mv.UUID_FOR_HYPERVISORS
    if not (is_uuid(key) if by_uuid else key.isascii() and key.isdigit()):
        raise BadRequest(f"Invalid {'uuid' if by_uuid else 'integer'} {key[:64]}")
    for machine in await machines(call):
        if key == (machine.host.id if by_uuid else str(short_id(machine.host.id))):
            return machine
    raise NotFound(f"Service {key[:64]} could not be found.")
