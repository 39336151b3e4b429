"""The rules of server groups, where they are decided: as guests are admitted, and as their deeds are recorded. Pure.

All members are of one project, and so of one shard: it sees every deed of the group, and one after the other.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from freehold.vocabulary.errors import BadRequest, Conflict, QuotaExceeded
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.tenant import GroupPolicy, Quota, ServerGroup


def check_room(
    builds: Sequence[Build],
    group_of: Callable[[str], ServerGroup | None],
    members_of: Callable[[str], Sequence[Admission]],
    quota: Quota,
) -> None:
    """Raises BadRequest if a build's server group isn't there, QuotaExceeded if it has no room for all of `builds`."""
    grouped = [build for build in builds if build.spec.server_group]
    for build in grouped:
        group = group_of(build.spec.server_group)
        if group is None or (group.project, group.policy) != (build.project, build.spec.server_group_policy):
            raise BadRequest(f"Instance group {build.spec.server_group} could not be found.")
    for key, count in Counter(build.spec.server_group for build in grouped).items():
        if 0 <= quota.server_group_members < len(members_of(key)) + count:
            raise QuotaExceeded("Quota exceeded, too many servers in group")


def check_deed(admission: Admission, members: Sequence[Admission]) -> None:
    """Raises Conflict, naming the hosts of the other members, if the policy of the guest's server group forbids the
    host of its new deed. A host counts as long as its deed hasn't been refused on disk.
    """
    assert admission.deed is not None
    deeds = [member.live_deed() for member in members if member.guest != admission.guest]
    hosts = tuple(sorted({deed.host for deed in deeds if deed is not None}))
    host, policy = admission.deed.host, admission.spec.server_group_policy
    if policy is GroupPolicy.ANTI_AFFINITY and host in hosts:
        raise Conflict(f"host {host} has a member of the guest's server group already", hosts)
    if policy is GroupPolicy.AFFINITY and hosts and host not in hosts:
        raise Conflict(f"host {host} isn't the one that the guest's server group is on", hosts)
