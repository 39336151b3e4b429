"""The frame around Neutron's answers: filters, fields, order and pages of lists; single and bulk bodies; ownership."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec import UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.caller import SYSTEM_PROJECT
from freehold.api.paging import cut, next_link, ordered, wanted
from freehold.api.reading import find
from freehold.vocabulary.errors import BadRequest, Forbidden, FreeholdError
from freehold.vocabulary.network import DeleteOf
from freehold.vocabulary.tenant import Project

T = TypeVar("T")
Document = dict[str, Any]

BULK_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Noun:
    """How a collection is called: in bodies (``security_group``, ``security_groups``) and in sentences."""

    one: str
    many: str
    title: str

    @property
    def kind(self) -> str:
        """The kind of its records."""
        return self.one


Filter = Callable[[Document, list[str]], bool]
"""Whether a document fits any of the values given for a name in the query."""

_FRAMING: Final = frozenset(("limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"))

_NO_TAGS: Final[dict[str, Filter]] = {
    "tags": lambda document, texts: False,
    "tags-any": lambda document, texts: False,
    "not-tags": lambda document, texts: True,
    "not-tags-any": lambda document, texts: True,
}
"""Nothing has tags."""


def listed(
    call: Call,
    noun: Noun,
    documents: Iterable[Document],
    known: Iterable[str],
    special: Mapping[str, Filter] | None = None,
) -> Answer:
    """The page of `documents` that the query asks for. `known`: the names that may be filtered by."""
    filters = _filters(call, frozenset(known), {**_NO_TAGS, **(special or {})})
    rows = [document for document in documents if all(fits(document, texts) for fits, texts in filters)]
    page = wanted(call)
    rows, more = cut(_in_order(call, rows), page, lambda document: document["id"])
    body: Document = {noun.many: [with_fields(call, document) for document in rows]}
    if more:
        body[f"{noun.many}_links"] = [{"rel": "next", "href": next_link(call, rows[-1]["id"])}]
    return Answer(body=body)


def _filters(call: Call, known: frozenset[str], special: Mapping[str, Filter]) -> list[tuple[Filter, list[str]]]:
    names = call.query.names() - _FRAMING
    unknown = sorted(names - known - special.keys())
    if unknown:
        raise BadRequest(f"{[name[:64] for name in unknown[:5]]} are invalid attributes for filtering.")
    if call.query.flag("page_reverse"):
        raise BadRequest("Pages are read forwards only.")
    return [(special.get(name) or _equal(name), call.query.all(name)) for name in names]


def _equal(name: str) -> Filter:
    return lambda document, texts: any(_fits(document.get(name), text) for text in texts)


def _fits(value: object, text: str) -> bool:
    if isinstance(value, bool):
        return text.lower() == str(value).lower() or text == str(int(value))
    if value is None:
        return text in ("", "None", "null")
    return text in value if isinstance(value, list) else text == str(value)


def _in_order(call: Call, rows: list[Document]) -> list[Document]:
    names, directions = call.query.all("sort_key")[:10], call.query.all("sort_dir")[:10]
    if len(directions) not in (0, len(names)) or not set(directions) <= {"asc", "desc"}:
        raise BadRequest("Give one sort_dir, asc or desc, for each sort_key.")
    keys = [
        (name, direction == "desc") for name, direction in zip(names, directions or ["asc"] * len(names), strict=True)
    ]
    sortable = {name for name, value in rows[0].items() if not isinstance(value, (list, dict))} if rows else set(names)
    return ordered(rows, keys, {name: _value_of(name) for name in sortable})


def _value_of(name: str) -> Callable[[Document], object]:
    return lambda document: document.get(name)


def with_fields(call: Call, document: Document) -> Document:
    """The part of `document` that the query asks for by ``fields``; all of it if it names none."""
    names = call.query.all("fields")
    return {name: document[name] for name in names if name in document} if names else document


async def made(
    call: Call,
    noun: Noun,
    one: T | UnsetType,
    many: list[T] | UnsetType,
    make: Callable[[T], Awaitable[str]],
    show: Callable[[str], Awaitable[Document]],
) -> Answer:
    """Makes what the body asks for, one or several: all or none. `make` gives an id."""
    if not isinstance(one, UnsetType):
        return Answer(201, {noun.one: await show(await make(one))})
    if isinstance(many, UnsetType) or not many:
        raise BadRequest(f"Unable to find '{noun.one}' in the request body.")
    keys: list[str] = []
    try:
        for each in many:
            keys.append(await make(each))
    except FreeholdError:
        for key in keys:
            await asking.networks(call, DeleteOf(kind=noun.kind, id=key))
        raise
    return Answer(201, {noun.many: [await show(key) for key in keys]})


async def project_of(call: Call, tenant_id: str | UnsetType | None, project_id: str | UnsetType | None) -> str:
    """The project that a new thing is for: the caller's own, or the one an admin names."""
    named = {name for name in (tenant_id, project_id) if isinstance(name, str) and name}
    if len(named) > 1:
        raise BadRequest("'tenant_id' and 'project_id' name different projects.")
    project = named.pop() if named else call.caller.project
    if project == SYSTEM_PROJECT:
        raise BadRequest("Say with 'project_id' which project it is for.")
    if project != call.caller.project:
        if not call.caller.is_admin:
            raise Forbidden("Only an admin makes things for another project.")
        if await find(call, Project, project) is None:
            raise BadRequest(f"There is no project {project[:64]}.")
    return project


def given(value: T | UnsetType | None, default: T) -> T:
    """`value`, or `default` where none (or null) was given."""
    return default if value is None or isinstance(value, UnsetType) else value


def refuse_fields(values: Mapping[str, object]) -> None:
    """Raises BadRequest for the first of fields that clients may send empty, but that stand for nothing we have."""
    for name, value in values.items():
        if (
            value not in (None, False, "", "normal")
            and value != []
            and value != {}
            and not isinstance(value, UnsetType)
        ):
            raise BadRequest(f"'{name}' isn't offered by this cloud.")


def cluster_of(call: Call, zone_hints: list[str]) -> str:
    """The cluster that something new is to belong to: the first availability zone that was asked for, or the default
    one. Raises BadRequest for one that has no network worker.
    """
    if not zone_hints:
        return call.cloud.cluster
    known = {seen.owner.cluster for seen in call.cloud.view.owners() if seen.owner.role == "network"}
    if zone_hints[0] not in known | {call.cloud.cluster}:
        raise BadRequest(f"There is no availability zone {zone_hints[0][:64]}.")
    return zone_hints[0]
