"""A secret is handed on, and shown nowhere."""

import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest

from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import Credentials

TEXT = "correct horse"
SECRET = Secret(TEXT)
HELD = Credentials(user="anne", password=SECRET)

SHOWN: dict[str, Callable[[], str]] = {
    "repr": lambda: repr(SECRET),
    "str": lambda: str(SECRET),
    "f-string": lambda: f"{SECRET} {SECRET!r} {SECRET!s}",
    "format": lambda: "{}".format(SECRET),  # noqa: UP032 - another way to be shown
    "percent": lambda: "%s %r" % (SECRET, SECRET),  # noqa: UP031 - another way to be shown
    "what holds it": lambda: repr(HELD) + str(HELD),
    "a list": lambda: repr([SECRET, {"k": SECRET}]),
    "an error": lambda: repr(ValueError(SECRET)) + str(ValueError(SECRET)),
    "its attributes": lambda: " ".join(map(repr, dir(SECRET))),
}


@pytest.mark.parametrize("how", SHOWN)
def test_it_shows_only_that_there_is_one(how: str) -> None:
    assert TEXT not in SHOWN[how]()


OUT: dict[str, Callable[[], object]] = {
    "pickle": lambda: pickle.dumps(SECRET),
    "an old pickle": lambda: pickle.dumps(SECRET, 0),
    "a pickle of what holds it": lambda: pickle.dumps(HELD),
    "copy": lambda: copy.copy(SECRET),
    "deepcopy": lambda: copy.deepcopy([SECRET]),
    "json": lambda: json.dumps(SECRET),  # type: ignore[arg-type,unused-ignore]
    "msgspec's json": lambda: msgspec.json.encode(HELD),
    "a width": lambda: f"{SECRET:>40}",
    "vars": lambda: vars(SECRET),
}


@pytest.mark.parametrize("how", OUT)
def test_it_has_no_other_way_out(how: str) -> None:
    with pytest.raises(TypeError) as refusal:
        OUT[how]()
    assert TEXT not in str(refusal.value)


def test_it_is_revealed_where_that_is_asked_for() -> None:
    assert SECRET.reveal() == TEXT


def test_secrets_are_equal_to_secrets_alone() -> None:
    assert Secret(TEXT) == SECRET and hash(SECRET) == hash(Secret(TEXT))
    assert Secret("other") != SECRET
    assert TEXT != SECRET and SECRET != None  # noqa: E711 - what a comparison by hand would be


def test_an_empty_secret_is_none() -> None:
    assert not Secret("") and SECRET
