"""Orders for hosts: drain, take up again, retire. What they have is in `status`."""

from typing import Annotated

import msgspec

from freehold.api import host_orders
from freehold.api.call import Answer, Body, Call
from freehold.vocabulary.host import REASON_LETTERS_MAX, Retirement
from freehold.vocabulary.units import iso_millis


class _Wanted(Body, frozen=True, kw_only=True):
    enabled: bool
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LETTERS_MAX)] = ""


class HostBody(Body, frozen=True, kw_only=True):
    """PUT /v1/hosts/{id}."""

    host: _Wanted


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
