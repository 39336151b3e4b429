"""What an owner may say: a table of what is taken, and of every way to lie."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.views.believed import (
    NO_MACHINE,
    OTHER_HOST,
    OTHER_KEY,
    OTHER_POOL,
    OTHER_ROLE,
    RAM_MIB_MAX,
    VCPUS_MAX,
    refused,
    refused_kind,
)
from freehold.vocabulary.codec import KINDS, OWNED_BY
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Action, Refusal
from freehold.vocabulary.host import Capacity
from freehold.vocabulary.image import ImageMember
from freehold.vocabulary.volume import VolumeRefusal
from freehold.vocabulary.word import Word
from tests.owners import a_guest, a_host, project
from tests.workers.volume.bench import a_pool, a_snapshot, a_volume

HOST = Owner(store="h1", role="host", cluster="c")
POOL = Owner(store="s", role="volume", cluster="c")
ACTION = Action(guest="g", project="p", urn="u", action="start", user="x", started=1)
REFUSAL = Refusal(guest="g", project="p", deed=1, urn="u", fault=Fault(code="NoRoom", message="full"))

GONE = VolumeRefusal(id="v", project="p", number=1, urn="u", fault=Fault(code="NotFound", message="gone"), deleted=True)


def room(**figures: int) -> Capacity:
    return replace(Capacity(vcpus=8, ram_mib=8, disk_gib=8), **figures)


@pytest.mark.parametrize(
    ("key", "record", "reason"),
    [
        ("h1", a_host("h1"), ""),
        ("h2", a_host("h2"), OTHER_HOST),
        ("h1", a_host("h2"), OTHER_HOST),
        ("h2", a_host("h1"), OTHER_KEY),
        ("h1", a_host("h1", cluster="another"), OTHER_HOST),
        ("h1", a_host("h1", used=room(vcpus=9999)), ""),
        ("h1", a_host("h1", total=room(vcpus=VCPUS_MAX)), ""),
        ("h1", a_host("h1", total=room(vcpus=VCPUS_MAX + 1)), NO_MACHINE),
        ("h1", a_host("h1", total=room(ram_mib=RAM_MIB_MAX + 1)), NO_MACHINE),
        ("h1", a_host("h1", total=room(disk_gib=-1)), NO_MACHINE),
        ("h1", a_host("h1", used=room(ram_mib=-1)), NO_MACHINE),
        ("g", a_guest("g", "h1"), ""),
        ("g", a_guest("g", "h2"), OTHER_HOST),
        ("g", a_guest("g", "h1", cluster="another"), OTHER_HOST),
        ("g2", a_guest("g", "h1"), OTHER_KEY),
        ("g/u", ACTION, ""),
        ("g2/u", ACTION, OTHER_KEY),
        ("g", ACTION, OTHER_KEY),
        ("g", REFUSAL, ""),
        ("g2", REFUSAL, OTHER_KEY),
    ],
)
def test_what_a_host_says(key: str, record: Word, reason: str) -> None:
    assert refused(HOST, key, record) == reason


@pytest.mark.parametrize(
    ("key", "record", "reason"),
    [
        ("s", a_pool(), ""),
        ("s2", a_pool(), OTHER_KEY),
        ("s2", a_pool(id="s2"), OTHER_POOL),
        ("s", a_pool(id="s2"), OTHER_POOL),
        ("s", a_pool(cluster="another"), OTHER_POOL),
        ("v", a_volume("v"), ""),
        ("v", a_volume("v", store="s2"), OTHER_POOL),
        ("v", a_volume("v", cluster="another"), OTHER_POOL),
        ("v2", a_volume("v"), OTHER_KEY),
        ("n", a_snapshot("n", "v"), ""),
        ("n", a_snapshot("n", "v", store="s2"), OTHER_POOL),
        ("n", a_snapshot("n", "v", cluster="another"), OTHER_POOL),
        ("v", a_snapshot("n", "v"), OTHER_KEY),
        ("v", GONE, ""),
        ("v2", GONE, OTHER_KEY),
    ],
)
def test_what_a_pool_says(key: str, record: Word, reason: str) -> None:
    assert refused(POOL, key, record) == reason


def test_what_others_say_of_their_own() -> None:
    assert refused(Owner(store="r", role="registrar", cluster="c"), "p", project("p")) == ""
    images, member = Owner(store="i", role="image", cluster="c"), ImageMember(image="i", project="p")
    assert refused(images, "i/p", member) == ""
    assert refused(images, "i/q", member) == OTHER_KEY


def test_every_kind_is_somebodys() -> None:
    assert OWNED_BY.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_has_one_role(kind: str) -> None:
    roles = {"directory", "registrar", "image", "network", "host", "notifier", "volume", "scheduler", "api"}
    may: Any = {role for role in roles if not refused_kind(Owner(store="s", role=role, cluster="c"), kind)}
    assert may == {OWNED_BY[kind]}


def test_a_pool_tells_of_its_own_alone() -> None:
    may = {kind for kind in KINDS if not refused_kind(POOL, kind)}
    assert may == {"volume_pool", "volume", "snapshot", "volume_refusal"}
    for kind in ("volume_admission", "guest", "signing_key"):
        assert refused_kind(POOL, kind) == OTHER_ROLE
    for kind in may:
        assert refused_kind(HOST, kind) == OTHER_ROLE


def test_a_host_tells_of_its_own_alone() -> None:
    may = {kind for kind in KINDS if not refused_kind(HOST, kind)}
    assert may == {"host", "guest", "action", "refusal"}
    assert refused_kind(HOST, "signing_key") == OTHER_ROLE
    assert refused_kind(HOST, "what nobody knows yet") == "", "that is the reader's to judge"
