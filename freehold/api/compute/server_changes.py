"""Lists by time of change: ``changes-since`` and ``changes-before``, with the servers that are gone.

A server has changed since T if its owners wrote so at T or later, or if this process learned of it at `MARGIN_MS`
before T or later: what a host wrote while it was cut off counts from the moment it comes back. Why a poller misses
nothing, even from process to process, is in docs/decisions/0007-changes-since.md.
"""

import asyncio
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Final

from freehold.api.call import Call
from freehold.api.compute import server_view
from freehold.api.compute.server_view import Server
from freehold.api.reading import registrars
from freehold.api.times import milliseconds
from freehold.bus import subjects, talk
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import DeletedSince, Owner, Tombstone, Tombstones
from freehold.vocabulary.errors import BadRequest, FreeholdError, NoAnswer, NotFound, Unavailable
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import clock_time, iso_millis, unix_ms

MARGIN_MS: Final = 60_000
"""More than the clocks of API processes may differ, a heartbeat may be late and a question may take, together."""
GONE_MAX: Final = 100_000
TRIES: Final = 3
ASK_DEADLINE_S: Final = 2.0
UNTIL: Final = "freehold-changes-until"
"""The header that says what to ask next: nothing that was written before it is missing from the answers so far."""

SINCE: Final = "changes-since"
BEFORE: Final = "changes-before"
ROLES: Final = ("registrar", "host")


def asked(call: Call) -> bool:
    """Whether a list is by time of change. Raises BadRequest for a window that ends before it begins."""
    since, before = call.query.one(SINCE), call.query.one(BEFORE)
    if since is not None and before is not None and milliseconds(SINCE, since) > milliseconds(BEFORE, before):
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    return since is not None or before is not None


def headers(call: Call) -> dict[str, str]:
    """What to ask next, on lists by time of change."""
    return {UNTIL: iso_millis(call.cloud.view.known_until(ROLES))} if asked(call) else {}


def since(call: Call, server: Server, limit_ms: int) -> bool:
    """Whether a server counts as changed since a time, to the second as Nova does."""
    if server.deleted or unix_ms(server.updated) // 1000 >= limit_ms // 1000:
        return True
    return unix_ms(call.cloud.view.learned(Admission, server.admission.guest)) >= limit_ms - MARGIN_MS


def before(server: Server, limit_ms: int) -> bool:
    """Whether a server last changed before a time, or in that second."""
    return unix_ms(server.updated) // 1000 <= limit_ms // 1000


async def gone(call: Call, project: str | None) -> list[Server]:
    """The servers that were deleted since the time of the query, as far back as the registrar's log knows; none unless
    they are asked for. Raises Unavailable if they can't be known, BadRequest if they are too many.
    """
    wanted = asked(call) or (call.caller.is_admin and call.query.flag("deleted") is True)
    if not wanted:
        return []
    first = milliseconds(SINCE, call.query.one(SINCE) or "1970-01-01") - MARGIN_MS
    owners = registrars(call, Admission, project)
    parts = await asyncio.gather(*(_deleted_by(call, owner, max(0, first), project or "") for owner in owners))
    return [Server(decode(one.value, Admission), None, deleted=one.time) for part in parts for one in part if one.value]


async def _deleted_by(call: Call, owner: Owner, first_ms: int, project: str) -> list[Tombstone]:
    found: list[Tombstone] = []
    after, more = 0, True
    while more:
        question = DeletedSince(kind="admission", time=clock_time(first_ms), project=project, after=after)
        answer = await _insist(call, owner, question)
        found += answer.deleted
        if len(found) > GONE_MAX:
            raise BadRequest(f"more than {GONE_MAX} servers were deleted since then; ask for a later time")
        after, more = found[-1].seq if found else 0, answer.more
    return found


async def _insist(call: Call, owner: Owner, question: DeletedSince) -> Tombstones:
    for left in range(TRIES - 1, -1, -1):
        try:
            return await talk.ask(call.cloud.bus, subjects.owner(owner), question, Tombstones, ASK_DEADLINE_S)
        except NoAnswer:
            if not left:
                raise
        except FreeholdError as error:
            raise Unavailable(f"The registrar can't say what was deleted: {error.message}") from error
    raise AssertionError("the last try answers or raises")


def merged(
    call: Call, project: str | None, gone_ones: list[Server], after: str, *, newest_first: bool
) -> Iterator[Server]:
    """The servers of a project (or all) in order of creation, those that are gone at their places; from behind the
    server `after`. Raises NotFound if that isn't there.
    """
    view = call.cloud.view
    living = view.list(Admission, project, after="" if gone_ones else after, newest_first=newest_first)
    servers = (server_view.joined(call, admission) for admission in living)
    if not gone_ones:
        return servers
    ended = sorted(gone_ones, key=_place, reverse=newest_first)
    return _behind(merge(servers, ended, key=_place, reverse=newest_first), after)


def _place(server: Server) -> tuple[str, int, str]:
    admission = server.admission
    return admission.project, max(0, admission.created), admission.guest


def _behind(servers: Iterable[Server], after: str) -> Iterator[Server]:
    rest = iter(servers)
    if after and all(server.admission.guest != after for server in rest):
        raise NotFound("no such marker")
    yield from rest
