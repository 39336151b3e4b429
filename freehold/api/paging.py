"""Pages of lists: a limit, a marker (the id of the last item of the page before), and a link to the next page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import urlencode

from freehold.api.call import Call
from freehold.vocabulary.errors import BadRequest

T = TypeVar("T")

LIMIT_MAX: Final = 1000
"""No page is longer; a larger limit that a client asks for is taken as this one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The page a client asks for: at most `limit` items after the one with id `marker` (empty: from the start)."""

    limit: int
    marker: str


def wanted(call: Call, default: int = LIMIT_MAX) -> Wanted:
    """The page that the query names; limit 0 means the default. Raises BadRequest for one below or no number."""
    limit = call.query.number("limit", low=0)
    return Wanted(min(limit or default, LIMIT_MAX), call.query.one("marker") or "")


def cut(rows: Iterable[T], page: Wanted, id_of: Callable[[T], str]) -> tuple[list[T], bool]:
    """The page's rows out of all `rows`, and whether others follow. Raises BadRequest for an unknown marker."""
    rest = iter(rows)
    if page.marker and all(id_of(row) != page.marker for row in rest):
        raise BadRequest(f"marker [{page.marker[:64]}] not found")
    found = list(islice(rest, page.limit + 1))
    return found[: page.limit], len(found) > page.limit


def page_query(call: Call, marker: str) -> str:
    """The query of this call for the page after `marker`; for the first page where that is empty."""
    others = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    return urlencode([*others, ("marker", marker)] if marker else others)


def next_link(call: Call, marker: str) -> str:
    """The whole URL of the next page."""
    return f"{call.base_url}{call.path}?{page_query(call, marker)}"


def ordered(rows: Sequence[T], keys: Sequence[tuple[str, bool]], known: dict[str, Callable[[T], object]]) -> list[T]:
    """`rows` by the sort keys (name, descending), the first being the most important; missing values first.

    Raises BadRequest for a key that isn't in `known`.
    """
    result = list(rows)
    for name, descending in reversed(keys):
        value_of = known.get(name)
        if value_of is None:
            raise BadRequest(f"'{name[:64]}' can't be sorted by")
        result.sort(key=lambda row: _orderable(value_of(row)), reverse=descending)
    return result


def _orderable(value: object) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value))
