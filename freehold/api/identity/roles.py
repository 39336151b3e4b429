"""Roles, and who has which in which project. The policy table knows admin, member and reader; others are only names."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.caller import SYSTEM_PROJECT
from freehold.api.identity.links import DOMAIN, collection, self_link
from freehold.api.reading import every, find, keyed, one
from freehold.api.wire import Name, NameOrNothing, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.tenant import Assignment, Project, Role, User


class RoleIn(Body, frozen=True, kw_only=True):
    """What may be given of a role."""

    name: Name | None = None
    description: Text | UnsetType | None = UNSET
    domain_id: NameOrNothing | None = None
    options: dict[str, Any] = {}


class RoleBody(Body, frozen=True, kw_only=True):
    """The body of a create or an update."""

    role: RoleIn


def shown(call: Call, role: Role) -> dict[str, Any]:
    """A role as Keystone shows it."""
    more: dict[str, Any] = {"domain_id": None, "description": role.description, "options": {}}
    return {"id": role.id, "name": role.name, **more, **self_link(call, "roles", role.id)}


async def role_names(call: Call) -> dict[str, str]:
    """The name of each role by its id."""
    return {role.id: role.name for role in await every(call, Role)}


async def index(call: Call) -> Answer:
    """GET /roles."""
    name = call.query.one("name")
    none = bool(call.query.one("domain_id"))  # roles of a domain aren't offered
    rows = [role for role in await every(call, Role) if not none and (name is None or role.name == name)]
    return collection(call, "roles", [shown(call, role) for role in sorted(rows, key=lambda role: role.name)])


async def show(call: Call) -> Answer:
    """GET /roles/{role_id}."""
    return Answer(body={"role": shown(call, await one(call, Role, call.params["role_id"], "role"))})


def _check(given: RoleIn) -> None:
    if given.domain_id or given.options:
        raise BadRequest("Roles belong to no domain and have no options.")


async def create(call: Call) -> Answer:
    """POST /roles."""
    given = call.read(RoleBody).role
    _check(given)
    if given.name is None:
        raise BadRequest("Invalid input: Object missing required field `name` - at `$.role`")
    role = Role(id=new_id(call.cloud.chance), name=given.name, description=given.description or "")
    await asking.save(call, role.id, role, new=True)
    return Answer(201, {"role": shown(call, role)})


async def update(call: Call) -> Answer:
    """PATCH /roles/{role_id}."""
    given = call.read(RoleBody).role
    _check(given)
    role = await one(call, Role, call.params["role_id"], "role")
    description = role.description if given.description is UNSET else given.description or ""
    role = msgspec.structs.replace(role, name=given.name or role.name, description=description)
    await asking.save(call, role.id, role, new=False)
    return Answer(body={"role": shown(call, role)})


async def delete(call: Call) -> Answer:
    """DELETE /roles/{role_id}."""
    role = await one(call, Role, call.params["role_id"], "role")
    await asking.drop(call, role.id, role)
    return Answer(204)


# --- who has which ---------------------------------------------------------------------------------------------------


async def _named(call: Call) -> Assignment:
    """The assignment that the path names, if user, project and role exist. Raises NotFound."""
    project = call.params.get("project_id", SYSTEM_PROJECT)
    if project != SYSTEM_PROJECT:
        await one(call, Project, project, "project")
    user = await one(call, User, call.params["user_id"], "user")
    role = await one(call, Role, call.params["role_id"], "role")
    return Assignment(user=user.id, project=project, role=role.id)


def key_of(assignment: Assignment) -> str:
    """The key an assignment is kept under."""
    return f"{assignment.user}/{assignment.project}/{assignment.role}"


async def grant(call: Call) -> Answer:
    """PUT …/users/{user_id}/roles/{role_id}: also when it is there already."""
    assignment = await _named(call)
    if await find(call, Assignment, key_of(assignment)) is None:
        await asking.save(call, key_of(assignment), assignment, new=False)
    return Answer(204)


async def check(call: Call) -> Answer:
    """GET and HEAD …/users/{user_id}/roles/{role_id}."""
    if await find(call, Assignment, key_of(await _named(call))) is None:
        raise NotFound("The user doesn't have this role there.")
    return Answer(204)


async def withdraw(call: Call) -> Answer:
    """DELETE …/users/{user_id}/roles/{role_id}."""
    await check(call)
    assignment = await _named(call)
    await asking.drop(call, key_of(assignment), assignment)
    return Answer(204)


async def of_user(call: Call) -> Answer:
    """GET …/users/{user_id}/roles."""
    user, project = call.params["user_id"], call.params.get("project_id", SYSTEM_PROJECT)
    if user != call.caller.user and not call.caller.is_admin:
        raise Forbidden("You are not authorized to list the roles of another user.")
    await one(call, User, user, "user")
    held = {assignment.role for assignment in await keyed(call, Assignment, f"{user}/{project}/")}
    return collection(call, "roles", [shown(call, role) for role in await every(call, Role) if role.id in held])


async def assignments(call: Call) -> Answer:
    """GET /role_assignments: everyone's for an admin, one's own for others."""
    query = call.query
    user = query.one("user.id")
    if not call.caller.is_admin and user != call.caller.user:
        raise Forbidden("You are not authorized to list role assignments of others: filter by your own user.id.")
    if query.one("group.id") or query.one("scope.domain.id"):
        return collection(call, "role_assignments", [])
    project = query.one("scope.project.id") or (SYSTEM_PROJECT if query.one("scope.system") else None)
    role = query.one("role.id")
    found = await keyed(call, Assignment, f"{user}/") if user else list(await every(call, Assignment))
    rows = [
        assignment
        for assignment in found
        if (project is None or assignment.project == project) and (role is None or assignment.role == role)
    ]
    names = query.flag("include_names") is True
    return collection(call, "role_assignments", [_assignment(call, assignment, names) for assignment in rows])


def _assignment(call: Call, assignment: Assignment, names: bool) -> dict[str, Any]:
    system = assignment.project == SYSTEM_PROJECT
    where = "system" if system else f"projects/{assignment.project}"
    url = f"{call.base_url}/v3/{where}/users/{assignment.user}/roles/{assignment.role}"
    user: dict[str, Any] = {"id": assignment.user}
    project: dict[str, Any] = {"id": assignment.project}
    role = {"id": assignment.role}
    if names:
        view = call.cloud.view
        known_user, known_role = view.get(User, assignment.user), view.get(Role, assignment.role)
        known_project = view.get(Project, assignment.project)
        user |= {"name": known_user.name if known_user else "", "domain": DOMAIN}
        role |= {"name": known_role.name if known_role else ""}
        project |= {"name": known_project.name if known_project else "", "domain": DOMAIN}
    scope: dict[str, Any] = {"system": {"all": True}} if system else {"project": project}
    return {"user": user, "role": role, "scope": scope, "links": {"assignment": url}}
