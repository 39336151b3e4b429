"""Who may use a volume type that isn't public."""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.reading import find
from freehold.api.volume.types import type_of
from freehold.api.volume.wire.types import AccessBody
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.tenant import Project, VolumeType


async def index(call: Call) -> Answer:
    """GET /types/{id}/os-volume-type-access."""
    kind = await type_of(call)
    if kind.public:
        raise NotFound("Access list not available for public volume types.")
    rows = [{"volume_type_id": kind.id, "project_id": project} for project in kind.project_access]
    return Answer(body={"volume_type_access": rows})


async def act(call: Call) -> Answer:
    """POST /types/{id}/action: addProjectAccess or removeProjectAccess."""
    body = call.read(AccessBody)
    kind = await type_of(call)
    if not isinstance(body.add, UnsetType) and body.remove is UNSET:
        access = await _added(call, kind, body.add.project)
    elif not isinstance(body.remove, UnsetType) and body.add is UNSET:
        access = _removed(kind, body.remove.project)
    else:
        raise BadRequest("Invalid input: the body must name one action")
    await asking.save(call, kind.id, replace(kind, project_access=access), new=False)
    return Answer(202)


async def _added(call: Call, kind: VolumeType, project: str) -> tuple[str, ...]:
    if kind.public:
        raise Conflict("Type access modification is not applicable to public volume type.")
    if await find(call, Project, project) is None:
        raise BadRequest(f"Project ID {project[:64]} is not a valid project.")
    if project in kind.project_access:
        raise Conflict(f"Volume type access for {kind.id} / {project} combination already exists.")
    return (*kind.project_access, project)


def _removed(kind: VolumeType, project: str) -> tuple[str, ...]:
    if project not in kind.project_access:
        raise NotFound(f"Volume type access not found for {kind.id} / {project[:64]} combination.")
    return tuple(other for other in kind.project_access if other != project)
