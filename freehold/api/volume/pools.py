"""Pools: what each volume worker keeps bytes in. Cinder's names for them are host@backend and host@backend#pool."""

from dataclasses import dataclass
from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.reading import every
from freehold.vocabulary.units import clock_time, iso_micros, unix_ms
from freehold.vocabulary.volume import Pool


@dataclass(frozen=True, slots=True)
class Backend:
    """A pool's record, and whether its worker was heard lately."""

    pool: Pool
    up: bool
    heard: int
    """The clock time at which it was last heard; if not since this process began, that of its record."""


def service(pool: Pool) -> str:
    """The name of its worker among Cinder's services."""
    return f"{pool.name}@{pool.driver or 'pool'}"


def backend(pool: Pool) -> str:
    """Its own name."""
    return f"{service(pool)}#{pool.name}"


async def backends(call: Call) -> list[Backend]:
    """All pools, by name."""
    pools = sorted(await every(call, Pool), key=lambda pool: (pool.name, pool.id))
    return [_backend(call, pool) for pool in pools]


def _backend(call: Call, pool: Pool) -> Backend:
    seen = call.cloud.view.owner_seen(pool.id)
    if seen is None or seen.age_s is None:
        return Backend(pool, up=False, heard=pool.updated)
    now_ms = unix_ms(call.cloud.clock.now())
    return Backend(pool, up=seen.is_heard, heard=clock_time(now_ms - round(seen.age_s * 1000)))


async def is_zone(call: Call, cluster: str) -> bool:
    """Whether a cluster has a pool."""
    if any(pool.cluster == cluster for pool in call.cloud.view.list(Pool)):
        return True
    return any(pool.cluster == cluster for pool in await every(call, Pool))


async def index(call: Call) -> Answer:
    """GET /scheduler-stats/get_pools."""
    in_full = call.query.flag("detail") or False
    rows = [_shown(one, in_full=in_full) for one in await backends(call)]
    return Answer(body={"pools": rows})


def _shown(one: Backend, *, in_full: bool) -> dict[str, Any]:
    pool = one.pool
    name = {"name": backend(pool)}
    if not in_full:
        return name
    capabilities = {
        "volume_backend_name": pool.name,
        "pool_name": pool.name,
        "storage_protocol": "nbd",
        "vendor_name": "Freehold",
        "driver_version": pool.version,
        "total_capacity_gb": pool.total_gib,
        "free_capacity_gb": pool.free_gib(),
        "allocated_capacity_gb": pool.used_gib,
        "provisioned_capacity_gb": pool.used_gib,
        "total_volumes": pool.volumes,
        "reserved_percentage": 0,
        "max_over_subscription_ratio": "1.0",
        "thin_provisioning_support": False,
        "thick_provisioning_support": True,
        "multiattach": False,
        "QoS_support": False,
        "backend_state": "up" if one.up else "down",
        "timestamp": iso_micros(one.heard),
    }
    return name | {"capabilities": capabilities}
