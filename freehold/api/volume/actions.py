"""POST …/action: what can be done to a volume or a snapshot; the body names one action."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Raw

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.volume.joined import Joined, held
from freehold.api.volume.volumes import end
from freehold.api.volume.wire.volumes import NothingIn, StatusIn
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.volume import ResetState, VolumeState


@dataclass(frozen=True, slots=True)
class Action:
    """What is done, with what the body says of it as `shape`. `admins`: by nobody else."""

    shape: Any
    do: Callable[[Call, Joined, Any], Awaitable[Answer]]
    admins: bool = False


async def act(
    call: Call,
    of: Callable[[Call], Awaitable[Joined]],
    offered: Mapping[str, Action],
    not_offered: Collection[str],
) -> Answer:
    """Does the one action that the body names to what the path names. Raises BadRequest for one that isn't offered."""
    body = call.read(dict[str, Raw])
    if len(body) != 1:
        raise BadRequest("Invalid input: the body must name one action")
    ((name, raw),) = body.items()
    action = offered.get(name)
    if action is None and name in not_offered:
        raise BadRequest(f"the action '{name}' isn't offered by this cloud yet")
    if action is None:
        raise BadRequest(f"There is no such action: {name[:64]}")
    given, item = replace(call, body=bytes(raw)).read(action.shape), await of(call)
    if action.admins and not call.caller.is_admin:
        raise Forbidden(f"Policy doesn't allow {name} to be performed by anybody but an admin.")
    return await action.do(call, item, given)


async def reset_status(call: Call, item: Joined, given: StatusIn) -> Answer:
    """An operator says that it is there after all, or isn't."""
    if given.attach_status not in (None, "detached") or given.migration_status not in (None, "none"):
        raise BadRequest("nothing can be attached or migrated in this cloud yet: only 'status' can be reset")
    if given.status is None:
        if given.attach_status is None and given.migration_status is None:
            raise BadRequest("Invalid input: say at least one of status, attach_status and migration_status.")
        return Answer(202)  # it is so
    if given.status not in (VolumeState.AVAILABLE, VolumeState.ERROR):
        raise BadRequest(f"Invalid status '{given.status[:32]}': it can be reset to available or to error.")
    record = held(item)
    question = ResetState(id=item.id, state=VolumeState(given.status))
    await asking.volume_owner(call, question, record.store, record.cluster)
    return Answer(202)


async def force_delete(call: Call, item: Joined, given: NothingIn | None) -> Answer:
    """Whatever state it is in."""
    del given
    await end(call, item, force=True)
    return Answer(202)
