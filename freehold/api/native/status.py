"""Who owns what, where each log stands, and how long ago each owner was heard: how old what is shown of it is."""

from typing import Any

from freehold.api import host_orders
from freehold.api.call import Answer, Call
from freehold.api.fences import fences as standing
from freehold.api.native import fences
from freehold.api.reading import one
from freehold.views.interface import OwnerSeen
from freehold.vocabulary.envelope import BackupLag
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.host import Host, Retirement
from freehold.vocabulary.units import iso_millis


async def owners(call: Call) -> Answer:
    """GET /v1/owners: one object an owner. `age_s` is null for one that wasn't heard since this API process began,
    `silent_s` counts from there; `state`: heard, silent or never; `horizon`: the oldest state that it can be asked for,
    null: all of its past; `backup`: how far its backup went when it was last heard, and how much that was behind,
    null: it has none; `refused`: how many of its records weren't taken since then, by reason.
    """
    return Answer(body={"owners": [_owner(call, seen) for seen in call.cloud.view.owners()]})


def _owner(call: Call, seen: OwnerSeen) -> dict[str, Any]:
    return {
        "role": seen.owner.role,
        "name": seen.name or _host_name(call, seen),
        "store": seen.owner.store,
        "cluster": seen.owner.cluster,
        "shard": seen.owner.shard,
        "epoch": seen.position.epoch,
        "seq": seen.position.seq,
        "digest": seen.position.digest.hex(),
        "state": _state(seen),
        "age_s": None if seen.age_s is None else round(seen.age_s, 1),
        "silent_s": round(seen.silent_s, 1),
        "horizon": iso_millis(seen.horizon) if seen.horizon else None,
        "backup": _backup(seen.backup),
        "refused": seen.refused,
    }


def _backup(lag: BackupLag | None) -> dict[str, Any] | None:
    return None if lag is None else {"seq": lag.seq, "entries": lag.entries, "seconds": lag.seconds}


def _state(seen: OwnerSeen) -> str:
    if seen.age_s is None:
        return "never"
    return "heard" if seen.is_heard else "silent"


def _host_name(call: Call, seen: OwnerSeen) -> str:
    """A host that wasn't heard yet is known by its last record."""
    host = call.cloud.view.get(Host, seen.owner.store) if seen.owner.role == "host" else None
    return "" if host is None else host.name


async def hosts(call: Call) -> Answer:
    """GET /v1/hosts: what each host offers and what its guests take, with `state`, `age_s` and `refused` as its
    owner's; `contradictions`: what it tells that can't be, as found in the last two looks, and of how many guests;
    `fences`: those that stand, one a shard of the registrar; `quarantined`: its copies of guests that have left it.
    """
    known = list(call.cloud.view.list(Host, newest_first=False))
    fenced = {one.host: one.name for one in call.cloud.view.list(Fence) if not one.lifted}
    for host in known:
        fenced.pop(host.id, None)
    gone = {one.host for one in call.cloud.view.list(Retirement)}
    unheard = [host_orders.unheard(host, name) for host, name in sorted(fenced.items()) if host not in gone]
    rows = [_host(call, host) for host in (*known, *unheard)]
    return Answer(body={"hosts": rows})


def _host(call: Call, host: Host) -> dict[str, Any]:
    seen = call.cloud.view.owner_seen(host.id)
    return {
        "id": host.id,
        "name": host.name,
        "cluster": host.cluster,
        "hypervisor": host.hypervisor,
        "accelerator": host.accelerator,
        "accelerator_reason": host.accelerator_reason,
        "enabled": host.enabled,
        "disabled_reason": host.disabled_reason,
        "state": "never" if seen is None else _state(seen),
        "age_s": None if seen is None or seen.age_s is None else round(seen.age_s, 1),
        "refused": {} if seen is None else seen.refused,
        "contradictions": {} if seen is None else seen.contradictions,
        "fences": [fences.shown(one) for one in standing(call, host.id)],
        "guests": host.guests,
        "quarantined": host.quarantined,
        "vcpus": [host.used.vcpus, host.total.vcpus],
        "ram_mib": [host.used.ram_mib, host.total.ram_mib],
        "disk_gib": [host.used.disk_gib, host.total.disk_gib],
    }


async def guest(call: Call) -> Answer:
    """GET /v1/guests/{id}: what its host last said of a guest, and how old that is. `learned`: when this API process
    learned of it. Raises NotFound for one that no host has told of.
    """
    told = await one(call, Guest, call.params["id"], "Guest")
    seen = call.cloud.view.owner_seen(told.host)
    body = {
        "id": told.id,
        "project": told.project,
        "name": told.labels.name,
        "state": told.state.value,
        "power": told.power.value,
        "host": told.host,
        "deed": told.deed,
        "updated": iso_millis(told.updated),
        "learned": iso_millis(call.cloud.view.learned(Guest, told.id)),
        "host_state": "never" if seen is None else _state(seen),
        "age_s": None if seen is None or seen.age_s is None else round(seen.age_s, 1),
    }
    return Answer(body={"guest": body})
