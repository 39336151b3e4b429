"""Hypervisors: the hosts with what they have and what is used, from their own records."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.host_view import Machine, machines
from freehold.api.compute.microversion import Version
from freehold.api.compute.services import short_id
from freehold.api.paging import cut, next_link, wanted
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.host import NOTHING, Capacity
from freehold.vocabulary.request import Admission

MIB_OF_GIB: Final = 1024
_TYPES: Final = {"qemu": "QEMU", "simulated": "fake"}


def _id(machine: Machine, version: Version) -> str | int:
    return machine.host.id if version >= mv.UUID_FOR_HYPERVISORS else short_id(machine.host.id)


def _summary(machine: Machine, version: Version) -> dict[str, Any]:
    return {
        "id": _id(machine, version),
        "hypervisor_hostname": machine.host.name,
        "state": machine.state,
        "status": machine.status,
    }


def _detail(machine: Machine, version: Version) -> dict[str, Any]:
    host = machine.host
    body = _summary(machine, version) | {
        "service": {"id": _id(machine, version), "host": host.name, "disabled_reason": host.disabled_reason or None},
        "host_ip": "",
        "hypervisor_type": _TYPES.get(host.hypervisor, host.hypervisor),
        "hypervisor_version": _number(host.version),
    }
    if version >= mv.HYPERVISOR_PLAIN:
        return body | {"uptime": None}
    return (
        body
        | _amounts(host.total, host.used)
        | {
            "current_workload": 0,
            "running_vms": host.guests,
            "cpu_info": {} if version >= mv.CPU_INFO_OBJECT else "",
            "disk_available_least": host.free().disk_gib,
        }
    )


def _amounts(total: Capacity, used: Capacity) -> dict[str, int]:
    free = total.minus(used)
    return {
        "vcpus": total.vcpus,
        "vcpus_used": used.vcpus,
        "memory_mb": total.ram_mib,
        "memory_mb_used": used.ram_mib,
        "free_ram_mb": free.ram_mib,
        "local_gb": total.disk_gib,
        "local_gb_used": used.disk_gib,
        "free_disk_gb": free.disk_gib,
    }


def _number(version: str) -> int:
    """``7.2.22`` as 7002022, the form that clients know."""
    parts = [int(part) for part in version.split(".")[:3] if part.isascii() and part.isdigit() and len(part) < 4]
    major, minor, micro = (*parts, 0, 0, 0)[:3]
    return major * 1_000_000 + minor * 1000 + micro


async def index(call: Call) -> Answer:
    """GET /os-hypervisors."""
    return await _listed(call, _summary)


async def detail(call: Call) -> Answer:
    """GET /os-hypervisors/detail."""
    return await _listed(call, _detail)


async def _listed(call: Call, shape: Any) -> Answer:
    version = mv.of(call)
    found = await machines(call)
    pattern = call.query.one("hypervisor_hostname_pattern")
    if pattern is not None and version >= mv.UUID_FOR_HYPERVISORS:
        found = _matching(found, pattern)
    more = False
    if version >= mv.HYPERVISOR_PAGES:
        found, more = cut(found, wanted(call), lambda machine: str(_id(machine, version)))
    rows = [shape(machine, version) for machine in found]
    if call.query.flag("with_servers") and version >= mv.UUID_FOR_HYPERVISORS:
        _add_servers(rows, found, _servers(call))
    body: dict[str, Any] = {"hypervisors": rows}
    if more:
        marker = str(_id(found[-1], version))
        body["hypervisors_links"] = [{"rel": "next", "href": next_link(call, marker)}]
    return Answer(body=body)


def _matching(found: list[Machine], pattern: str) -> list[Machine]:
    chosen = [machine for machine in found if pattern in machine.host.name]
    if not chosen:
        raise NotFound(f"No hypervisor matching '{pattern[:64]}' could be found.")
    return chosen


def _servers(call: Call) -> dict[str, list[dict[str, str]]]:
    """The servers of each host."""
    found: dict[str, list[dict[str, str]]] = {}
    for admission in call.cloud.view.list(Admission):
        if admission.deed is not None:
            row = {"uuid": admission.guest, "name": f"instance-{admission.guest[:8]}"}
            found.setdefault(admission.deed.host, []).append(row)
    return found


def _add_servers(rows: list[dict[str, Any]], found: list[Machine], servers: dict[str, list[dict[str, str]]]) -> None:
    for row, machine in zip(rows, found, strict=True):
        row["servers"] = servers.get(machine.host.id, [])


async def _one(call: Call) -> Machine:
    key, version = call.params["hypervisor_id"], mv.of(call)
    for machine in await machines(call):
        if key == str(_id(machine, version)):
            return machine
    if version >= mv.UUID_FOR_HYPERVISORS and key.isascii() and key.isdigit():
        raise BadRequest(f"Invalid uuid {key[:64]}")
    raise NotFound(f"Hypervisor with ID '{key[:64]}' could not be found.")


async def show(call: Call) -> Answer:
    """GET /os-hypervisors/{id}."""
    machine, version = await _one(call), mv.of(call)
    row = _detail(machine, version)
    if call.query.flag("with_servers") and version >= mv.UUID_FOR_HYPERVISORS:
        _add_servers([row], [machine], _servers(call))
    return Answer(body={"hypervisor": row})


async def uptime(call: Call) -> Answer:
    """GET /os-hypervisors/{id}/uptime, until 2.87: no driver here can say it."""
    machine = await _one(call)
    raise BadRequest(f"the hypervisor of {machine.host.name} can't say how long its machine has been up")


async def search(call: Call) -> Answer:
    """GET /os-hypervisors/{pattern}/search, until 2.52."""
    found = _matching(await machines(call), call.params["hypervisor_id"])
    return Answer(body={"hypervisors": [_summary(machine, mv.of(call)) for machine in found]})


async def servers(call: Call) -> Answer:
    """GET /os-hypervisors/{pattern}/servers, until 2.52."""
    found = _matching(await machines(call), call.params["hypervisor_id"])
    rows = [_summary(machine, mv.of(call)) for machine in found]
    _add_servers(rows, found, _servers(call))
    return Answer(body={"hypervisors": rows})


async def statistics(call: Call) -> Answer:
    """GET /os-hypervisors/statistics, until 2.87: the sum over all that are enabled."""
    found = [machine for machine in await machines(call) if machine.host.enabled]
    total, used = NOTHING, NOTHING
    for machine in found:
        total, used = total.plus(machine.host.total), used.plus(machine.host.used)
    body: dict[str, int] = _amounts(total, used) | {
        "count": len(found),
        "current_workload": 0,
        "running_vms": sum(machine.host.guests for machine in found),
        "disk_available_least": total.minus(used).disk_gib,
    }
    return Answer(body={"hypervisor_statistics": body})
