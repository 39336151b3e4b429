"""Users: people and programs that sign in."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.identity.links import collection, self_link
from freehold.api.identity.projects import check_exists
from freehold.api.reading import every, one
from freehold.api.wire import Name, NameOrNothing, Password, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.request import ChangePassword
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import DEFAULT_DOMAIN, User


class UserIn(Body, frozen=True, kw_only=True):
    """What may be given of a user. None counts as not given, as clients send it."""

    name: Name | None = None
    password: Password | None = None
    email: NameOrNothing | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    default_project_id: NameOrNothing | UnsetType | None = UNSET
    domain_id: NameOrNothing | None = None
    enabled: bool | None = None
    options: dict[str, Any] = {}


class UserBody(Body, frozen=True, kw_only=True):
    """The body of a create or an update."""

    user: UserIn


class PasswordIn(Body, frozen=True, kw_only=True):
    """A change of one's own password."""

    password: Password
    original_password: Password


class PasswordBody(Body, frozen=True, kw_only=True):
    """The body of POST /users/{user_id}/password."""

    user: PasswordIn


def shown(call: Call, user: User) -> dict[str, Any]:
    """A user as Keystone shows it."""
    more = {"default_project_id": user.default_project} if user.default_project else {}
    return {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain,
        "email": user.email,
        "description": user.description,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": {},
        **more,
        **self_link(call, "users", user.id),
    }


async def index(call: Call) -> Answer:
    """GET /users."""
    name, enabled = call.query.one("name"), call.query.flag("enabled")
    domain = call.query.one("domain_id") or DEFAULT_DOMAIN
    rows = [
        shown(call, user)
        for user in sorted(await every(call, User), key=lambda user: user.created)
        if (name is None or user.name == name)
        and (enabled is None or user.enabled is enabled)
        and user.domain == domain
    ]
    return collection(call, "users", rows)


async def show(call: Call) -> Answer:
    """GET /users/{user_id}: oneself, or anyone for an admin."""
    own_or_admin(call, call.params["user_id"])
    return Answer(body={"user": shown(call, await one(call, User, call.params["user_id"], "user"))})


def own_or_admin(call: Call, user: str) -> None:
    """Raises Forbidden, whether or not there is such a user, unless it is the caller or the caller is an admin."""
    if user != call.caller.user and not call.caller.is_admin:
        raise Forbidden("You are not authorized to perform this on another user.")


async def _check(call: Call, given: UserIn) -> None:
    if given.domain_id not in (None, "", DEFAULT_DOMAIN):
        raise BadRequest(f"There is one domain, '{DEFAULT_DOMAIN}'.")
    if given.options:
        raise BadRequest("Options of users aren't offered.")
    if given.default_project_id is not UNSET:
        await check_exists(call, given.default_project_id or "")


async def create(call: Call) -> Answer:
    """POST /users."""
    given = call.read(UserBody).user
    await _check(call, given)
    if given.name is None:
        raise BadRequest("Invalid input: Object missing required field `name` - at `$.user`")
    user = User(
        id=new_id(call.cloud.chance),
        name=given.name,
        email=given.email or "",
        description=given.description or "",
        default_project=given.default_project_id or "",
        enabled=given.enabled is not False,
        created=call.cloud.clock.now(),
    )
    await asking.save(call, user.id, user, new=True, secret=Secret(given.password) if given.password else None)
    return Answer(201, {"user": shown(call, user)})


async def update(call: Call) -> Answer:
    """PATCH /users/{user_id}. A new password, or being disabled, makes the user's tokens void."""
    given = call.read(UserBody).user
    await _check(call, given)
    before = await one(call, User, call.params["user_id"], "user")
    user = _changed(before, given)
    if given.password or (before.enabled and not user.enabled):
        user = msgspec.structs.replace(user, generation=before.generation + 1)
    await asking.save(call, user.id, user, new=False, secret=Secret(given.password) if given.password else None)
    return Answer(body={"user": shown(call, user)})


def _changed(user: User, given: UserIn) -> User:
    changes: dict[str, Any] = {}
    if given.name is not None:
        changes["name"] = given.name
    if given.enabled is not None:
        changes["enabled"] = given.enabled
    if given.email is not UNSET:
        changes["email"] = given.email or ""
    if given.description is not UNSET:
        changes["description"] = given.description or ""
    if given.default_project_id is not UNSET:
        changes["default_project"] = given.default_project_id or ""
    return msgspec.structs.replace(user, **changes)


async def delete(call: Call) -> Answer:
    """DELETE /users/{user_id}."""
    user = await one(call, User, call.params["user_id"], "user")
    await asking.drop(call, user.id, user)
    return Answer(204)


async def change_password(call: Call) -> Answer:
    """POST /users/{user_id}/password: one's own."""
    given = call.read(PasswordBody).user
    if call.params["user_id"] != call.caller.user:
        raise Forbidden("Only one's own password is changed here.")
    old, new = Secret(given.original_password), Secret(given.password)
    await asking.registrar(call, ChangePassword(user=call.caller.user, old=old, new=new))
    return Answer(204)
