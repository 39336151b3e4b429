"""Projects: what everything a user makes belongs to."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.identity.links import collection, self_link
from freehold.api.reading import every, find, keyed, one
from freehold.api.wire import NameOrNothing, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.tenant import DEFAULT_DOMAIN, Assignment, Project

ProjectName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class ProjectIn(Body, frozen=True, kw_only=True):
    """What may be given of a project."""

    name: ProjectName | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    domain_id: NameOrNothing | UnsetType | None = UNSET
    parent_id: NameOrNothing | UnsetType | None = UNSET
    is_domain: bool = False
    tags: list[str] = []
    options: dict[str, Any] = {}


class ProjectBody(Body, frozen=True, kw_only=True):
    """The body of a create or an update."""

    project: ProjectIn


def shown(call: Call, project: Project) -> dict[str, Any]:
    """A project as Keystone shows it."""
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain,
        "parent_id": project.domain,
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": False,
        "tags": [],
        "options": {},
        **self_link(call, "projects", project.id),
    }


def _listed(call: Call, projects: list[Project]) -> Answer:
    query = call.query
    name, enabled = query.one("name"), query.flag("enabled")
    domain = query.one("domain_id") or query.one("parent_id") or DEFAULT_DOMAIN
    none = query.flag("is_domain") is True or bool(query.one("tags") or query.one("tags-any"))
    rows = [
        shown(call, project)
        for project in projects
        if not none
        and (name is None or project.name == name)
        and (enabled is None or project.enabled is enabled)
        and project.domain == domain
    ]
    return collection(call, "projects", rows)


async def index(call: Call) -> Answer:
    """GET /projects."""
    return _listed(call, sorted(await every(call, Project), key=lambda project: project.created))


async def of_user(call: Call, user: str) -> list[Project]:
    """The enabled projects that a user has a role in."""
    assignments = await keyed(call, Assignment, f"{user}/")
    ids = dict.fromkeys(assignment.project for assignment in assignments)
    found = [call.cloud.view.get(Project, project) for project in ids]
    return [project for project in found if project is not None and project.enabled]


async def own(call: Call) -> Answer:
    """GET /auth/projects: what the caller may ask a token for."""
    return _listed(call, await of_user(call, call.caller.user))


async def index_of_user(call: Call) -> Answer:
    """GET /users/{user_id}/projects."""
    user = call.params["user_id"]
    if user != call.caller.user and not call.caller.is_admin:
        raise Forbidden("You are not authorized to list the projects of other users.")
    return _listed(call, await of_user(call, user))


async def show(call: Call) -> Answer:
    """GET /projects/{project_id}: a project that the caller has a role in."""
    identifier, caller = call.params["project_id"], call.caller
    if not caller.owns(identifier):
        assignments = await keyed(call, Assignment, f"{caller.user}/")
        if all(assignment.project != identifier for assignment in assignments):
            raise Forbidden("You are not authorized to perform the requested action: identity:get_project.")
    return Answer(body={"project": shown(call, await one(call, Project, identifier, "project"))})


def _check(given: ProjectIn) -> None:
    if given.is_domain or given.tags or given.options:
        raise BadRequest("Domains, and tags and options of projects, can't be made here.")
    for place in (given.domain_id, given.parent_id):
        if place not in (UNSET, None, "", DEFAULT_DOMAIN):
            raise BadRequest(f"There is one domain, '{DEFAULT_DOMAIN}', and projects don't nest.")


async def create(call: Call) -> Answer:
    """POST /projects."""
    given = call.read(ProjectBody).project
    _check(given)
    if given.name is UNSET:
        raise BadRequest("Invalid input: Object missing required field `name` - at `$.project`")
    project = Project(
        id=new_id(call.cloud.chance),
        name=given.name,
        description=given.description or "",
        enabled=given.enabled is not False,
        created=call.cloud.clock.now(),
    )
    await asking.save(call, project.id, project, new=True)
    return Answer(201, {"project": shown(call, project)})


async def update(call: Call) -> Answer:
    """PATCH /projects/{project_id}."""
    given = call.read(ProjectBody).project
    _check(given)
    project = await one(call, Project, call.params["project_id"], "project")
    if given.name is not UNSET:
        project = msgspec.structs.replace(project, name=given.name)
    if given.description is not UNSET:
        project = msgspec.structs.replace(project, description=given.description or "")
    if given.enabled is not UNSET:
        project = msgspec.structs.replace(project, enabled=given.enabled)
    await asking.save(call, project.id, project, new=False)
    return Answer(body={"project": shown(call, project)})


async def delete(call: Call) -> Answer:
    """DELETE /projects/{project_id}."""
    project = await one(call, Project, call.params["project_id"], "project")
    await asking.drop(call, project.id, project)
    return Answer(204)


async def check_exists(call: Call, project: str) -> None:
    """Raises BadRequest if a project that a body names isn't there."""
    if project and await find(call, Project, project) is None:
        raise BadRequest(f"There is no project {project}.")
