"""Extensions: what Cinder once called its parts; and what lists can be filtered by."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.volume import snapshot_list, volume_list

_SERVED: Final = {
    "os-admin-actions": "AdminActions",
    "os-availability-zone": "AvailabilityZones",
    "os-extended-services": "ExtendedServices",
    "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
    "os-quota-sets": "Quotas",
    "os-services": "Services",
    "os-types-extra-specs": "TypesExtraSpecs",
    "os-types-manage": "TypesManage",
    "os-used-limits": "UsedLimits",
    "os-vol-host-attr": "VolumeHostAttribute",
    "os-vol-image-meta": "VolumeImageMetadata",
    "os-vol-tenant-attr": "VolumeTenantAttribute",
    "os-volume-actions": "VolumeActions",
    "os-volume-type-access": "VolumeTypeAccess",
    "scheduler-stats": "Scheduler_stats",
}


def _shown(alias: str) -> dict[str, Any]:
    return {"alias": alias, "name": _SERVED[alias], "description": "", "updated": "2013-01-01T00:00:00Z", "links": []}


async def index(call: Call) -> Answer:
    """GET /extensions."""
    del call
    return Answer(body={"extensions": [_shown(alias) for alias in _SERVED]})


async def filters(call: Call) -> Answer:
    """GET /resource_filters."""
    named = call.query.one("resource")
    rows = [
        {"resource": kind.noun.removesuffix("s"), "filters": sorted(kind.filters)}
        for kind in (volume_list.KIND, snapshot_list.KIND)
    ]
    return Answer(body={"resource_filters": [row for row in rows if named in (None, row["resource"])]})
