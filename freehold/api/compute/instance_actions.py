"""What was done to a server: the host's own records, and the registrar's for what no host has begun yet."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.server_view import Server, host_id
from freehold.api.compute.servers import server_of
from freehold.api.paging import cut, next_link, wanted
from freehold.api.requests import request_id
from freehold.api.times import milliseconds
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.guest import Action
from freehold.vocabulary.request import Admission, Request
from freehold.vocabulary.units import iso_micros, unix_ms

_EVENTS: Final = {
    "create": "compute__do_build_and_run_instance",
    "start": "compute_start_instance",
    "stop": "compute_stop_instance",
    "reboot": "compute_reboot_instance",
    "evacuate": "compute_rebuild_instance",
    "delete": "compute_terminate_instance",
}
"""The one event of each action, by Nova's name."""


def _actions(call: Call, server: Server) -> list[Action]:
    """All, the newest first."""
    view, admission = call.cloud.view, server.admission
    every = view.keyed(Action, f"{admission.guest}/")
    hosts = _that_had_it(admission)
    found = {one.urn: one for one in every if view.owner(Action, f"{one.guest}/{one.urn}") in hosts}
    for urn in (admission.made_urn, admission.urn, admission.moving, admission.delete_urn):
        request = view.get(Request, urn) if urn and urn not in found else None
        if request is not None:
            found[urn] = _of_request(request)
    return sorted(found.values(), key=lambda action: (action.started, action.urn), reverse=True)


def _that_had_it(admission: Admission) -> frozenset[str]:
    """The hosts that the ledger has given it to: what others tell of it isn't heeded."""
    deed = admission.deed
    return frozenset((*admission.refused_hosts, *admission.left)) | ({deed.host} if deed is not None else frozenset())


def _of_request(request: Request) -> Action:
    return Action(
        guest=request.guest,
        project=request.project,
        urn=request.urn,
        action=request.action,
        user=request.user,
        started=request.created,
        finished=request.finished,
        fault=request.fault,
    )


def _updated(action: Action) -> int:
    return action.finished or action.started


def _shown(action: Action, version: Version) -> dict[str, Any]:
    return {
        "action": action.action,
        "instance_uuid": action.guest,
        "request_id": request_id(action.urn),
        "user_id": action.user,
        "project_id": action.project,
        "start_time": iso_micros(action.started),
        "message": None if action.fault is None else "Error",
        **({"updated_at": iso_micros(_updated(action))} if version >= mv.ACTION_PAGES else {}),
    }


async def index(call: Call) -> Answer:
    """GET /servers/{id}/os-instance-actions."""
    actions, version = _actions(call, await server_of(call)), mv.of(call)
    more = False
    if version >= mv.ACTION_PAGES:
        actions = [action for action in actions if _in_time(call, action, version)]
        actions, more = cut(actions, wanted(call), lambda action: request_id(action.urn))
    body: dict[str, Any] = {"instanceActions": [_shown(action, version) for action in actions]}
    if more:
        body["links"] = [{"rel": "next", "href": next_link(call, request_id(actions[-1].urn))}]
    return Answer(body=body)


def _in_time(call: Call, action: Action, version: Version) -> bool:
    since, before = call.query.one("changes-since"), call.query.one("changes-before")
    at = unix_ms(_updated(action))
    if since is not None and at < milliseconds("changes-since", since):
        return False
    return before is None or version < mv.ACTION_BEFORE or at <= milliseconds("changes-before", before)


async def show(call: Call) -> Answer:
    """GET /servers/{id}/os-instance-actions/{request_id}."""
    server, key, version = await server_of(call), call.params["request_id"], mv.of(call)
    for action in _actions(call, server):
        if key in (request_id(action.urn), action.urn):
            body = _shown(action, version)
            if call.caller.is_admin or version >= mv.ACTION_EVENTS:
                body["events"] = [_event(call, server, action, version)]
            return Answer(body={"instanceAction": body})
    raise NotFound(f"Action for request_id {key[:64]} on instance {server.admission.guest} not found")


def _event(call: Call, server: Server, action: Action, version: Version) -> dict[str, Any]:
    result = None if action.finished is None else "Success" if action.fault is None else "Error"
    event: dict[str, Any] = {
        "event": _EVENTS.get(action.action, f"compute_{action.action}"),
        "start_time": iso_micros(action.started),
        "finish_time": None if action.finished is None else iso_micros(action.finished),
        "result": result,
    }
    if call.caller.is_admin:
        event["traceback"] = None
    if version >= mv.ACTION_HOST:
        event["hostId"] = host_id(server)
        if call.caller.is_admin:
            event["host"] = None if server.guest is None else server.guest.host
    if version >= mv.ACTION_DETAILS:
        event["details"] = None if action.fault is None else action.fault.message
    return event
