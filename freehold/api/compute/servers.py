"""Servers one by one: show, update, delete. Lists are in `server_list`, creation in `server_create`."""

from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import requests, waiting
from freehold.api.call import Answer, Call
from freehold.api.compute import as_of, server_disks, server_fragments, server_view, server_waits
from freehold.api.compute import microversion as mv
from freehold.api.compute.server_view import Server
from freehold.api.compute.wire.servers import UpdateBody
from freehold.api.reading import find, is_key
from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.guest import Labels, Relabel
from freehold.vocabulary.request import Admission, DeleteGuest

DEADLINE_S: Final = 10.0


async def server_of(call: Call, key: str = "server_id") -> Server:
    """The server that the path names. Raises NotFound, also for another tenant's."""
    guest = call.params[key]
    admission = await find(call, Admission, guest)
    if admission is None or not call.caller.owns(admission.project):
        raise NotFound(f"Instance {guest[:64]} could not be found.")
    return server_view.joined(call, admission)


async def show(call: Call) -> Answer:
    """GET /servers/{id}."""
    guest = call.params["server_id"]
    if is_key(guest) and server_fragments.are_kept(call):
        made = server_fragments.maker(call, server_view.detail)(guest)
        if made is not None:
            return Answer(body={"server": made})
    call, headers = await as_of.standing(call, None, guest=guest)
    return Answer(body={"server": server_view.detail(call, await server_of(call))}, headers=headers)


async def update(call: Call) -> Answer:
    """PUT /servers/{id}: name and description."""
    body = call.read(UpdateBody).server
    if body.description is not UNSET and mv.of(call) < mv.DESCRIPTION:
        raise BadRequest("Invalid input: Additional properties are not allowed ('description' was unexpected)")
    if body.hostname is not UNSET:
        raise BadRequest("the host name of a running server can't be changed by this cloud; leave 'hostname' out")
    if body.access_v4 or body.access_v6:
        raise BadRequest("accessIPv4 and accessIPv6 aren't supported by this cloud; leave them out")
    server = await server_of(call)
    labels = server.labels
    if body.name is not UNSET:
        if not body.name.strip():
            raise BadRequest("Invalid input for field/attribute name: it can't be blank.")
        labels = replace(labels, name=body.name.strip())
    if body.description is not UNSET:
        labels = replace(labels, description=body.description)
    await relabel(call, server, labels)
    shown: dict[str, Any] = server_view.detail(call, await server_of(call))
    return Answer(body={"server": shown})


async def relabel(call: Call, server: Server, labels: Labels) -> None:
    """Has the host replace a server's labels, and waits until our view shows them. Raises Conflict while it has no
    host.
    """
    if server.guest is None:
        raise Conflict(f"Cannot change instance {server.admission.guest} while no host has it yet.")
    urn = requests.new_urn(call)
    who = {"urn": urn, "guest": server.admission.guest, "user": call.caller.user, "project": server.admission.project}
    done = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, Relabel(**who, labels=labels), Done, DEADLINE_S)
    await call.cloud.view.seen(done)


async def delete(call: Call) -> Answer:
    """DELETE /servers/{id}: durable when it answers; the server is gone once its host says so."""
    server = await server_of(call)
    question = DeleteGuest(guest=server.admission.guest, project=server.admission.project, user=call.caller.user)
    subject = subjects.ask_registrar(server.admission.project, call.cloud.shards)
    done = await talk.ask(call.cloud.bus, subject, question, Done, DEADLINE_S)
    await call.cloud.view.seen(done)
    if server.guest is None:  # no host has it, which would have its volumes deleted
        volumes = server.admission.spec.volumes
        gone = [one.volume for one in volumes if one.delete_on_termination]
        await server_disks.ended(call, server.admission.project, gone)
    headers, wait_s = requests.headers(call, done.key), waiting.preferred_s(call)
    ended = await server_waits.done(call, server.admission.guest, done.key, wait_s) if wait_s else None
    return Answer(204, headers=headers if ended is None else headers | waiting.applied(wait_s, ended))
