"""Server groups where they are decided."""

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, QuotaExceeded
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.tenant import UNLIMITED, GroupPolicy, Quota, ServerGroup
from freehold.workers.registrar import groups
from freehold.workers.registrar.lifecycle import admitted
from tests.owners import a_build, a_deed

P = GroupPolicy
GROUP = ServerGroup(id="g", project="p", user="u", name="n", policy=P.AFFINITY)


def build(policy: GroupPolicy | None = P.AFFINITY, group: str = "g", project: str = "p", guest: str = "") -> Build:
    made = a_build(project=project, guest=guest)
    return replace(made, spec=replace(made.spec, server_group=group, server_group_policy=policy))


def member(guest: str, host: str, policy: GroupPolicy | None = P.AFFINITY, refused: int = 0) -> Admission:
    deed = a_deed(guest, 1, host) if host else None
    return replace(admitted(build(policy, guest=guest)), deed=deed, refused_deed=refused)


ON_H1, REFUSED_BY_H1, WAITING = member("a", "h1"), member("b", "h1", refused=1), member("c", "")


@pytest.mark.parametrize(
    ("policy", "host", "others", "named"),
    [
        (P.ANTI_AFFINITY, "h1", [ON_H1], ("h1",)),
        (P.ANTI_AFFINITY, "h1", [ON_H1, member("d", "h2")], ("h1", "h2")),
        (P.ANTI_AFFINITY, "h2", [ON_H1], None),
        (P.ANTI_AFFINITY, "h1", [REFUSED_BY_H1, WAITING], None),
        (P.AFFINITY, "h2", [ON_H1], ("h1",)),
        (P.AFFINITY, "h1", [ON_H1], None),
        (P.AFFINITY, "h2", [REFUSED_BY_H1, WAITING], None),
        (P.AFFINITY, "h2", [], None),
        (P.SOFT_ANTI_AFFINITY, "h1", [ON_H1], None),
        (P.SOFT_AFFINITY, "h2", [ON_H1], None),
        (None, "h1", [ON_H1], None),
    ],
)
def test_the_policy_holds_for_deeds_that_no_host_has_refused(
    policy: GroupPolicy | None, host: str, others: list[Admission], named: tuple[str, ...] | None
) -> None:
    guest = member("x", host, policy)
    if named is None:
        groups.check_deed(guest, [*others, guest])
        return
    with pytest.raises(Conflict) as raised:
        groups.check_deed(guest, [*others, guest])
    assert raised.value.names == named


def check(builds: list[Build], members: int = 0, most: int = 2) -> None:
    standing = [member(f"{number}", "h") for number in range(members)]
    quota = Quota(project="p", server_group_members=most)
    groups.check_room(builds, {"g": GROUP}.get, lambda group: standing if group == "g" else [], quota)


def test_a_group_has_members_up_to_its_quota() -> None:
    check([build(), build()])
    check([build()], members=1)
    check([build()] * 50, most=UNLIMITED)
    check([build(group="", policy=None)], members=2)
    for builds, members in (([build()], 2), ([build(), build()], 1)):
        with pytest.raises(QuotaExceeded, match="too many servers in group"):
            check(builds, members)


@pytest.mark.parametrize("wrong", [build(group="gone"), build(project="q"), build(P.ANTI_AFFINITY), build(None)])
def test_a_group_is_there_and_the_projects_own(wrong: Build) -> None:
    with pytest.raises(BadRequest, match="could not be found"):
        check([wrong])
