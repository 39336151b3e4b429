"""Where guests are, as registrar shards tell it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.views.mapped import Kept
from freehold.views.placements import TABLES, Placements
from freehold.vocabulary.request import Admission
from freehold.workers.registrar.lifecycle import admitted
from tests.owners import a_build, a_deed


def member(guest: str, host: str = "", group: str = "g", refused: int = 0) -> Admission:
    build = a_build(guest=guest)
    admission = admitted(replace(build, spec=replace(build.spec, server_group=group)))
    return replace(admission, deed=a_deed(guest, 1, host) if host else None, refused_deed=refused)


@pytest.fixture
def placements(tmp_path: Path) -> Iterator[Placements]:
    kept = Kept(tmp_path / "fleet", "boot", b"1", TABLES)
    yield Placements(kept)
    kept.close()


def learn(placements: Placements, admission: Admission, told_by: str = "r0") -> None:
    placements.learn(admission.guest, admission, told_by)


def test_a_group_is_on_the_hosts_that_may_have_its_members(placements: Placements) -> None:
    for admission in (member("a", "h2"), member("b", "h1"), member("c"), member("d", "h3", refused=1)):
        learn(placements, admission)
    learn(placements, member("x", "h9", group="another"))
    assert placements.group_hosts("g") == ("h1", "h2")
    assert placements.group_hosts("g", but="a") == ("h1",)
    assert placements.group_hosts("nobody's") == ()


def test_a_member_that_moves_or_goes_leaves_its_host(placements: Placements) -> None:
    learn(placements, member("a", "h1"))
    learn(placements, member("a", "h2"))
    assert placements.group_hosts("g") == ("h2",)
    placements.learn("a", None, "r0")
    assert placements.group_hosts("g") == () and placements.deed("a") is None


def test_a_shards_complete_state_replaces_only_its_own(placements: Placements) -> None:
    learn(placements, member("a", "h1"), "r0")
    learn(placements, member("b", "h2"), "r1")
    placements.keep_only("r0", ["z"], "", "z")
    assert placements.deed("a") is None and placements.deed("b") is not None
    assert placements.group_hosts("g") == ("h2",)
