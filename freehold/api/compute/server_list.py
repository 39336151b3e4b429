"""Lists of servers: Nova's filters, order and pages, from the project's own rows."""

import asyncio
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from msgspec import Raw

from freehold.api.call import AS_OF, Answer, Call
from freehold.api.compute import as_of, server_changes, server_fragments, server_view
from freehold.api.compute.server_view import Server
from freehold.api.paging import Wanted, next_link, ordered, wanted
from freehold.api.reading import shards
from freehold.api.times import milliseconds
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.host import Host
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import iso_seconds

PATTERN_LENGTH_MAX: Final = 255
REPEATS_MAX: Final = 1
OPTIONALS_MAX: Final = 3
ALTERNATIVES_MAX: Final = 20
SEARCHED_LENGTH_MAX: Final = 255
"""What of a text a pattern is searched in."""

_ENDS_THAT_ALL_FIT: Final = re.compile(r"^\^?\.\*(?![?+])|(?<!\\)\.\*\$?$")
_ESCAPES_AND_CLASSES: Final = re.compile(r"\\[^1-9xuUN]|\[\^?\]?[^\]\[]*\]")

HOSTS_ASKED_MAX: Final = 32
"""With more, none is asked where it stands before a list is filtered by what hosts say."""
MADE_AT_ONCE: Final = 50
"""Servers of a page, between which others have their turn."""
SORTED_MAX: Final = 100_000
"""A list in another order than that of creation is sorted in memory, and refused above this."""

_PAGED: Final = frozenset({"limit", "marker"})

Keep = Callable[[Server], bool]

_SORT: Final[dict[str, Callable[[Server], object]]] = {
    "created_at": lambda server: server.admission.created,
    "updated_at": lambda server: server.updated,
    "display_name": lambda server: server.labels.name,
    "name": lambda server: server.labels.name,
    "uuid": lambda server: server.admission.guest,
    "id": lambda server: server.admission.guest,
    "vm_state": lambda server: server_view.shown(server).vm,
    "task_state": lambda server: server_view.shown(server).task,
    "power_state": lambda server: server_view.shown(server).power,
    "instance_type_id": lambda server: server.admission.spec.flavor.id,
    "image_ref": lambda server: server.admission.spec.image,
    "key_name": lambda server: server.admission.spec.key_name,
    "availability_zone": lambda server: server.admission.spec.availability_zone,
    "host": lambda server: server.admission.deed.host if server.admission.deed else "",
    "launched_at": lambda server: server.guest.launched if server.guest else None,
    "project_id": lambda server: server.admission.project,
    "user_id": lambda server: server.admission.user,
    "display_description": lambda server: server.labels.description,
}


async def index(call: Call) -> Answer:
    """GET /servers."""
    return await _answer(call, server_view.summary, "/servers")


async def detail(call: Call) -> Answer:
    """GET /servers/detail."""
    return await _answer(call, server_view.detail, "/servers/detail")


async def _answer(call: Call, shape: Callable[[Call, Server], dict[str, Any]], path: str) -> Answer:
    page = wanted(call)
    if _is_plain(call):
        return await _plain(call, shape, page)
    if server_changes.asked(call) and AS_OF in call.headers:
        raise BadRequest("changes-since and changes-before are about now; leave Freehold-As-Of out")
    call, headers = await as_of.standing(call, _project(call))
    servers, more = await _page(call, page)
    body: dict[str, Any] = {"servers": [shape(call, server) for server in servers]}
    if more:
        body["servers_links"] = [{"rel": "next", "href": next_link(call, servers[-1].admission.guest)}]
    return Answer(body=body, headers={**headers, **server_changes.headers(call)})


def _is_plain(call: Call) -> bool:
    """Whether a project's own servers are asked for, as they come."""
    return call.query.names() <= _PAGED and server_fragments.are_kept(call)


async def _plain(call: Call, shape: Callable[[Call, Server], dict[str, Any]], page: Wanted) -> Answer:
    """The page, of what was made of each server when it was shown last."""
    view, project = call.cloud.view, call.caller.project
    await view.fresh(["registrar"], shards(call, Admission, project))
    try:
        guests = view.keys(Admission, project, after=page.marker, limit=page.limit + 1, newest_first=True)
    except NotFound as error:
        raise BadRequest(f"marker [{page.marker[:64]}] not found") from error
    shown, fragments, fragment = guests[: page.limit], list[Raw](), server_fragments.maker(call, shape)
    for count, guest in enumerate(shown, 1):
        made = fragment(guest)
        if made is not None:  # else it has gone since the page was begun
            fragments.append(made)
        if count % MADE_AT_ONCE == 0:
            await asyncio.sleep(0)  # others have their turn while a long page is made
    body: dict[str, Any] = {"servers": fragments}
    if len(guests) > page.limit:
        body["servers_links"] = [{"rel": "next", "href": next_link(call, shown[-1])}]
    return Answer(body=body, headers=server_changes.headers(call))


async def _page(call: Call, page: Wanted) -> tuple[list[Server], bool]:
    keeps = filters(call)
    keys = _sort_keys(call)
    await call.cloud.view.fresh(["registrar"], shards(call, Admission, _project(call)))
    if _asks_of_hosts(call):
        await call.cloud.view.fresh(["host"], hosts=_hosts(call))
    try:
        gone = await server_changes.gone(call, _project(call))
        if keys in ([], [("created_at", True)], [("created_at", False)]):
            newest_first = keys != [("created_at", False)]
            rows = list(islice(_kept(call, keeps, gone, page.marker, newest_first=newest_first), page.limit + 1))
        else:
            rows = _sorted(call, keeps, gone, keys, page)
    except NotFound as error:
        raise BadRequest(f"marker [{page.marker[:64]}] not found") from error
    return rows[: page.limit], len(rows) > page.limit


def _asks_of_hosts(call: Call) -> bool:
    """Whether the answer turns on what hosts say, so that a change of a moment ago must be seen."""
    return bool(
        call.query.names() & {"status", "changes-since", "changes-before", "power_state", "vm_state", "task_state"}
    )


def _hosts(call: Call) -> set[str]:
    """Where the guests are that may be listed, and where those may be that have changed; nobody is asked if they are
    many: a list costs its page, not the fleet. The view is as new as what the hosts have told then.
    """
    found = set[str]()
    if server_changes.asked(call):
        found = {seen.owner.store for seen in call.cloud.view.owners() if seen.owner.role == "host"}
    for admission in call.cloud.view.list(Admission, _project(call)):
        if admission.deed is not None:
            found.add(admission.deed.host)
        if len(found) > HOSTS_ASKED_MAX:
            return set()
    return found


def _kept(call: Call, keeps: list[Keep], gone: list[Server], after: str, *, newest_first: bool) -> Iterable[Server]:
    for server in server_changes.merged(call, _project(call), gone, after, newest_first=newest_first):
        if all(keep(server) for keep in keeps):
            yield server


def _sorted(
    call: Call, keeps: list[Keep], gone: list[Server], keys: list[tuple[str, bool]], page: Wanted
) -> list[Server]:
    rows = list(islice(_kept(call, keeps, gone, "", newest_first=True), SORTED_MAX + 1))
    if len(rows) > SORTED_MAX:
        raise BadRequest(f"more than {SORTED_MAX} servers can't be sorted by another key than created_at; filter them")
    rows = ordered(rows, keys, _SORT)
    if not page.marker:
        return rows[: page.limit + 1]
    at = next((i for i, server in enumerate(rows) if server.admission.guest == page.marker), None)
    if at is None:
        raise NotFound("no such marker")
    return rows[at + 1 : at + page.limit + 2]


def _project(call: Call) -> str | None:
    query = call.query
    if not (query.flag("all_tenants") or query.flag("all_projects")):
        return call.caller.project
    if not call.caller.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
    return query.one("project_id") or query.one("tenant_id") or None


def _sort_keys(call: Call) -> list[tuple[str, bool]]:
    names, directions = call.query.all("sort_key"), call.query.all("sort_dir")
    if any(direction not in ("asc", "desc") for direction in directions):
        raise BadRequest("sort_dir must be asc or desc")
    if any(name not in _SORT for name in names):
        raise BadRequest(f"sort_key can be {', '.join(sorted(_SORT))}")
    directions += ["desc"] * (len(names) - len(directions))
    return [(name, direction == "desc") for name, direction in zip(names, directions, strict=False)]


def filters(call: Call) -> list[Keep]:
    """What the query asks for. Raises BadRequest for a filter that isn't right; names that aren't filters are ignored,
    as Nova does.
    """
    keeps: list[Keep] = []
    for name, make in _FILTERS.items():
        value = call.query.one(name)
        if value is not None:
            keeps.append(make(call, value))
    return keeps


def _pattern(value: str, name: str) -> re.Pattern[str]:
    """A regular expression of a client's. Raises BadRequest for what isn't one, or could take long to search by."""
    core = _ENDS_THAT_ALL_FIT.sub("", value)
    if len(value) > PATTERN_LENGTH_MAX or _is_costly(core):
        raise BadRequest(
            f"the pattern of '{name}' is too long or too costly: use at most one group, not repeated, and one repeat"
        )
    try:
        return re.compile(core, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRequest(f"the pattern of '{name}' isn't a regular expression: {error}") from error


def _is_costly(pattern: str) -> bool:
    """Whether backtracking could multiply: repeats of groups, several repeats, groups in a row, back references.

    What is left takes at most the square of a name's length, in steps.
    """
    plain = _ESCAPES_AND_CLASSES.sub("x", pattern)
    return (
        len(re.findall(r"[*+{]", plain)) > REPEATS_MAX
        or plain.count("?") > OPTIONALS_MAX
        or plain.count("(") > 1
        or plain.count("|") > ALTERNATIVES_MAX
        or re.search(r"\)[*+?{]|\(\?|\\", plain) is not None
    )


def _by_pattern(name: str, read: Callable[[Server], Iterable[str]]) -> Callable[[Call, str], Keep]:
    def make(call: Call, value: str) -> Keep:
        del call
        pattern = _pattern(value, name)
        return lambda server: any(pattern.search(text[:SEARCHED_LENGTH_MAX]) for text in read(server))

    return make


def _by_equal(read: Callable[[Server], object]) -> Callable[[Call, str], Keep]:
    return lambda call, value: lambda server: read(server) == value


def _changed_since(call: Call, value: str) -> Keep:
    limit = milliseconds(server_changes.SINCE, value)
    return lambda server: server_changes.since(call, server, limit)


def _changed_before(call: Call, value: str) -> Keep:
    del call
    limit = milliseconds(server_changes.BEFORE, value)
    return lambda server: server_changes.before(server, limit)


def _by_deleted(call: Call, value: str) -> Keep:
    """An admin may ask for the servers that are gone alone, or for none of them."""
    del value
    gone = call.query.flag("deleted")
    return lambda server: not call.caller.is_admin or (server.deleted > 0) is gone


def _by_locked(call: Call, value: str) -> Keep:
    del value
    locked = call.query.flag("locked")
    return lambda server: server.labels.locked is locked


def _by_status(call: Call, value: str) -> Keep:
    wanted_all = {one.upper() for one in call.query.all("status")} | {value.upper()}
    return lambda server: server_view.shown(server).status in wanted_all


def _by_tags(within: Callable[[set[str], set[str]], bool]) -> Callable[[Call, str], Keep]:
    return lambda call, value: lambda server: within(set(value.split(",")), set(server.labels.tags))


def _by_host(call: Call, value: str) -> Keep:
    if not call.caller.is_admin:
        return lambda server: True
    named = {host.id for host in call.cloud.view.list(Host) if host.name == value}
    return lambda server: server.admission.deed is not None and server.admission.deed.host in named


def _by_ip(call: Call, value: str) -> Keep:
    pattern = _pattern(value, "ip")

    def has_it(server: Server) -> bool:
        shown = server_view.addresses(call, server).values()
        return any(pattern.search(address["addr"]) for rows in shown for address in rows)

    return has_it


def _zone(server: Server) -> str:
    deed = server.admission.deed
    return deed.cluster if deed is not None else server.admission.spec.availability_zone


def _last_part(value: str) -> str:
    return value.rstrip("/").rsplit("/", 1)[-1]


_FILTERS: Final[dict[str, Callable[[Call, str], Keep]]] = {
    "name": _by_pattern("name", lambda server: [server.labels.name]),
    "display_name": _by_pattern("display_name", lambda server: [server.labels.name]),
    "ip": _by_ip,
    "status": _by_status,
    "image": lambda call, value: lambda server: server.admission.spec.image == _last_part(value),
    "flavor": lambda call, value: lambda server: server.admission.spec.flavor.id == _last_part(value),
    "uuid": _by_equal(lambda server: server.admission.guest),
    "key_name": _by_equal(lambda server: server.admission.spec.key_name),
    "user_id": _by_equal(lambda server: server.admission.user),
    "availability_zone": _by_equal(_zone),
    "vm_state": _by_equal(lambda server: server_view.shown(server).vm),
    "task_state": _by_equal(lambda server: server_view.shown(server).task),
    "power_state": _by_equal(lambda server: str(server_view.shown(server).power)),
    "hostname": _by_equal(lambda server: server.admission.hostname),
    "description": _by_pattern("description", lambda server: [server.labels.description or ""]),
    "host": _by_host,
    "deleted": _by_deleted,
    "locked": _by_locked,
    "node": _by_host,
    "tags": _by_tags(lambda wanted, has: wanted <= has),
    "tags-any": _by_tags(lambda wanted, has: bool(wanted & has)),
    "not-tags": _by_tags(lambda wanted, has: not wanted <= has),
    "not-tags-any": _by_tags(lambda wanted, has: not wanted & has),
    server_changes.SINCE: _changed_since,
    server_changes.BEFORE: _changed_before,
    "created_at": _by_equal(lambda server: iso_seconds(server.admission.created)),
}
