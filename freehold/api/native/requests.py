"""Requests: what was asked for guests, how far each has come, and how it ended. By URN, or by the id in
``X-Openstack-Request-Id``.

Makes and deletes are lines of the registrar's ledger; what was done to a guest is kept by its host, and goes with it.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

from freehold.api import requests
from freehold.api.call import Answer, Call
from freehold.api.compute import server_view
from freehold.api.compute.server_view import Server
from freehold.api.paging import cut, next_link, wanted
from freehold.api.reading import not_found, shards
from freehold.bus import subjects, talk
from freehold.views import feed
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden, NotFound
from freehold.vocabulary.guest import Action
from freehold.vocabulary.request import Admission, DeleteGuest, Request, Stage
from freehold.vocabulary.units import iso_millis

DEADLINE_S: Final = 10.0
OUTCOMES: Final = ("in_progress", "done", "failed")
_FILTERS: Final = frozenset({"action", "guest", "outcome", "limit", "marker", "all_projects"})


async def show(call: Call) -> Answer:
    """GET /v1/requests/{urn}: how far it has come, with times, refusals, outcome, and the server with its addresses."""
    return Answer(body={"request": shown(call, await found(call, call.params["urn"]))})


async def index(call: Call) -> Answer:
    """GET /v1/requests: a project's, the newest first; ``?action=create&guest=ID&outcome=in_progress``. An admin may
    ask for ``all_projects``, which are then by project.
    """
    unknown = sorted(call.query.names() - _FILTERS)
    if unknown:
        raise BadRequest(f"'{unknown[0][:32]}' isn't one of {', '.join(sorted(_FILTERS))}")
    project, page, keeps = _project(call), wanted(call, 100), _filters(call)
    await call.cloud.view.fresh(["registrar"], shards(call, Request, project))
    kept = (record for record in _every(call, project) if all(keep(record) for keep in keeps))
    records, more = cut(kept, page, lambda record: record.urn)
    body: dict[str, Any] = {"requests": [shown(call, record) for record in records]}
    if more:
        body["links"] = [{"rel": "next", "href": next_link(call, records[-1].urn)}]
    return Answer(body=body)


async def cancel(call: Call) -> Answer:
    """DELETE /v1/requests/{urn}: takes back the making of a guest that isn't done; 202 when that is durable, with the
    request that removes what there is. 409 where it is too late, or can't be taken back.
    """
    record = await found(call, call.params["urn"])
    if not isinstance(record, Request) or record.action != "create":
        raise Conflict(f"A request to {record.action} can't be cancelled: whoever does it has it on disk.")
    question = DeleteGuest(guest=record.guest, project=record.project, user=call.caller.user, cancelled=record.urn)
    subject = subjects.ask_registrar(record.project, call.cloud.shards)
    try:
        done = await talk.ask(call.cloud.bus, subject, question, Done, DEADLINE_S)
    except NotFound as error:
        raise Conflict("The request has ended, and its server is gone.") from error
    await call.cloud.view.seen(done)
    headers = requests.headers(call, done.key)
    now = call.cloud.view.get(Request, record.urn) or record
    return Answer(202, {"request": shown(call, now)}, headers | {"location": requests.url(call, done.key)})


async def found(call: Call, text: str) -> Request | Action:
    """The record of a request of the caller's. Raises NotFound."""
    urn, view = requests.urn_of(text), call.cloud.view
    record = known(call, urn) if urn else None
    if record is None and urn:
        await view.fresh(["registrar"], shards(call, Request))
        record = known(call, urn)
    if record is None or not call.caller.owns(record.project):
        raise NotFound(not_found("Request", text[:128]))
    return record


def known(call: Call, urn: str) -> Request | Action | None:
    """The record of a request as the view has it now; None if it has none that may be shown."""
    view = call.cloud.view
    request = view.get(Request, urn)
    key = "" if request is not None else view.action_of(urn)
    action = view.get(Action, key) if key else None
    return request or (action if action is not None and _is_given(call, action) else None)


def _is_given(call: Call, action: Action) -> bool:
    """Whether the host that tells of an action was given its guest, and of the project that it says."""
    admission = call.cloud.view.get(Admission, action.guest)
    if admission is None or admission.project != action.project:
        return False
    holders = {*admission.refused_hosts, *((admission.deed.host,) if admission.deed is not None else ())}
    return call.cloud.view.owner(Action, f"{action.guest}/{action.urn}") in holders


def _project(call: Call) -> str | None:
    if not call.query.flag("all_projects"):
        return call.caller.project
    if not call.caller.is_admin:
        raise Forbidden("Only an admin sees the requests of all projects; leave all_projects out.")
    return None


def _filters(call: Call) -> Sequence[Callable[[Request | Action], bool]]:
    action, guest, outcome = (call.query.one(name) for name in ("action", "guest", "outcome"))
    if outcome is not None and outcome not in OUTCOMES:
        raise BadRequest(f"'outcome' must be one of {', '.join(OUTCOMES)}, not '{outcome[:32]}'")
    keeps: list[Callable[[Request | Action], bool]] = []
    if action is not None:
        keeps.append(lambda record: record.action == action)
    if guest is not None:
        keeps.append(lambda record: record.guest == guest)
    if outcome is not None:
        keeps.append(lambda record: (_outcome(record) or OUTCOMES[0]) == outcome)
    return keeps


def _every(call: Call, project: str | None) -> Iterator[Request | Action]:
    """The newest first, within each project."""
    view = call.cloud.view
    actions = (one for one in view.list(Action, project) if one.action not in ("create", "delete", "restore"))
    given = (one for one in actions if _is_given(call, one))
    return merge(view.list(Request, project), given, key=_place, reverse=True)


def _place(record: Request | Action) -> tuple[str, int, str]:
    return record.project, max(0, _began(record)), record.urn


def _began(record: Request | Action) -> int:
    return record.created if isinstance(record, Request) else record.started


def _outcome(record: Request | Action) -> str | None:
    if record.finished is None:
        return None
    return "done" if record.fault is None else "failed"


def shown(call: Call, record: Request | Action) -> dict[str, Any]:
    """A request as its project sees it."""
    admission = call.cloud.view.get(Admission, record.guest)
    server = None if admission is None else server_view.joined(call, admission)
    stages = _stages(call, record, server)
    mine = admission is not None and admission.urn == record.urn
    return {
        "urn": record.urn,
        "id": requests.request_id(record.urn),
        "action": record.action,
        "project_id": record.project,
        "user_id": record.user,
        "created": iso_millis(_began(record)),
        "deadline": iso_millis(record.expires) if isinstance(record, Request) and record.expires else None,
        "finished": None if record.finished is None else iso_millis(record.finished),
        "stage": stages[-1]["stage"],
        "stages": stages,
        "attempts": admission.attempts if admission is not None and mine else None,
        "refusals": _refusals(admission) if admission is not None and mine else [],
        "outcome": _outcome(record),
        "fault": None if record.fault is None else {"code": record.fault.code, "message": record.fault.message},
        "guest": record.guest,
        "server": None if server is None else server_shown(call, server),
        "links": _links(call, record),
    }


def _stages(call: Call, record: Request | Action, server: Server | None) -> list[dict[str, str]]:
    told = (("started", record.started),) if isinstance(record, Action) else record.stages
    stages = [*told, *(_addressed(call, record, server) if isinstance(record, Request) else ())]
    if record.finished is not None and not (told and told[-1][0] in (Stage.ACTIVE, Stage.FAILED)):
        stages.append((str(_outcome(record)), record.finished))
    return [{"stage": stage, "time": iso_millis(time)} for stage, time in sorted(stages, key=lambda one: one[1])]


def _addressed(call: Call, record: Request, server: Server | None) -> list[tuple[str, int]]:
    """When the addresses of the guest that a request makes were all known: told by the network worker."""
    if server is None or server.guest is None or server.admission.urn != record.urn or not server.guest.ports:
        return []
    leased = server_view.leased(call, server)
    if len(leased) < len(server.guest.ports):
        return []
    times = [port.created if port.made_for is not None else record.created for _, port in leased]
    return [(Stage.ADDRESSED.value, max(times))]


def _refusals(admission: Admission) -> list[dict[str, Any]]:
    return [{"attempt": number, **feed.reason(fault)} for number, fault in enumerate(admission.refused, 1)]


def server_shown(call: Call, server: Server) -> dict[str, Any]:
    """How a guest stands."""
    ports = server_view.leased(call, server)
    addresses = [address.address for _, port in ports for address in port.addresses]
    fault = server.fault if server_view.shown(server).status == "ERROR" else None
    return {
        "id": server.admission.guest,
        "name": server.labels.name,
        "status": server_view.shown(server).status,
        "task": server_view.shown(server).task,
        "addresses": addresses,
        "fault": None if fault is None else fault.message,
    }


def _links(call: Call, record: Request | Action) -> list[dict[str, str]]:
    here = requests.url(call, record.urn)
    server = f"{call.cloud.public_url}/compute/v2.1/servers/{record.guest}"
    return [
        {"rel": "self", "href": here},
        {"rel": "events", "href": f"{here}/events"},
        {"rel": "server", "href": server},
    ]
