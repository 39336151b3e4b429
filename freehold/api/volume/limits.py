"""Limits: a project's quota and use in one, as clients ask before they start."""

from freehold.api.call import Answer, Call
from freehold.api.volume import microversion as mv
from freehold.api.volume.quotas import quota_of, used


async def show(call: Call) -> Answer:
    """GET /limits; from 3.39 on an admin may ask for another project by ``project_id``."""
    named = call.query.one("project_id") if mv.of(call) >= mv.LIMITS_OF_PROJECT else None
    quota = await quota_of(call, named or call.caller.project)
    counts = await used(call, quota.project)
    absolute = {
        "maxTotalVolumes": quota.volumes,
        "maxTotalSnapshots": quota.snapshots,
        "maxTotalVolumeGigabytes": quota.gigabytes,
        "maxTotalBackups": 0,
        "maxTotalBackupGigabytes": 0,
        "totalVolumesUsed": counts["volumes"],
        "totalSnapshotsUsed": counts["snapshots"],
        "totalGigabytesUsed": counts["gigabytes"],
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return Answer(body={"limits": {"rate": [], "absolute": absolute}})
