"""Lists of volumes and of snapshots: Cinder's filters, order and pages, from the project's own rows.

Both are read from the registrar's admissions, in the order of their creation. The pools in which those of a page lie
are asked first where they stand.
"""

import ast
import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from freehold.api.call import Answer, Call
from freehold.api.paging import Wanted, ordered, page_query, wanted
from freehold.api.reading import is_key, shards
from freehold.api.times import milliseconds
from freehold.api.volume import microversion as mv
from freehold.api.volume.joined import Joined, joined
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.units import unix_ms
from freehold.vocabulary.volume_request import VolumeAdmission

T = TypeVar("T")

POOLS_ASKED_MAX: Final = 32
"""With more, none is asked where it stands before a list is filtered by what pools say."""
AT_ONCE: Final = 50
"""Things that are looked at or shown, between which others have their turn."""
SORTED_MAX: Final = 100_000
"""A list in another order than that of creation is sorted in memory, and refused above this."""
SORT_KEYS_MAX: Final = 10
PAIRS_LENGTH_MAX: Final = 4096
FILTERS_OF_TIME_MAX: Final = 8

Keep = Callable[[Joined], bool]
Filters = Mapping[str, Callable[[Call, str], Keep]]
Sort = Mapping[str, Callable[[T], object]]
Shape = Callable[[Call, Joined], dict[str, Any]]

_ALWAYS: Final = frozenset(
    {"limit", "marker", "offset", "sort", "sort_key", "sort_dir"}
    | {"all_tenants", "project_id", "tenant_id", "with_count"}
)
"""Names in the query that aren't filters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is listed: volumes, or snapshots."""

    noun: str
    of_snapshots: bool
    sort: Sort[Joined]
    filters: Filters


async def listed(call: Call, kind: Kind, shape: Shape) -> Answer:
    """The page that the query asks for. Raises BadRequest for what isn't right in it."""
    keeps, page = keeps_of(call, kind), wanted(call)
    offset, keys = call.query.number("offset") or 0, sort_keys(call, kind.sort)
    counts = mv.of(call) >= mv.COUNT and (call.query.flag("with_count") or False)
    await fresh(call)
    is_plain = not keeps and keys in _NATIVE
    if not is_plain:
        await _ask_pools(call, _stores(_admissions(call, kind)))
    try:
        if is_plain:
            rows = await _plain(call, kind, keys, page, offset)
        else:
            rows = await _chosen(call, kind, keeps, keys, page, offset)
    except NotFound as error:
        raise BadRequest(f"marker [{page.marker[:64]}] not found") from error
    body: dict[str, Any] = {kind.noun: await _shaped(call, rows[: page.limit], shape)}
    if len(rows) > page.limit:
        body[f"{kind.noun}_links"] = [{"rel": "next", "href": _next(call, rows[page.limit - 1].id)}]
    if counts:
        body["count"] = sum([1 async for _ in kept(call, kind, keeps)])
    return Answer(body=body)


_NATIVE: Final[tuple[list[tuple[str, bool]], ...]] = ([], [("created_at", True)], [("created_at", False)])


async def _shaped(call: Call, rows: list[Joined], shape: Shape) -> list[dict[str, Any]]:
    shown = []
    for item in rows:
        shown.append(shape(call, item))
        if len(shown) % AT_ONCE == 0:
            await asyncio.sleep(0)
    return shown


def _next(call: Call, marker: str) -> str:
    """The next page's link; an offset was for the first page."""
    pairs = [(name, value) for name, value in call.query.pairs() if name not in ("marker", "offset")]
    query = urlencode([*pairs, ("marker", marker)]) if "offset" in call.query.names() else page_query(call, marker)
    return f"{call.base_url}{call.path}?{query}"


# --- what there is ---------------------------------------------------------------------------------------------------


def project_of(call: Call) -> str | None:
    """Whose are listed: the caller's project's; an admin may ask for another's, or for everybody's (None)."""
    everybody = call.query.flag("all_tenants") or False
    named = call.query.one("project_id") or call.query.one("tenant_id")
    if not call.caller.is_admin or not (everybody or named):
        return call.caller.project
    return named or None


async def fresh(call: Call) -> None:
    """Makes sure that the view has every admission that may be listed."""
    await call.cloud.view.fresh(["registrar"], shards(call, VolumeAdmission, project_of(call)))


def _admissions(call: Call, kind: Kind, after: str = "", *, newest_first: bool = True) -> Iterator[VolumeAdmission]:
    project = project_of(call)
    if project is not None and not is_key(project):
        return
    if after and not is_key(after):
        raise NotFound("no such marker")
    for admission in call.cloud.view.list(VolumeAdmission, project, after=after, newest_first=newest_first):
        if bool(admission.snapshot_of) is kind.of_snapshots:
            yield admission


def _stores(admissions: Iterator[VolumeAdmission]) -> set[str]:
    """The pools that they are in; none if these are too many to be asked."""
    found = set[str]()
    for admission in admissions:
        if admission.place is not None:
            found.add(admission.place.store)
        if len(found) > POOLS_ASKED_MAX:
            return set()
    return found


async def _ask_pools(call: Call, stores: set[str]) -> None:
    if stores:
        await call.cloud.view.fresh(["volume"], hosts=stores)


async def kept(
    call: Call, kind: Kind, keeps: list[Keep], after: str = "", *, newest_first: bool = True
) -> AsyncGenerator[Joined, None]:
    """Those that are wanted, in order of creation. Raises NotFound for an unknown marker."""
    for number, admission in enumerate(_admissions(call, kind, after, newest_first=newest_first), 1):
        item = joined(call, admission)
        if all(keep(item) for keep in keeps):
            yield item
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


async def _plain(call: Call, kind: Kind, keys: list[tuple[str, bool]], page: Wanted, offset: int) -> list[Joined]:
    """A page of all there is, as it comes: only its own pools are asked, and only its own rows joined."""
    every = _admissions(call, kind, page.marker, newest_first=keys != [("created_at", False)])
    admissions = list(islice(every, offset, offset + page.limit + 1))
    await _ask_pools(call, _stores(iter(admissions[: page.limit])))
    return [joined(call, admission) for admission in admissions]


async def _chosen(
    call: Call, kind: Kind, keeps: list[Keep], keys: list[tuple[str, bool]], page: Wanted, offset: int
) -> list[Joined]:
    if keys not in _NATIVE:
        return await _sorted(call, kind, keeps, keys, page, offset)
    rows: list[Joined] = []
    async with aclosing(kept(call, kind, keeps, page.marker, newest_first=keys != [("created_at", False)])) as every:
        async for item in every:
            offset -= 1
            if offset < 0:
                rows.append(item)
            if len(rows) > page.limit:
                break
    return rows


async def _sorted(
    call: Call, kind: Kind, keeps: list[Keep], keys: list[tuple[str, bool]], page: Wanted, offset: int
) -> list[Joined]:
    rows: list[Joined] = []
    async for item in kept(call, kind, keeps):
        rows.append(item)
        if len(rows) > SORTED_MAX:
            raise BadRequest(f"more than {SORTED_MAX} {kind.noun} can't be sorted; filter them, or sort by created_at")
    rows = ordered(rows, keys, dict(kind.sort))
    if page.marker:
        at = next((i for i, item in enumerate(rows) if item.id == page.marker), None)
        if at is None:
            raise NotFound("no such marker")
        rows = rows[at + 1 :]
    return rows[offset : offset + page.limit + 1]


# --- what is asked for -----------------------------------------------------------------------------------------------


def sort_keys(call: Call, known: Sort[T]) -> list[tuple[str, bool]]:
    """The names to sort by, each with whether it descends. Raises BadRequest."""
    query = call.query
    sort = query.one("sort")
    if sort is not None:
        if query.names() & {"sort_key", "sort_dir"}:
            raise BadRequest("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with 'sort'.")
        parts = [part.strip().partition(":") for part in sort.split(",") if part.strip()]
        pairs = [(name, direction) for name, _, direction in parts]
    else:
        names = [name for name in (query.one("sort_key") or "").split(",") if name]
        directions = [one for one in (query.one("sort_dir") or "").split(",") if one]
        if len(directions) > max(len(names), 1):
            raise BadRequest("There are more sort directions than sort keys.")
        names = names or (["created_at"] if directions else [])
        pairs = [(name, (directions or ["desc"])[min(i, len(directions or " ") - 1)]) for i, name in enumerate(names)]
    return [(_sort_key(name, known), _descends(direction)) for name, direction in pairs[:SORT_KEYS_MAX]]


def _sort_key(name: str, known: Sort[T]) -> str:
    if name not in known:
        raise BadRequest(f"Invalid sort key '{name[:64]}': it can be {', '.join(sorted(known))}.")
    return name


def _descends(direction: str) -> bool:
    if direction not in ("", "asc", "desc"):
        raise BadRequest(f"Invalid sort direction '{direction[:32]}': it must be asc or desc.")
    return direction != "asc"


def keeps_of(call: Call, kind: Kind) -> list[Keep]:
    """What the query asks for. Raises BadRequest for what isn't right: from 3.31 on, names that aren't filters too."""
    version = mv.of(call)
    unknown = sorted(call.query.names() - _ALWAYS - {*kind.filters} - {f"{name}~" for name in kind.filters})
    if unknown and version >= mv.FILTERS_CHECKED:
        raise BadRequest(f"Invalid filters {', '.join(name[:64] for name in unknown)} are found in query options.")
    keeps: list[Keep] = []
    for name, make in kind.filters.items():
        value = call.query.one(name)
        if value is not None:
            keeps.append(make(call, value))
        alike = call.query.one(f"{name}~")
        if alike is not None and version >= mv.LIKE_FILTERS:
            keeps.append(_alike(name, alike, kind))
    return keeps


def _alike(name: str, value: str, kind: Kind) -> Keep:
    read, part = kind.sort.get(name), value.lower()
    if read is None:
        raise BadRequest(f"'{name[:64]}' can't be filtered by a part of it.")
    return lambda item: part in str(read(item) or "").lower()


def equal(read: Callable[[Joined], object]) -> Callable[[Call, str], Keep]:
    """A filter by a text that must be the same."""
    return lambda call, value: lambda item: read(item) == value


def flag(name: str, read: Callable[[Joined], bool]) -> Callable[[Call, str], Keep]:
    """A filter by yes or no."""

    def make(call: Call, value: str) -> Keep:
        del value
        asked = call.query.flag(name)
        return lambda item: read(item) is asked

    return make


def pairs(name: str, read: Callable[[Joined], Mapping[str, str]]) -> Callable[[Call, str], Keep]:
    """A filter by names and values that must be among others, as a JSON object or as Python writes a dictionary."""

    def make(call: Call, value: str) -> Keep:
        del call
        asked = _read_pairs(name, value).items()
        return lambda item: all(read(item).get(key) == text for key, text in asked)

    return make


def _read_pairs(name: str, text: str) -> dict[str, str]:
    error = BadRequest(f"The filter '{name}' must be an object of names and values, such as {{'name': 'value'}}.")
    if len(text) > PAIRS_LENGTH_MAX:
        raise error
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    raise error


_COMPARED: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "eq": lambda told, given: told == given,
    "neq": lambda told, given: told != given,
    "gt": lambda told, given: told > given,
    "gte": lambda told, given: told >= given,
    "lt": lambda told, given: told < given,
    "lte": lambda told, given: told <= given,
}


def times(name: str, read: Callable[[Joined], int]) -> Callable[[Call, str], Keep]:
    """A filter by a clock time: ``gt:2026-11-23T10:00:00,lt:…``."""

    def make(call: Call, value: str) -> Keep:
        del call
        tests = [_time(name, part) for part in value.split(",")[:FILTERS_OF_TIME_MAX]]
        return lambda item: all(test(unix_ms(read(item)) // 1000) for test in tests)

    return make


def _time(name: str, text: str) -> Callable[[int], bool]:
    operator, _, moment = text.partition(":")
    compare = _COMPARED.get(operator)
    if compare is None:  # a bare time, which has colons of its own
        compare, moment = _COMPARED["eq"], text
    at_s = milliseconds(name, moment) // 1000
    return lambda told: compare(told, at_s)
