"""Availability zones: the clusters that have hosts."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute.host_view import Machine, machines
from freehold.vocabulary.units import iso_micros


async def index(call: Call) -> Answer:
    """GET /os-availability-zone."""
    return _shown(await machines(call), with_hosts=False)


async def detail(call: Call) -> Answer:
    """GET /os-availability-zone/detail: with the hosts."""
    return _shown(await machines(call), with_hosts=True)


def _shown(every: list[Machine], *, with_hosts: bool) -> Answer:
    zones: dict[str, list[Machine]] = {}
    for machine in every:
        zones.setdefault(machine.host.cluster, []).append(machine)
    rows = [
        {
            "zoneName": name,
            "zoneState": {"available": any(machine.host.enabled and machine.up for machine in within)},
            "hosts": _hosts(within) if with_hosts else None,
        }
        for name, within in sorted(zones.items())
    ]
    return Answer(body={"availabilityZoneInfo": rows})


def _hosts(within: list[Machine]) -> dict[str, Any]:
    return {
        machine.host.name: {
            "nova-compute": {
                "active": machine.host.enabled,
                "available": machine.up,
                "updated_at": iso_micros(machine.heard),
            }
        }
        for machine in within
    }
