"""Quotas: what a project may have of volumes, and what it has. The registrar enforces them."""

from collections import Counter
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.reading import every, find
from freehold.api.volume.wire.quotas import QuotaBody
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.tenant import Project, Quota
from freehold.vocabulary.volume_request import VolumeAdmission

_LIMITS: Final = ("volumes", "snapshots", "gigabytes", "per_volume_gigabytes")
"""Cinder's names, which are ours as well. What a snapshot holds counts among the gigabytes."""

_ABSENT: Final = ("backups", "backup_gigabytes", "groups")
"""What isn't offered: none of it may be had."""

_OF_VOLUMES: Final = {name: getattr(Quota(project=""), name) for name in _LIMITS}


async def used(call: Call, project: str) -> Counter[str]:
    """What a project has, by Cinder's names."""
    counts: Counter[str] = Counter()
    for admission in await every(call, VolumeAdmission, project):
        counts["snapshots" if admission.snapshot_of else "volumes"] += 1
        counts["gigabytes"] += admission.size_gib()
    return counts


async def quota_of(call: Call, project: str) -> Quota:
    """A project's quota: its own or the defaults. Raises Forbidden for another's, except for an admin."""
    if not call.caller.owns(project):
        raise Forbidden("Policy doesn't allow volume_extension:quotas:show to be performed on another project.")
    return await find(call, Quota, project) or Quota(project=project)


def _limits(quota: Quota) -> dict[str, int]:
    return {name: int(getattr(quota, name)) for name in _LIMITS} | dict.fromkeys(_ABSENT, 0)


async def show(call: Call) -> Answer:
    """GET /os-quota-sets/{project}; with what is used, if the query says ``usage=true``."""
    quota = await quota_of(call, call.params["of_project"])
    rows: dict[str, Any] = dict(_limits(quota))
    if call.query.flag("usage"):
        counts = await used(call, quota.project)
        rows = {
            name: {"limit": limit, "in_use": counts[name], "reserved": 0, "allocated": 0}
            for name, limit in rows.items()
        }
    return Answer(body={"quota_set": {"id": quota.project, **rows}})


async def defaults(call: Call) -> Answer:
    """GET /os-quota-sets/{project}/defaults."""
    project = call.params["of_project"]
    return Answer(body={"quota_set": {"id": project, **_limits(Quota(project=project))}})


async def update(call: Call) -> Answer:
    """PUT /os-quota-sets/{project}: an admin's."""
    given, project = call.read(QuotaBody).quota_set, call.params["of_project"]
    if await find(call, Project, project) is None:
        raise BadRequest(f"Project ID {project[:64]} is not a valid project.")
    for name in _ABSENT:
        if getattr(given, name) is not UNSET and int(getattr(given, name)) != 0:
            raise BadRequest(f"'{name}' aren't offered by this cloud: their limit is 0.")
    changes = {name: int(getattr(given, name)) for name in _LIMITS if getattr(given, name) is not UNSET}
    quota = replace(await quota_of(call, project), **changes)
    await asking.save(call, project, quota, new=False)
    return Answer(body={"quota_set": _limits(quota)})


async def delete(call: Call) -> Answer:
    """DELETE /os-quota-sets/{project}: back to the defaults, of what concerns volumes."""
    quota = await find(call, Quota, call.params["of_project"])
    if quota is not None:
        await asking.save(call, quota.project, replace(quota, **_OF_VOLUMES), new=False)
    return Answer(200)
