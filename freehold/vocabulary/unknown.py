"""What a newer version has put into a record or a message, and this one doesn't know.

Who changes the record or passes the message on keeps it: while a cloud is upgraded both versions write, and who goes
back to the version before finds again what the newer one had written. Kept are the fields of a word, and of words
directly within it, that its class here doesn't have.
"""

from functools import lru_cache
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec.structs import replace

from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.word import Word

W = TypeVar("W")

REST: Final = "rest"
"""The field of a message that is passed on in which what isn't known travels through this process: as bytes."""


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """Fields that a class doesn't have, and what isn't known of the words in fields that it has."""

    fields: dict[str, Any] = {}
    within: dict[str, "Rest"] = {}

    def __bool__(self) -> bool:
        return bool(self.fields or self.within)


def kept(newer: bytes, older: bytes, shape: type[Word]) -> bytes:
    """A record as it is to be written: `newer`, and what `older`, which it replaces, has that `shape` doesn't know."""
    try:
        if encode(decode(older, shape)) == older:  # as nearly always, and this costs a sixth
            return newer
    except ValueError:  # no record of this shape: it is replaced
        return newer
    rest = _unknown(msgspec.msgpack.decode(older), shape)
    return _with(newer, rest) if rest else newer


def carrying(word: W, body: bytes) -> W:
    """A message that came as `body`, with what it has that its class doesn't know in its field `rest`."""
    assert isinstance(word, Word)
    if not getattr(word, REST) and encode(word) == body:  # as nearly always
        return word
    rest = _unknown(msgspec.msgpack.decode(body), type(word))
    return replace(word, rest=encode(rest) if rest else b"")


def as_sent(word: Word) -> bytes:
    """A message as it goes on: with what came in it and isn't known here."""
    rest: bytes = getattr(word, REST, b"")
    return _with(encode(replace(word, rest=b"")), decode(rest, Rest)) if rest else encode(word)


def is_carried(shape: Any) -> bool:
    """Whether messages of a shape are passed on."""
    return REST in getattr(shape, "__struct_fields__", ())


def _unknown(told: Any, shape: type[Word]) -> Rest:
    known = _fields(shape)
    within = {
        name: rest
        for name, inner in known.items()
        if inner is not None and isinstance(told.get(name), dict) and (rest := _unknown(told[name], inner))
    }
    return Rest({name: value for name, value in told.items() if name not in known}, within)


@lru_cache(maxsize=1024)
def _fields(shape: type[Word]) -> dict[str, type[Word] | None]:
    """The fields of a class, each with the class of the word in it, if there is one."""
    hints, tag = get_type_hints(shape), shape.__struct_config__.tag_field
    return {name: _word_in(hints[name]) for name in shape.__struct_fields__} | ({tag: None} if tag else {})


def _word_in(hint: Any) -> type[Word] | None:
    words = [one for one in (hint, *get_args(hint)) if isinstance(one, type) and issubclass(one, Word)]
    return words[0] if len(words) == 1 and not hasattr(hint, "__origin__") else None


def _with(body: bytes, rest: Rest) -> bytes:
    told = msgspec.msgpack.decode(body)
    merged = _merged(told, rest)
    return body if merged == told else encode(merged)


def _merged(told: dict[str, Any], rest: Rest) -> dict[str, Any]:
    """What is known is as it is told; a word that isn't there any more takes what was unknown in it along."""
    inner = {name: _merged(told[name], more) for name, more in rest.within.items() if isinstance(told.get(name), dict)}
    return rest.fields | told | inner
