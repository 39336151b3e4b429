"""What the scheduler may be asked with a new server (``os:scheduler_hints``)."""

from typing import Final

from msgspec.structs import replace

from freehold.api.call import Call
from freehold.api.compute.wire.servers import HintsIn
from freehold.api.reading import find
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.request import Admission
from freehold.vocabulary.tenant import ServerGroup

NAMED_MAX: Final = 50
"""Servers in one hint."""
_SERVED: Final = ("group", "different_host", "same_host")


async def hinted(call: Call, hints: HintsIn | None, spec: GuestSpec) -> GuestSpec:
    """`spec` with what the hints ask for. Raises BadRequest for one that isn't served, or names what isn't there."""
    if hints is None:
        return spec
    unserved = [name for name in hints.__struct_fields__ if name not in _SERVED and getattr(hints, name)]
    if unserved:
        raise BadRequest(f"the scheduler hint '{unserved[0]}' isn't served by this cloud; leave it out")
    group = await _server_group(call, hints.group) if hints.group else None
    return replace(
        spec,
        server_group=group.id if group else "",
        server_group_policy=group.policy if group else None,
        different_host=await _servers(call, "different_host", hints.different_host),
        same_host=await _servers(call, "same_host", hints.same_host),
    )


async def _server_group(call: Call, key: str) -> ServerGroup:
    group = await find(call, ServerGroup, key)
    if group is None or not call.caller.owns(group.project):
        raise BadRequest(f"Instance group {key[:64]} could not be found.")
    return group


async def _servers(call: Call, hint: str, named: str | list[str] | None) -> tuple[str, ...]:
    """The project's servers that a hint names."""
    keys = tuple(dict.fromkeys([named] if isinstance(named, str) else named or ()))
    if len(keys) > NAMED_MAX:
        raise BadRequest(f"The scheduler hint '{hint}' names {len(keys)} servers; it can name {NAMED_MAX}.")
    for key in keys:
        admission = await find(call, Admission, key)
        if admission is None or not call.caller.owns(admission.project):
            raise BadRequest(f"Server {key[:64]}, which the scheduler hint '{hint}' names, could not be found.")
    return keys
