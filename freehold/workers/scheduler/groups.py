"""How a server group's policy narrows the choice of a host. Pure.

What the fleet knows of the other members may be late: the registrar decides, and names their hosts where it must.
"""

from collections.abc import Sequence

from freehold.views.fleet import Fleet
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.request import Build
from freehold.vocabulary.tenant import GroupPolicy


def chosen(build: Build, room: Capacity, fleet: Fleet, named: Sequence[str] | None = None) -> Host | None:
    """The host with room that the policy allows, or prefers. `named`: the other members' hosts, by the registrar."""
    members = fleet.group_hosts(build.spec.server_group, build.guest) if named is None else named
    apart, together = (*build.refused, *members), members or None

    def choose(refused: Sequence[str], among: Sequence[str] | None = None) -> Host | None:
        return fleet.choose(room, build.spec.availability_zone, refused, among)

    match build.spec.server_group_policy:
        case GroupPolicy.ANTI_AFFINITY:
            return choose(apart)
        case GroupPolicy.AFFINITY:
            return choose(build.refused, together)
        case GroupPolicy.SOFT_ANTI_AFFINITY:
            return choose(apart) or choose(build.refused)
        case GroupPolicy.SOFT_AFFINITY:
            return choose(build.refused, together) or choose(build.refused)
    return choose(build.refused)


def why(build: Build) -> str:
    """A part of the sentence that says why there is no host; empty if no policy had a say."""
    policy = build.spec.server_group_policy
    strict = policy in (GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY)
    return f" that the server group's policy {policy.value} allows" if strict and policy is not None else ""
