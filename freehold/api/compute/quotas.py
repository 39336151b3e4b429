"""Quotas: what a project may have of servers, and what it has. The registrar enforces those that count guests."""

from collections import Counter
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.wire.quotas import QuotaBody, QuotaIn
from freehold.api.reading import every, find
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.request import Admission
from freehold.vocabulary.tenant import UNLIMITED, Project, Quota, ServerGroup

_FIELDS: Final = {
    "instances": "instances",
    "cores": "cores",
    "ram": "ram_mib",
    "key_pairs": "key_pairs",
    "metadata_items": "metadata_items",
    "server_groups": "server_groups",
    "server_group_members": "server_group_members",
}
"""Nova's names and ours."""

_FILES: Final = {
    "injected_files": "injected_files",
    "injected_file_content_bytes": "injected_file_bytes",
    "injected_file_path_bytes": "injected_file_path_bytes",
}
"""Until 2.56."""

_OF_NETWORKS: Final = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
"""Until 2.35, without limit here: they are the network door's."""


async def used(call: Call, project: str) -> Counter[str]:
    """What a project has, by Nova's names."""
    counts: Counter[str] = Counter()
    for admission in await every(call, Admission, project):
        flavor = admission.spec.flavor
        counts += Counter(instances=1, cores=flavor.vcpus, ram=flavor.ram_mib)
    counts["server_groups"] = sum(1 for _ in await every(call, ServerGroup, project))
    return counts


async def quota_of(call: Call, project: str) -> Quota:
    """A project's quota: its own or the defaults. Raises Forbidden for another's, except for an admin."""
    if not call.caller.owns(project):
        raise Forbidden("Policy doesn't allow os_compute_api:os-quota-sets to be performed on another project.")
    return await find(call, Quota, project) or Quota(project=project)


def _limits(quota: Quota, version: Version) -> dict[str, int]:
    names = _FIELDS | (_FILES if version < mv.NO_FILES else {})
    limits = {name: int(getattr(quota, ours)) for name, ours in names.items()}
    return limits | (dict.fromkeys(_OF_NETWORKS, UNLIMITED) if version < mv.NO_PROXIES else {})


async def show(call: Call) -> Answer:
    """GET /os-quota-sets/{project_id}."""
    quota = await quota_of(call, call.params["project_id"])
    return Answer(body={"quota_set": {"id": quota.project, **_limits(quota, mv.of(call))}})


async def defaults(call: Call) -> Answer:
    """GET /os-quota-sets/{project_id}/defaults."""
    project = call.params["project_id"]
    return Answer(body={"quota_set": {"id": project, **_limits(Quota(project=project), mv.of(call))}})


async def detail(call: Call) -> Answer:
    """GET /os-quota-sets/{project_id}/detail: limits with what is used."""
    quota = await quota_of(call, call.params["project_id"])
    counts = await used(call, quota.project)
    rows: dict[str, Any] = {
        name: {"limit": limit, "in_use": counts[name], "reserved": 0}
        for name, limit in _limits(quota, mv.of(call)).items()
    }
    return Answer(body={"quota_set": {"id": quota.project, **rows}})


async def update(call: Call) -> Answer:
    """PUT /os-quota-sets/{project_id}: an admin's."""
    given, project = call.read(QuotaBody).quota_set, call.params["project_id"]
    if call.query.one("user_id") is not None:
        raise BadRequest("quotas of single users aren't served by this cloud; leave 'user_id' out")
    if await find(call, Project, project) is None:
        raise BadRequest(f"Project ID {project[:64]} is not a valid project.")
    changes = _changes(given, mv.of(call))
    if str(given.force).lower() not in ("true", "1", "yes", "on", "t", "y"):
        _check_used(changes, await used(call, project))
    ours = {(_FIELDS | _FILES)[name]: limit for name, limit in changes.items()}
    quota = replace(await quota_of(call, project), **ours)
    await asking.save(call, project, quota, new=False)
    return Answer(body={"quota_set": _limits(quota, mv.of(call))})


def _changes(given: QuotaIn, version: Version) -> dict[str, int]:
    names = _FIELDS | (_FILES if version < mv.NO_FILES else {})
    gone = [
        *(_FILES if version >= mv.NO_FILES else {}),
        *((*_OF_NETWORKS, "networks") if version >= mv.NO_PROXIES else ()),
    ]
    for name in gone:
        if _given(given, name) is not UNSET:
            raise mv.refuse_unknown(name)
    return {name: int(limit) for name in names if (limit := _given(given, name)) is not UNSET}


def _given(given: QuotaIn, name: str) -> Any:
    return getattr(given, "injected_file_bytes" if name == "injected_file_content_bytes" else name)


def _check_used(changes: dict[str, int], counts: Counter[str]) -> None:
    for name, limit in changes.items():
        if limit != UNLIMITED and limit < counts[name]:
            raise BadRequest(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{counts[name]}. Say 'force' to set it all the same."
            )


async def delete(call: Call) -> Answer:
    """DELETE /os-quota-sets/{project_id}: back to the defaults."""
    quota = await find(call, Quota, call.params["project_id"])
    if quota is not None:
        await asking.drop(call, quota.project, quota)
    return Answer(202)
