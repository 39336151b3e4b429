"""What a server group's policy makes of the choice of a host."""

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.views.fleet import Fleet
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.tenant import GroupPolicy
from freehold.workers.registrar.lifecycle import admitted
from freehold.workers.scheduler.lifecycle import Place, Surrender, decide
from tests.owners import a_build, a_deed, a_fleet, a_host

P = GroupPolicy
ROOM = {"h1": 9000, "h2": 8000, "h3": 7000}
"""Free memory: h1 is chosen where nothing else is asked for."""


def fleet_with(*members: Admission) -> Fleet:
    fleet = a_fleet()
    for host, ram_mib in ROOM.items():
        owner, change = Owner(store=host, role="host", cluster="c"), put(host, a_host(host, ram_mib=ram_mib))
        fleet.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1))
        fleet.apply(owner, Position(epoch="e", seq=1), [Entry(1, 1, change.kind, change.key, change.value, "", b"")])
    changes = [put(member.guest, member) for member in members]
    entries = [Entry(n, 1, c.kind, c.key, c.value, "", b"") for n, c in enumerate(changes, 1)]
    fleet.apply(Owner(store="r", role="registrar", cluster="c"), Position(epoch="e", seq=len(entries)), entries)
    return fleet


def build(policy: GroupPolicy | None, *refused: str, guest: str = "x") -> Build:
    made = a_build(guest=guest, expires=1 << 62, refused=refused)
    return replace(made, spec=replace(made.spec, server_group="g", server_group_policy=policy))


def on(guest: str, host: str) -> Admission:
    return replace(admitted(build(P.AFFINITY, guest=guest)), deed=a_deed(guest, 1, host))


@pytest.mark.parametrize(
    ("policy", "members", "refused", "host"),
    [
        (None, ["h1"], [], "h1"),
        (P.ANTI_AFFINITY, [], [], "h1"),
        (P.ANTI_AFFINITY, ["h1"], [], "h2"),
        (P.ANTI_AFFINITY, ["h1"], ["h2"], "h3"),
        (P.ANTI_AFFINITY, ["h1", "h3"], ["h2"], None),
        (P.SOFT_ANTI_AFFINITY, ["h1"], [], "h2"),
        (P.SOFT_ANTI_AFFINITY, ["h1", "h2", "h3"], ["h1"], "h2"),
        (P.AFFINITY, [], [], "h1"),
        (P.AFFINITY, ["h3"], [], "h3"),
        (P.AFFINITY, ["h3"], ["h3"], None),
        (P.SOFT_AFFINITY, ["h3"], [], "h3"),
        (P.SOFT_AFFINITY, ["h3"], ["h3"], "h1"),
        (P.AFFINITY, ["a host nobody has heard of"], [], None),
    ],
)
def test_the_choice(policy: GroupPolicy | None, members: list[str], refused: list[str], host: str | None) -> None:
    fleet = fleet_with(*(on(f"m{number}", member) for number, member in enumerate(members)))
    decision = decide(build(policy, *refused), fleet, 1)
    assert (decision.deed.host if isinstance(decision, Place) else None) == host


def test_the_guest_itself_is_no_other_member() -> None:
    decision = decide(build(P.ANTI_AFFINITY), fleet_with(on("x", "h1")), 1)
    assert isinstance(decision, Place) and decision.deed.host == "h1"


def test_what_the_registrar_names_is_newer_than_the_view() -> None:
    late = fleet_with(on("m", "h1"))
    named = decide(build(P.ANTI_AFFINITY), late, 1, ("h2",))
    assert isinstance(named, Place) and named.deed.host == "h1"
    together = decide(build(P.AFFINITY), late, 1, ("h3",))
    assert isinstance(together, Place) and together.deed.host == "h3"


def test_the_policy_is_named_where_it_left_no_host() -> None:
    decision = decide(build(P.ANTI_AFFINITY), fleet_with(), 1, ("h1", "h2", "h3"))
    assert isinstance(decision, Surrender)
    assert "that the server group's policy anti-affinity allows" in decision.fault.message
    soft = decide(build(P.SOFT_AFFINITY, *ROOM), fleet_with(), 1)
    assert isinstance(soft, Surrender) and "policy" not in soft.fault.message
