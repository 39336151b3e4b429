"""An error crosses the bus and is the same on the other side."""

from collections.abc import Iterator

import pytest

from freehold.vocabulary import errors
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken, Fault, FreeholdError, NoAnswer, QuotaExceeded, raised_from

SENTENCE = "the guest is gone; ask for another"


def below(cls: type[FreeholdError]) -> Iterator[type[FreeholdError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


ALL = sorted(below(FreeholdError), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", ALL)
def test_every_error_is_raised_again_as_itself(cls: type[FreeholdError]) -> None:
    fault = decode(encode(cls(SENTENCE).fault()), Fault)
    assert fault == Fault(code=cls.__name__, message=SENTENCE)
    error = raised_from(fault)
    assert type(error) is cls and error.message == str(error) == SENTENCE


@pytest.mark.parametrize("cls", ALL)
def test_every_error_stands_in_the_tree(cls: type[FreeholdError]) -> None:
    assert cls.__name__ in (errors.__doc__ or "")
    assert cls.__doc__


@pytest.mark.parametrize("code", ["", "Mystery", "FreeholdError", "ValueError", "Exception"])
def test_an_error_that_isnt_known_here_is_ours(code: str) -> None:
    error = raised_from(Fault(code=code, message=SENTENCE))
    assert type(error) is Broken and error.message == SENTENCE


def test_a_caller_may_be_content_with_the_wider_word() -> None:
    assert issubclass(NoAnswer, errors.Unavailable) and issubclass(QuotaExceeded, errors.Forbidden)
    assert issubclass(errors.TooLarge, errors.BadRequest)
