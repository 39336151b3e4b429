"""Who owns what, where each log stands, and how long ago each owner was heard."""

from freehold.api.call import Answer, Call
from freehold.vocabulary.host import Host


async def owners(call: Call) -> Answer:
    """GET /v1/owners: one object an owner. `age_s` is null for one that wasn't heard since this API process began."""
    rows = [
        {
            "role": seen.owner.role,
            "name": seen.name,
            "store": seen.owner.store,
            "cluster": seen.owner.cluster,
            "shard": seen.owner.shard,
            "epoch": seen.position.epoch,
            "seq": seen.position.seq,
            "digest": seen.position.digest.hex(),
            "age_s": None if seen.age_s is None else round(seen.age_s, 1),
        }
        for seen in call.cloud.view.owners()
    ]
    return Answer(body={"owners": rows})


async def hosts(call: Call) -> Answer:
    """GET /v1/hosts: what each host offers and what its guests take."""
    rows = [
        {
            "id": host.id,
            "name": host.name,
            "cluster": host.cluster,
            "hypervisor": host.hypervisor,
            "accelerator": host.accelerator,
            "accelerator_reason": host.accelerator_reason,
            "enabled": host.enabled,
            "guests": host.guests,
            "vcpus": [host.used.vcpus, host.total.vcpus],
            "ram_mib": [host.used.ram_mib, host.total.ram_mib],
            "disk_gib": [host.used.disk_gib, host.total.disk_gib],
        }
        for host in call.cloud.view.list(Host, newest_first=False)
    ]
    return Answer(body={"hosts": rows})
