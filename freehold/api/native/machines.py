"""Machines of the cloud: who was let in, invitations, and who is shut out."""

import base64
import binascii
from typing import Any, Final, TypeVar

from freehold.api.call import Answer, Body, Call
from freehold.api.wire import Identifier, Name
from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.machine import (
    INVITATION_LIFE_S,
    Bar,
    Enroll,
    Invite,
    Invited,
    Machine,
    Passported,
)
from freehold.vocabulary.units import clock_time, iso_millis
from freehold.vocabulary.word import Message, Word

DEADLINE_S: Final = 10.0

A = TypeVar("A", bound=Word)


class _Wanted(Body, frozen=True, kw_only=True):
    name: Name
    roles: tuple[Name, ...]
    cluster: Name = "default"
    life_s: float = INVITATION_LIFE_S


class InvitationBody(Body, frozen=True, kw_only=True):
    """POST /v1/invitations."""

    invitation: _Wanted


class _Taken(Body, frozen=True, kw_only=True):
    invitation: Identifier
    request: str
    mac: str


class MachineBody(Body, frozen=True, kw_only=True):
    """POST /v1/machines."""

    machine: _Taken


async def index(call: Call) -> Answer:
    """GET /v1/machines: every machine that was let in, as the directory last said."""
    found = call.cloud.view.list(Machine, newest_first=False)
    return Answer(body={"machines": [_shown(machine) for machine in found]})


def _shown(machine: Machine) -> dict[str, Any]:
    return {
        "id": machine.id,
        "name": machine.name,
        "roles": list(machine.roles),
        "cluster": machine.cluster,
        "stores": list(machine.stores),
        "enrolled": iso_millis(machine.enrolled),
        "expires": iso_millis(clock_time(machine.expires_ms)),
        "barred": iso_millis(machine.barred) if machine.barred else None,
    }


async def invite(call: Call) -> Answer:
    """POST /v1/invitations: `text` is what the machine is given. It is shown this once."""
    wanted = call.read(InvitationBody).invitation
    question = Invite(name=wanted.name, roles=wanted.roles, cluster=wanted.cluster, life_s=wanted.life_s)
    made = await _ask(call, question, Invited)
    text = f"fh1.{made.id}.{made.secret.reveal()}.{made.authority.hex()}"
    return Answer(
        201, {"invitation": {"id": made.id, "text": text, "expires": iso_millis(clock_time(made.expires_ms))}}
    )


async def enroll(call: Call) -> Answer:
    """POST /v1/machines: by whoever has an invitation, without a token. Texts are in base 64."""
    taken = call.read(MachineBody).machine
    question = Enroll(invitation=taken.invitation, request=_bytes(taken.request), mac=_bytes(taken.mac))
    answer = await _ask(call, question, Passported)
    body = {"papers": base64.b64encode(answer.papers).decode(), "mac": base64.b64encode(answer.mac).decode()}
    return Answer(201, {"machine": body})


async def bar(call: Call) -> Answer:
    """DELETE /v1/machines/{id}: shut out for good; it is still listed. Raises NotFound."""
    question = Bar(machine=call.params["id"])
    await call.cloud.view.seen(await _ask(call, question, Done))
    return Answer(204)


async def _ask(call: Call, question: Message, answer: type[A]) -> A:
    if not call.cloud.enrolls:
        raise NotFound(
            "This cloud lets no machines in, as it runs in one process: see docs/operate/install.md for one of many."
        )
    return await talk.ask(call.cloud.bus, subjects.ASK_DIRECTORY, question, answer, DEADLINE_S)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("Invalid input: 'request' and 'mac' are in base 64") from error
