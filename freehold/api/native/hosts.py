"""Orders for hosts: drain, take up again, retire. What they have is in `status`."""

from typing import Annotated

import msgspec

from freehold.api import host_orders
from freehold.api.call import Answer, Body, Call
from freehold.api.reading import every
from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.host import REASON_LETTERS_MAX, Retirement
from freehold.vocabulary.trait import hypervisor_types
from freehold.vocabulary.units import iso_millis


class _Wanted(Body, frozen=True, kw_only=True):
    enabled: bool
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LETTERS_MAX)] = ""


class HostBody(Body, frozen=True, kw_only=True):
    """PUT /v1/hosts/{id}."""

    host: _Wanted


async def show(call: Call) -> Answer:
    """GET /v1/hosts/{id}, by id or name: what it is, for flavors and images to ask for, and the host aggregates that it
    is in.
    """
    host = await host_orders.named(call, call.params["id"])
    within = {one.aggregate for one in await every(call, AggregateHost) if one.host == host.id}
    named = sorted(one.name for one in await every(call, Aggregate) if one.id in within)
    body = {
        "id": host.id,
        "name": host.name,
        "cluster": host.cluster,
        "enabled": host.enabled,
        "disabled_reason": host.disabled_reason,
        "guests": host.guests,
        "architecture": host.architecture,
        "hypervisor_types": hypervisor_types(host),
        "traits": host.traits,
        "aggregates": named,
    }
    return Answer(body={"host": body})


async def update(call: Call) -> Answer:
    """PUT /v1/hosts/{id}, by id or name: `enabled` false drains it, for a `reason`."""
    wanted = call.read(HostBody).host
    host = await host_orders.named(call, call.params["id"])
    if wanted.enabled:
        host = await host_orders.undrain(call, host)
    else:
        host = await host_orders.drain(call, host, wanted.reason)
    body = {"id": host.id, "name": host.name, "enabled": host.enabled, "disabled_reason": host.disabled_reason}
    return Answer(body={"host": body | {"guests": host.guests}})


async def retire(call: Call) -> Answer:
    """DELETE /v1/hosts/{id}, by id or name: for good. ``?dead=true``: it can't be asked, and is gone. 409 while it has
    guests. `machine`: ``barred``, or why it isn't.
    """
    host = await host_orders.named_or_lost(call, call.params["id"])
    machine = await host_orders.retire(call, host, dead=bool(call.query.flag("dead")))
    return Answer(body={"host": {"id": host.id, "name": host.name, "machine": machine}})


async def retired(call: Call) -> Answer:
    """GET /v1/retired-hosts: who has left, oldest first."""
    found = sorted(call.cloud.view.list(Retirement), key=lambda one: (one.time, one.host))
    rows = [
        {"id": one.host, "name": one.name, "user": one.user, "time": iso_millis(one.time), "dead": one.dead}
        for one in found
    ]
    return Answer(body={"hosts": rows})
