"""What was made of servers is given as long as nothing that they show has changed."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.views.fragments import OVERHEAD_BYTES, Fragments
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.network import Port, SecurityGroup
from freehold.vocabulary.word import Word

PORT = Port(id="port", project="p", network="n", mac="m", device="g1")
GROUP = SecurityGroup(id="group", project="p", name="web")


def filled() -> Fragments:
    fragments = Fragments()
    for project, guest in (("p", "g1"), ("p", "g2"), ("q", "g3")):
        fragments.put(project, guest, "detail", guest.encode())
        fragments.put(project, guest, "summary", b"s")
    return fragments


def told(kind: str, key: str, value: Word | None) -> Entry:
    return Entry(1, 1, kind, key, None if value is None else encode(value), "test", b"")


def left(fragments: Fragments) -> list[str]:
    return [guest for guest in ("g1", "g2", "g3") if fragments.get(guest, "detail") == guest.encode()]


@pytest.mark.parametrize(
    ("entry", "before", "stays"),
    [
        (told("guest", "g1", None), None, ["g2", "g3"]),
        (told("admission", "g2", None), None, ["g1", "g3"]),
        (told("action", "g3/urn", None), None, ["g1", "g2"]),
        (told("refusal", "g3", None), None, ["g1", "g2"]),
        (told("port", "port", PORT), None, ["g2", "g3"]),
        (told("port", "port", None), PORT, ["g2", "g3"]),
        (told("port", "port", replace(PORT, device="g3")), PORT, ["g2"]),
        (told("port", "port", replace(PORT, device="")), replace(PORT, device="other"), ["g1", "g2", "g3"]),
        (told("security_group", "group", GROUP), None, ["g3"]),
        (told("security_group", "group", None), GROUP, ["g3"]),
        (told("host", "g1", None), None, ["g1", "g2", "g3"]),
    ],
)
def test_what_shows_the_changed_is_dropped(entry: Entry, before: Any, stays: list[str]) -> None:
    fragments = filled()
    fragments.changed(entry, None if before is None else encode(before))
    assert left(fragments) == stays
    assert [guest for guest in stays if fragments.get(guest, "summary") is None] == []


def test_a_variant_is_given_to_those_alone_for_whom_it_was_made() -> None:
    fragments = filled()
    assert fragments.get("g1", "another") is None
    assert fragments.get("nobody", "detail") is None
    fragments.put("p", "g1", "detail", b"anew")
    assert fragments.get("g1", "detail") == b"anew"


def test_no_more_is_kept_than_may_be_and_what_was_made_first_goes() -> None:
    size = OVERHEAD_BYTES + 100
    fragments = Fragments(bytes_max=3 * size)
    for number in range(5):
        fragments.put("p", f"g{number}", "detail", bytes(100))
    assert [number for number in range(5) if fragments.get(f"g{number}", "detail")] == [2, 3, 4]
    fragments.clear()
    assert not fragments
    nothing = Fragments(bytes_max=0)
    nothing.put("p", "g", "detail", b"x")
    assert not nothing and nothing.get("g", "detail") is None
    assert kind_of(PORT) == "port" and kind_of(GROUP) == "security_group"
