"""How a server group's policy narrows the choice of a host. Pure.

What the fleet knows of the other members may be late: the registrar decides, and names their hosts where it must.
"""

from collections.abc import Sequence
from typing import Protocol

from freehold.vocabulary.host import Host
from freehold.vocabulary.request import Build
from freehold.vocabulary.tenant import GroupPolicy


class Choose(Protocol):
    """Gives the best host with room that isn't one of `refused`; of `among` only, if given."""

    def __call__(self, *, refused: Sequence[str], among: Sequence[str] | None = None) -> Host | None: ...


def chosen(build: Build, members: Sequence[str], choose: Choose) -> Host | None:
    """The host that the policy allows, or prefers, where the other members are on the hosts `members`."""
    refused, apart, together = build.refused, (*build.refused, *members), members or None
    match build.spec.server_group_policy:
        case GroupPolicy.ANTI_AFFINITY:
            return choose(refused=apart)
        case GroupPolicy.AFFINITY:
            return choose(refused=refused, among=together)
        case GroupPolicy.SOFT_ANTI_AFFINITY:
            return choose(refused=apart) or choose(refused=refused)
        case GroupPolicy.SOFT_AFFINITY:
            return choose(refused=refused, among=together) or choose(refused=refused)
    return choose(refused=refused)


def left_out(build: Build, members: Sequence[str], hosts: Sequence[str]) -> Sequence[str]:
    """Those of `hosts` that the policy doesn't allow."""
    match build.spec.server_group_policy:
        case GroupPolicy.ANTI_AFFINITY:
            return members
        case GroupPolicy.AFFINITY if members:
            return [host for host in hosts if host not in members]
    return ()


def why(build: Build) -> str:
    """A part of the sentence that says why there is no host; empty if no policy had a say."""
    policy = build.spec.server_group_policy
    strict = policy in (GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY)
    return f" that the server group's policy {policy.value} allows" if strict and policy is not None else ""
