"""Who may use a flavor that isn't public."""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute.flavors import flavor_of
from freehold.api.compute.wire.flavors import AccessBody
from freehold.api.reading import find
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.tenant import Flavor, Project


async def index(call: Call) -> Answer:
    """GET /flavors/{id}/os-flavor-access."""
    flavor = await flavor_of(call)
    if flavor.public:
        raise NotFound("Access list not available for public flavors.")
    return _shown(flavor)


def _shown(flavor: Flavor) -> Answer:
    rows = [{"flavor_id": flavor.id, "tenant_id": project} for project in flavor.project_access]
    return Answer(body={"flavor_access": rows})


async def act(call: Call) -> Answer:
    """POST /flavors/{id}/action: addTenantAccess or removeTenantAccess."""
    body = call.read(AccessBody)
    flavor = await flavor_of(call)
    if not isinstance(body.add, UnsetType) and body.remove is UNSET:
        access = await _added(call, flavor, body.add.tenant)
    elif not isinstance(body.remove, UnsetType) and body.add is UNSET:
        access = _removed(flavor, body.remove.tenant)
    else:
        raise BadRequest("Invalid input: the body must name one action")
    flavor = replace(flavor, project_access=access)
    await asking.save(call, flavor.id, flavor, new=False)
    return _shown(flavor)


async def _added(call: Call, flavor: Flavor, project: str) -> tuple[str, ...]:
    if flavor.public:
        raise Conflict("Can not add access to a public flavor.")
    if await find(call, Project, project) is None:
        raise BadRequest(f"Project ID {project[:64]} is not a valid project.")
    if project in flavor.project_access:
        raise Conflict(f"Flavor access already exists for flavor {flavor.id} and project {project} combination.")
    return (*flavor.project_access, project)


def _removed(flavor: Flavor, project: str) -> tuple[str, ...]:
    if project not in flavor.project_access:
        raise NotFound(f"Flavor access not found for {flavor.id} / {project[:64]} combination.")
    return tuple(other for other in flavor.project_access if other != project)
