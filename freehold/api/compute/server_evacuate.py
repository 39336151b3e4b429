"""Nova's evacuate: a server whose host is fenced is built elsewhere. What is on its disk is lost."""

import base64
from typing import Any, Final

from msgspec import UNSET

from freehold.api import host_orders
from freehold.api.call import Answer, Call
from freehold.api.compute import evacuation
from freehold.api.compute import microversion as mv
from freehold.api.compute.evacuation import Wish
from freehold.api.compute.microversion import Version
from freehold.api.compute.server_view import Server
from freehold.api.compute.wire.servers import EvacuateIn
from freehold.api.policy import Rule, check
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.host import Host
from freehold.vocabulary.secret import Secret

PASSWORD_BYTES: Final = 9


async def evacuate(call: Call, server: Server, wanted: EvacuateIn) -> Answer:
    """200, when the request is durable. For admins alone. Raises Conflict unless the server's host is fenced."""
    check(Rule.ADMIN, call.caller)
    version, admission = mv.of(call), server.admission
    _check(wanted, version)
    deed = admission.live_deed()
    if admission.delete_urn or deed is None:
        raise Conflict(f"Cannot 'evacuate' instance {admission.guest}: no host has it.")
    host = call.cloud.view.get(Host, deed.host)
    if host is None:
        raise Conflict(f"Cannot 'evacuate' instance {admission.guest}: its host isn't known here.")
    password = _password(call, wanted, version)
    wish = Wish(
        target=await _target(call, wanted, host),
        stopped=True if version >= mv.EVACUATE_STOPPED else None,
        password=Secret(password) if password else None,
    )
    await evacuation.evacuate(call, host, admission, None, wish)
    return Answer(200, {"adminPass": password} if version < mv.EVACUATE_ANYWHERE else None)


def _check(wanted: EvacuateIn, version: Version) -> None:
    """Raises BadRequest for a field that the version hasn't, and for what can't be had."""
    until_shared = version < mv.EVACUATE_ANYWHERE
    if until_shared is (wanted.shared is UNSET):
        if until_shared:
            raise BadRequest("Invalid input: 'onSharedStorage' is a required property")
        raise mv.refuse_unknown("onSharedStorage")
    if wanted.force is not UNSET and not mv.EVACUATE_FORCED <= version < mv.EVACUATE_UNFORCED:
        raise mv.refuse_unknown("force")
    if str(wanted.shared).lower() in ("true", "1", "yes", "on", "t", "y"):
        raise BadRequest("Servers' disks are on their hosts in this cloud: say onSharedStorage false")


def _password(call: Call, wanted: EvacuateIn, version: Version) -> str:
    """The one given; until 2.13 one is made where none is."""
    if wanted.password is not UNSET:
        return wanted.password
    made = base64.urlsafe_b64encode(call.cloud.chance.bytes(PASSWORD_BYTES)).decode()
    return made if version < mv.EVACUATE_ANYWHERE else ""


async def _target(call: Call, wanted: EvacuateIn, host: Host) -> str:
    if not wanted.host:
        return ""
    try:
        target: Any = await host_orders.named(call, wanted.host)
    except NotFound as error:
        raise BadRequest(f"Compute host {wanted.host[:255]} could not be found.") from error
    if target.id == host.id:
        raise BadRequest("The target host can't be the same one.")
    return str(target.id)
