"""POST /servers/{id}/action: what can be done to a server. 202 means that its host has it on disk."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from freehold.api import requests, waiting
from freehold.api.call import Answer, Call
from freehold.api.compute import server_evacuate, server_view, server_waits
from freehold.api.compute.server_view import Server
from freehold.api.compute.servers import server_of
from freehold.api.compute.wire.servers import ActionBody, ConsoleIn, RebootIn
from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.guest import ConsoleLog, ConsoleOutput, GuestState, Reboot, RebootKind, Start, Stop
from freehold.vocabulary.request import Admission

DEADLINE_S: Final = 10.0
CONSOLE_LINES_MAX: Final = 100_000

NOT_SERVED: Final = frozenset(
    {"addFixedIp", "addFloatingIp", "addSecurityGroup", "changePassword", "confirmResize", "createBackup"}
    | {"createImage", "forceDelete", "injectNetworkInfo", "lock", "migrate"}
    | {"os-getSerialConsole", "os-getVNCConsole", "os-getSPICEConsole", "os-migrateLive", "os-resetState"}
    | {"pause", "rebuild", "removeFixedIp", "removeFloatingIp", "removeSecurityGroup", "rescue"}
    | {"resetNetwork", "resize", "restore", "resume", "revertResize", "shelve", "shelveOffload", "suspend"}
    | {"trigger_crash_dump", "unlock", "unpause", "unrescue", "unshelve"}
)
"""Nova's other actions: known by name, so that a client is told that this cloud doesn't serve them."""


async def act(call: Call) -> Answer:
    """Does the one action that the body names."""
    _check_name(call)
    body = call.read(ActionBody)
    server = await server_of(call)
    given = [name for name in ("start", "stop", "reboot", "evacuate", "console") if getattr(body, name) is not UNSET]
    if len(given) != 1:
        raise BadRequest("Invalid input: the body must name one action")
    return await _ACTIONS[given[0]](call, server, getattr(body, given[0]))


def _check_name(call: Call) -> None:
    try:
        body = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("the body isn't well-formed JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("Invalid input: the body must be an object that names one action")
    for name in body:
        if name in NOT_SERVED:
            raise BadRequest(f"the action '{name}' isn't served by this cloud")


async def _start(call: Call, server: Server, _: object) -> Answer:
    return await _command(call, server, "start", lambda who: Start(**who))


async def _stop(call: Call, server: Server, _: object) -> Answer:
    return await _command(call, server, "stop", lambda who: Stop(**who))


async def _reboot(call: Call, server: Server, wanted: RebootIn) -> Answer:
    how = RebootKind(wanted.type.lower())
    return await _command(call, server, "reboot", lambda who: Reboot(**who, how=how))


async def _console(call: Call, server: Server, wanted: ConsoleIn) -> Answer:
    if server.guest is None:
        raise Conflict(f"Instance {server.admission.guest} is not ready")
    question = ConsoleLog(guest=server.guest.id, project=server.admission.project, lines=_lines(wanted.length))
    output = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, question, ConsoleOutput, DEADLINE_S)
    return Answer(body={"output": output.text})


def _lines(length: int | str | None) -> int | None:
    if length is None or length in (-1, "-1", ""):
        return None
    text = str(length)
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) <= CONSOLE_LINES_MAX):
        raise BadRequest(f"Invalid input for field/attribute length. Value: {text[:32]}.")
    return int(text)


async def _command(
    call: Call, server: Server, verb: str, make: Callable[[dict[str, Any]], Start | Stop | Reboot]
) -> Answer:
    """Carries a command to the host and waits until our view has what it wrote: 202; or, as the client prefers, until
    it is done: 200 with the server. Raises Conflict in Nova's words.
    """
    admission, guest = server.admission, server.guest
    if guest is None or admission.delete_urn or guest.state is GuestState.DELETING:
        raise _conflict(server, verb)
    urn = requests.new_urn(call)
    who = {"urn": urn, "guest": guest.id, "user": call.caller.user, "project": admission.project}
    try:
        done = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, make(who), Done, DEADLINE_S)
    except Conflict as error:
        raise _conflict(server, verb) from error
    await call.cloud.view.seen(done)
    headers = {**requests.headers(call, urn), "location": requests.url(call, urn)}
    wait_s = waiting.preferred_s(call)
    ended = await server_waits.done(call, guest.id, urn, wait_s) if wait_s else None
    if ended is None:
        return Answer(202, headers=headers)
    headers |= waiting.applied(wait_s, ended)
    now = call.cloud.view.get(Admission, guest.id)
    if ended == server_waits.DONE and now is not None:
        return Answer(200, {"server": server_view.detail(call, server_view.joined(call, now))}, headers)
    return Answer(202, headers=headers)


def _conflict(server: Server, verb: str) -> Conflict:
    now = server_view.shown(server)
    where = f"task_state {now.task}" if now.task else f"vm_state {now.vm}"
    return Conflict(f"Cannot '{verb}' instance {server.admission.guest} while it is in {where}")


_ACTIONS: Final[dict[str, Callable[[Call, Server, Any], Awaitable[Answer]]]] = {
    "start": _start,
    "stop": _stop,
    "reboot": _reboot,
    "evacuate": server_evacuate.evacuate,
    "console": _console,
}
