"""What a place's server says when it refuses, for a person, and without what nobody may see."""

from typing import Final

from freehold.vocabulary.errors import BadRequest, Unavailable
from freehold.vocabulary.place import Purpose
from freehold.vocabulary.secret import Secret

SAID_LETTERS_MAX: Final = 300
SECRET_LETTERS_MIN: Final = 4
"""Shorter ones would blot out half of a sentence, and show what they are."""


def refused(purpose: Purpose, shown: str, error: BaseException, *secrets: Secret) -> Unavailable:
    """A server's refusal, in its own words, shortened."""
    said = " ".join(str(error).split())
    for secret in secrets:
        if len(secret.reveal()) >= SECRET_LETTERS_MIN:
            said = said.replace(secret.reveal(), "…")
    said = said[:SAID_LETTERS_MAX] or type(error).__name__
    return Unavailable(f"{purpose.the_place()} {shown} can't be used: {said}")


def missing(purpose: Purpose, kind: str, extra: str) -> BadRequest:
    """A library that isn't installed."""
    return BadRequest(f"{purpose.words} at {kind} need a library that isn't installed: pip install 'freehold[{extra}]'")
