"""The chain over a log: whatever is changed in it, shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.vocabulary.digest import chained
from freehold.vocabulary.envelope import DIGEST_BYTES, NO_DIGEST

ENTRY: dict[str, Any] = {
    "before": NO_DIGEST,
    "seq": 1,
    "time": 2,
    "kind": "guest",
    "key": "g",
    "value": b"v",
    "cause": "urn",
}
TEXT, NUMBER = st.text(max_size=4), st.integers(0, 2**64 - 1)
ANY = st.fixed_dictionaries(
    {
        "before": st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES),
        "seq": NUMBER,
        "time": NUMBER,
        "kind": TEXT,
        "key": TEXT,
        "value": st.none() | st.binary(max_size=4),
        "cause": TEXT,
    }
)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("before", b"x" * DIGEST_BYTES),
        ("seq", 2),
        ("time", 3),
        ("kind", "port"),
        ("key", "h"),
        ("value", b"w"),
        ("value", None),
        ("value", b""),
        ("cause", "urn2"),
    ],
)
def test_every_field_counts(field: str, other: object) -> None:
    assert chained(**(ENTRY | {field: other})) != chained(**ENTRY)


def test_a_delete_isnt_an_empty_record() -> None:
    assert chained(**(ENTRY | {"value": None})) != chained(**(ENTRY | {"value": b""}))


@given(one=ANY, other=ANY)
def test_only_the_same_entry_has_the_same_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (chained(**one) == chained(**other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"kind": "ab", "key": "c"}, {"kind": "a", "key": "bc"}),
        ({"key": "ab", "cause": "c"}, {"key": "a", "cause": "bc"}),
        ({"cause": "a", "value": b"b"}, {"cause": "", "value": b"ab"}),
    ],
)
def test_nothing_slips_from_one_field_into_the_next(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert chained(**(ENTRY | one)) != chained(**(ENTRY | other))


def test_it_is_the_same_on_every_machine_and_in_every_version() -> None:
    first = chained(**ENTRY)
    assert len(first) == DIGEST_BYTES
    second = chained(**(ENTRY | {"before": first, "seq": 2, "value": None}))
    assert (first.hex(), second.hex()) == ("097c9d827e7e8b22ce2b61b0aa7a328d", "ab346f39e82e6d5d1b4c710ddb901c4e")
