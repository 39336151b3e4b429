"""Host aggregates: hosts that an operator puts together, to place guests by what is said of them."""

import operator
import re
from collections.abc import Callable
from typing import Final

import msgspec

from freehold.vocabulary.word import Word

TENANTS: Final = "filter_tenant_id"
"""What the name of metadata begins with whose value names projects: the hosts take no others' guests."""
SPECS: Final = "aggregate_instance_extra_specs:"
"""What the name of an extra spec begins with that asks for hosts by the metadata of their aggregates."""
FOR_ALL: Final = "for all projects"
"""The quality of a host that no aggregate keeps for some projects."""
METADATA_MAX: Final = 128

_NUMBERS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.ge,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_TEXTS: Final[dict[str, Callable[[str, str], bool]]] = {"s==": operator.eq, "s!=": operator.ne}


class Aggregate(Word, frozen=True, kw_only=True):
    """A host aggregate (kind ``aggregate``, key its id). `number`: the id that Nova's API shows."""

    id: str
    number: int
    name: str
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    created: int = 0
    updated: int = 0


class AggregateHost(Word, frozen=True, kw_only=True):
    """A host is in an aggregate (kind ``aggregate_host``, key aggregate/host); whatever it says of itself."""

    aggregate: str
    host: str
    created: int = 0


def quality(aggregate: str) -> str:
    """The quality of a host that is in an aggregate."""
    return f"in {aggregate}"


def values(text: str) -> frozenset[str]:
    """What metadata says: several values are separated by commas."""
    return frozenset(part.strip() for part in text.split(","))


def projects(aggregate: Aggregate) -> frozenset[str] | None:
    """The projects that an aggregate's hosts are kept for; None: they are for all."""
    named = [values(text) for key, text in aggregate.metadata.items() if key.startswith(TENANTS)]
    return frozenset[str]().union(*named) - {""} if named else None


def matches(aggregate: Aggregate, key: str, wanted: str) -> bool:
    """Whether an aggregate has metadata as an extra spec wants it, in the words of Nova's filters."""
    text = aggregate.metadata.get(key)
    return text is not None and any(_is_as(value, wanted) for value in values(text))


def _is_as(value: str, wanted: str) -> bool:
    how, _, operand = wanted.strip().partition(" ")
    operand = operand.strip()
    if how == "<or>":
        return value in {part.strip() for part in operand.split("<or>")}
    if how == "<in>":
        return operand in value
    if how in _TEXTS:
        return _TEXTS[how](value, operand)
    if how in _NUMBERS:
        return _is_number(value) and _is_number(operand) and _NUMBERS[how](float(value), float(operand))
    return value == wanted


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text) is not None
