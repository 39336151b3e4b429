"""Server groups: servers that should be kept together or apart."""

from itertools import islice
from typing import Any, Final

from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.wire.server_groups import ServerGroupBody, ServerGroupIn
from freehold.api.paging import LIMIT_MAX
from freehold.api.reading import every, find
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.request import Admission
from freehold.vocabulary.tenant import GroupPolicy, Quota, ServerGroup

STRICT: Final = (GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY)
SOFT: Final = (GroupPolicy.SOFT_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY)


async def _group(call: Call) -> ServerGroup:
    key = call.params["group_id"]
    group = await find(call, ServerGroup, key)
    if group is None or not call.caller.owns(group.project):
        raise NotFound(f"Instance group {key[:64]} could not be found.")
    return group


async def _members(call: Call, project: str | None) -> dict[str, list[str]]:
    """The servers of each group, in order of creation."""
    found: dict[str, list[str]] = {}
    for admission in await every(call, Admission, project, newest_first=False):
        if admission.spec.server_group and not admission.delete_urn:
            found.setdefault(admission.spec.server_group, []).append(admission.guest)
    return found


def _shown(group: ServerGroup, members: dict[str, list[str]], version: Version) -> dict[str, Any]:
    body: dict[str, Any] = {"id": group.id, "name": group.name, "members": members.get(group.id, [])}
    if version >= mv.GROUP_POLICY:
        body |= {"policy": group.policy, "rules": {}}
    else:
        body |= {"policies": [group.policy], "metadata": {}}
    if version >= mv.SERVER_GROUP_PROJECT:
        body |= {"project_id": group.project, "user_id": group.user}
    return body


async def index(call: Call) -> Answer:
    """GET /os-server-groups."""
    whole_cloud = call.caller.is_admin and call.query.one("all_projects") is not None
    project = None if whole_cloud else call.caller.project
    limit, offset = call.query.number("limit") or LIMIT_MAX, call.query.number("offset", high=2**31) or 0
    groups = await every(call, ServerGroup, project, newest_first=False)
    members, version = await _members(call, project), mv.of(call)
    page = islice(groups, offset, offset + min(limit, LIMIT_MAX))
    return Answer(body={"server_groups": [_shown(group, members, version) for group in page]})


async def show(call: Call) -> Answer:
    """GET /os-server-groups/{id}."""
    group = await _group(call)
    return Answer(body={"server_group": _shown(group, await _members(call, group.project), mv.of(call))})


async def create(call: Call) -> Answer:
    """POST /os-server-groups."""
    given, version = call.read(ServerGroupBody).server_group, mv.of(call)
    group = ServerGroup(
        id=new_id(call.cloud.chance),
        project=call.caller.project,
        user=call.caller.user,
        name=given.name,
        policy=_policy(given, version),
        created=call.cloud.clock.now(),
    )
    quota = await find(call, Quota, group.project) or Quota(project=group.project)
    if 0 <= quota.server_groups <= sum(1 for _ in await every(call, ServerGroup, group.project)):
        raise QuotaExceeded("Quota exceeded, too many server groups.")
    await asking.save(call, group.id, group, new=True)
    return Answer(body={"server_group": _shown(group, {}, version)})


def _policy(given: ServerGroupIn, version: Version) -> GroupPolicy:
    """The policy that is asked for, in the form of the version. Raises BadRequest."""
    unknown, wanted = (given.policies, given.policy) if version >= mv.GROUP_POLICY else (given.policy, given.policies)
    if unknown is not UNSET:
        raise mv.refuse_unknown("policies" if version >= mv.GROUP_POLICY else "policy")
    if given.rules is not UNSET and version < mv.GROUP_POLICY:
        raise mv.refuse_unknown("rules")
    if not isinstance(given.rules, UnsetType) and given.rules.max_server_per_host not in (UNSET, 1, "1"):
        raise BadRequest("max_server_per_host can only be 1 in this cloud")
    policy = wanted[0] if isinstance(wanted, list) else wanted
    if policy not in (STRICT if version < mv.SOFT_POLICIES else (*STRICT, *SOFT)):
        raise BadRequest(f"Invalid input for field/attribute policy. Value: {str(policy)[:64]}.")
    return GroupPolicy(str(policy))


async def delete(call: Call) -> Answer:
    """DELETE /os-server-groups/{id}. Servers that were in it stay."""
    group = await _group(call)
    await asking.drop(call, group.id, group)
    return Answer(204)
