"""Ids look as they should, and what doesn't is never used as a path or a subject."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.vocabulary.ids import is_uuid, request_urn, short, uuid_text

GOOD = "6f1f8d2c-9a3e-4c1d-8e5b-0a1b2c3d4e5f"


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_a_random_uuid_in_its_plain_form(chance: bytes) -> None:
    text = uuid_text(chance)
    assert is_uuid(text)
    assert uuid.UUID(text).version == 4 and uuid.UUID(text).variant == uuid.RFC_4122
    assert str(uuid.UUID(text)) == text


def test_the_same_chance_is_the_same_id() -> None:
    assert uuid_text(bytes(range(16))) == "00010203-0405-4607-8809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        GOOD.upper(),
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("-", ""),
        f"{{{GOOD}}}",
        f"urn:uuid:{GOOD}",
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace("6", "g", 1),
        GOOD.replace("6", "٦", 1),
        "../../../../etc/passwd",
        GOOD + "/..",
        "*",
        ">",
    ],
)
def test_what_isnt_an_id(bad: str) -> None:
    assert not is_uuid(bad)


def test_the_urn_of_a_request() -> None:
    assert request_urn(GOOD) == f"urn:freehold:request:{GOOD}"


def test_a_short_name_fits_behind_a_prefix() -> None:
    assert short(GOOD) == "6f1f8d2c9a3" and len("tap-" + short(GOOD)) <= 15
