"""Every word comes back as it was sent, and readers of another version get along."""

from enum import Enum
from functools import reduce
from operator import or_
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from freehold.vocabulary.codec import KINDS, decode, decode_kind, encode, kind_of
from freehold.vocabulary.envelope import Frame, Heartbeat, OwnerQuestion, Page, Position
from freehold.vocabulary.guest import HostQuestion
from freehold.vocabulary.image import ImageQuestion
from freehold.vocabulary.network import NetworkQuestion
from freehold.vocabulary.request import Build, LedgerNotice, RegistrarQuestion
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import Project, Quota, User
from freehold.vocabulary.token import Token
from freehold.vocabulary.word import Word

QUESTIONS = {
    "owner": OwnerQuestion,
    "host": HostQuestion,
    "image": ImageQuestion,
    "network": NetworkQuestion,
    "registrar": RegistrarQuestion,
    "ledger": LedgerNotice,
}
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    inspect.StrType: st.text(max_size=8),
    inspect.IntType: st.integers(-(2**63), 2**63 - 1),
    inspect.FloatType: st.floats(allow_nan=False),
    inspect.BoolType: st.booleans(),
    inspect.BytesType: st.binary(max_size=8),
    inspect.NoneType: st.none(),
}


def of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Any value of a type, as msgspec describes it."""
    match kind:
        case inspect.StructType(cls=cls):
            return words(cls)
        case inspect.EnumType(cls=cls):
            assert issubclass(cls, Enum)
            return st.sampled_from(list(cls))
        case inspect.CustomType(cls=cls):
            assert cls is Secret
            return st.builds(Secret, st.text(max_size=8))
        case inspect.UnionType(types=types):
            return reduce(or_, map(of, types))
        case inspect.VarTupleType(item_type=item):
            return st.lists(of(item), max_size=2).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(of, items))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(of(key), of(value), max_size=2)
    return PLAIN[type(kind)]


def words(shape: Any) -> st.SearchStrategy[Any]:
    """Any word of a shape; fields with a default are sometimes left out."""
    described = inspect.type_info(shape)
    assert isinstance(described, inspect.StructType)
    required = {field.name: of(field.type) for field in described.fields if field.required}
    optional = {field.name: of(field.type) for field in described.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: shape(**fields))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_record_of_every_kind_comes_back(kind: str, data: st.DataObject) -> None:
    record = data.draw(words(KINDS[kind]))
    sent = encode(record)
    back = decode_kind(kind, sent)
    assert back == record and kind_of(back) == kind
    assert encode(back) == sent, "a digest over it would differ"


@pytest.mark.parametrize("room", QUESTIONS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_receiver_can_tell_which_question_it_was_asked(room: str, data: st.DataObject) -> None:
    union: Any = QUESTIONS[room]
    question = data.draw(words(data.draw(st.sampled_from(get_args(union)))))
    back = decode(encode(question), union)
    assert type(back) is type(question) and back == question


@pytest.mark.parametrize("shape", [Frame, Page, Heartbeat, Build, Token])
@settings(max_examples=20)
@given(data=st.data())
def test_what_travels_comes_back(shape: type[Word], data: st.DataObject) -> None:
    word = data.draw(words(shape))
    assert decode(encode(word), shape) == word


def test_every_class_has_one_kind() -> None:
    assert len(set(KINDS.values())) == len(KINDS)


def test_equal_words_are_equal_bytes() -> None:
    there, back = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert encode(there) == encode(back)


def test_defaults_are_left_out() -> None:
    assert decode(encode(Project(id="p", name="n")), dict[str, Any]) == {"id": "p", "name": "n"}


def test_a_field_of_a_later_version_is_skipped() -> None:
    sent = encode({"id": "p", "name": "n", "colour": "green", "shape": {"corners": 4}})
    assert decode(sent, Project) == Project(id="p", name="n")


def test_a_field_of_a_later_version_is_absent_from_an_earlier_one() -> None:
    assert decode(encode({"project": "p"}), Quota) == Quota(project="p")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xc1",
        encode("a text"),
        encode({"id": "p"}),
        encode({"id": 7, "name": "n"}),
        encode({"id": "p", "name": "n", "enabled": "yes"}),
        encode(Project(id="p", name="n")) + b"x",
    ],
    ids=[
        "nothing",
        "not MessagePack",
        "not a map",
        "a field missing",
        "a number for a text",
        "a text for a bool",
        "more",
    ],
)
def test_what_isnt_the_word_is_refused(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r".+") as refusal:
        decode_kind("project", sent)
    assert isinstance(refusal.value, msgspec.ValidationError | msgspec.DecodeError)


def test_a_question_that_isnt_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(encode({"type": "Explode", "guest": "g"}), HostQuestion)  # type: ignore[arg-type]


def test_a_kind_that_isnt_known_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        decode_kind("nothing", b"")
    with pytest.raises(KeyError):
        kind_of(Position(epoch="e"))


def test_secrets_travel_as_text_and_arrive_as_secrets() -> None:
    build = decode(encode({"password": "s"}), _Holding)
    assert build.password == Secret("s")
    with pytest.raises(msgspec.ValidationError):
        decode(encode({"password": 5}), _Holding)


class _Holding(Word, frozen=True, kw_only=True):
    password: Secret


def test_what_has_no_form_on_the_wire_is_refused() -> None:
    with pytest.raises(TypeError, match="object can't be sent"):
        encode(object())


def test_words_dont_change() -> None:
    user: Any = User(id="u", name="n")
    with pytest.raises(AttributeError):
        user.name = "m"
    with pytest.raises(TypeError):
        Project("p", "n")  # type: ignore[call-arg]
