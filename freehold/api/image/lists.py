"""Lists of images: Glance's filters, order and pages."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.image.fields import shown
from freehold.api.paging import cut, ordered, page_query, wanted
from freehold.api.reading import every
from freehold.api.sharing import OPEN, memberships
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.image import Image, MemberStatus, Visibility

PAGE_DEFAULT: Final = 25

_HANDLED: Final = frozenset(
    {
        "limit",
        "marker",
        "sort",
        "sort_key",
        "sort_dir",
        "visibility",
        "member_status",
        "tag",
        "os_hidden",
        "size_min",
        "size_max",
        "protected",
        "created_at",
        "updated_at",
    }
)
"""Names in the query that aren't the plain equality of a field or property."""

_LISTS: Final = frozenset(("id", "name", "status", "container_format", "disk_format"))
"""Fields that also take ``in:a,b``."""

_SORT: Final[dict[str, Callable[[Image], object]]] = {
    "id": lambda image: image.id,
    "name": lambda image: image.name,
    "status": lambda image: image.status.value,
    "container_format": lambda image: image.container_format,
    "disk_format": lambda image: image.disk_format,
    "size": lambda image: image.size_bytes,
    "min_ram": lambda image: image.min_ram_mib,
    "min_disk": lambda image: image.min_disk_gib,
    "owner": lambda image: image.project,
    "visibility": lambda image: image.visibility.value,
    "created_at": lambda image: image.created,
    "updated_at": lambda image: image.updated,
}

_TIMES: Final[dict[str, Callable[[str, str], bool]]] = {
    "eq": lambda told, given: told == given,
    "neq": lambda told, given: told != given,
    "gt": lambda told, given: told > given,
    "gte": lambda told, given: told >= given,
    "lt": lambda told, given: told < given,
    "lte": lambda told, given: told <= given,
}


async def index(call: Call) -> Answer:
    """GET /v2/images."""
    page = wanted(call, PAGE_DEFAULT)
    keeps = _filters(call, await memberships(call))
    rows = [image for image in await every(call, Image) if all(keep(image) for keep in keeps)]
    images, more = cut(ordered(rows, _sort_keys(call), _SORT), page, lambda image: image.id)
    body: dict[str, Any] = {
        "images": [shown(image) for image in images],
        "first": f"/v2/images?{page_query(call, '')}".removesuffix("?"),
        "schema": "/v2/schemas/images",
    }
    if more:
        body["next"] = f"/v2/images?{page_query(call, images[-1].id)}"
    return Answer(body=body)


def _sort_keys(call: Call) -> list[tuple[str, bool]]:
    if sort := call.query.one("sort"):
        parts = [part.partition(":") for part in sort.split(",")]
        return [(name, _descends(direction)) for name, _, direction in parts[:10]]
    names = call.query.all("sort_key")[:10] or ["created_at"]
    directions = call.query.all("sort_dir") or [""]
    return [(name, _descends(directions[min(i, len(directions) - 1)])) for i, name in enumerate(names)]


def _descends(direction: str) -> bool:
    if direction not in ("", "asc", "desc"):
        raise BadRequest(f"Sort direction must be asc or desc, not '{direction[:32]}'.")
    return direction != "asc"


Keep = Callable[[Image], bool]


def _filters(call: Call, shared: Mapping[str, MemberStatus]) -> list[Keep]:
    query = call.query
    hidden, protected = query.flag("os_hidden") or False, query.flag("protected")
    low, high = query.number("size_min"), query.number("size_max")
    tags = query.all("tag")
    keeps: list[Keep] = [
        _visibility(call, shared),
        lambda image: image.hidden is hidden,
        lambda image: protected is None or image.protected is protected,
        lambda image: low is None or (image.size_bytes or 0) >= low,
        lambda image: high is None or (image.size_bytes or 0) <= high,
        lambda image: all(tag in image.tags for tag in tags),
    ]
    keeps += [_time(name, text) for name in ("created_at", "updated_at") for text in query.all(name)]
    keeps += [_equal(name, text) for name, text in query.pairs() if name not in _HANDLED]
    return keeps


def _visibility(call: Call, shared: Mapping[str, MemberStatus]) -> Keep:
    """`shared`: what the caller's project says of the images that are shared with it."""
    wanted_text, caller, statuses = call.query.one("visibility"), call.caller, _member_statuses(call)

    def is_shared(image: Image) -> bool:
        return image.visibility is Visibility.SHARED and shared.get(image.id) in statuses

    if wanted_text is None or wanted_text == "all":
        everything = wanted_text == "all"
        return lambda image: (
            caller.owns(image.project)
            or image.visibility is Visibility.PUBLIC
            or (everything and image.visibility is Visibility.COMMUNITY)
            or is_shared(image)
        )
    try:
        visibility = Visibility(wanted_text)
    except ValueError as error:
        raise BadRequest(f"Invalid visibility value: {wanted_text[:64]}") from error
    open_to_all = visibility in OPEN
    return lambda image: (
        image.visibility is visibility and (open_to_all or caller.owns(image.project) or is_shared(image))
    )


def _member_statuses(call: Call) -> Collection[MemberStatus]:
    """Of the images that are shared with the caller's project, those of which it says this are listed."""
    text = call.query.one("member_status") or MemberStatus.ACCEPTED
    if text == "all":
        return tuple(MemberStatus)
    try:
        return (MemberStatus(text),)
    except ValueError as error:
        raise BadRequest(f"Invalid member status: {text[:64]}; it can be accepted, pending, rejected or all") from error


def _time(name: str, text: str) -> Keep:
    operator, colon, moment = text.partition(":")
    compare = _TIMES.get(operator) if colon else None
    if compare is None:  # a bare time, which has colons of its own
        compare, moment = _TIMES["eq"], text
    return lambda image: compare(shown(image)[name], moment)


def _equal(name: str, text: str) -> Keep:
    wanted_texts = text[3:].split(",") if name in _LISTS and text.startswith("in:") else [text]
    texts = {part.strip('"') if text.startswith("in:") else part for part in wanted_texts}
    return lambda image: _told(shown(image).get(name)) in texts


def _told(value: object) -> str:
    return "" if value is None else str(value)
