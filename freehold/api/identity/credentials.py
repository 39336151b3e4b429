"""Application credentials: a secret for a program, with some of a user's roles in one project."""

import base64
from datetime import UTC, datetime
from typing import Any

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.identity.links import collection, self_link
from freehold.api.identity.roles import role_names
from freehold.api.identity.tokens import when
from freehold.api.identity.users import own_or_admin
from freehold.api.reading import every, one
from freehold.api.wire import Name, NameOrNothing, Password, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import ApplicationCredential


class RoleIn(Body, frozen=True, kw_only=True):
    """A role by id or name."""

    id: NameOrNothing = ""
    name: NameOrNothing = ""


class CredentialIn(Body, frozen=True, kw_only=True):
    """What may be given of an application credential."""

    name: Name
    description: Text | None = None
    secret: Password | None = None
    expires_at: NameOrNothing | None = None
    roles: list[RoleIn] = []
    unrestricted: bool | None = None
    project_id: NameOrNothing | None = None
    access_rules: list[Any] | None = None


class CredentialBody(Body, frozen=True, kw_only=True):
    """The body of a create."""

    application_credential: CredentialIn


async def _shown(call: Call, credential: ApplicationCredential) -> dict[str, Any]:
    names = await role_names(call)
    where = f"users/{credential.user}/application_credentials"
    return {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project,
        "user_id": credential.user,
        "roles": [{"id": id, "name": name} for id, name in names.items() if name in credential.roles],
        "expires_at": when(credential.expires) if credential.expires is not None else None,
        "unrestricted": credential.unrestricted,
        "system": None,
        **self_link(call, where, credential.id),
    }


async def index(call: Call) -> Answer:
    """GET /users/{user_id}/application_credentials."""
    user, name = call.params["user_id"], call.query.one("name")
    own_or_admin(call, user)
    rows = [
        await _shown(call, credential)
        for credential in await every(call, ApplicationCredential)
        if credential.user == user and (name is None or credential.name == name)
    ]
    return collection(call, "application_credentials", rows)


async def _named(call: Call) -> ApplicationCredential:
    user, identifier = call.params["user_id"], call.params["credential_id"]
    own_or_admin(call, user)
    credential = await one(call, ApplicationCredential, identifier, "application credential")
    if credential.user != user:
        raise NotFound(f"application credential {identifier} could not be found.")
    return credential


async def show(call: Call) -> Answer:
    """GET /users/{user_id}/application_credentials/{credential_id}."""
    return Answer(body={"application_credential": await _shown(call, await _named(call))})


async def create(call: Call) -> Answer:
    """POST /users/{user_id}/application_credentials: for oneself, in one's project; shows the secret once."""
    given = call.read(CredentialBody).application_credential
    await _may_create(call, given)
    credential = ApplicationCredential(
        id=new_id(call.cloud.chance),
        name=given.name,
        user=call.caller.user,
        project=call.caller.project,
        roles=await _roles(call, given.roles),
        description=given.description or "",
        expires=_expires(call, given.expires_at),
        unrestricted=bool(given.unrestricted),
    )
    secret = given.secret or base64.urlsafe_b64encode(call.cloud.chance.bytes(48)).decode()
    await asking.save(call, credential.id, credential, new=True, secret=Secret(secret))
    return Answer(201, {"application_credential": {**await _shown(call, credential), "secret": secret}})


async def _may_create(call: Call, given: CredentialIn) -> None:
    caller = call.caller
    if call.params["user_id"] != caller.user:
        raise Forbidden("Application credentials are made by their user alone.")
    if not caller.project or given.project_id not in (None, "", caller.project):
        raise BadRequest("An application credential is for the project of the token it is made with.")
    if given.access_rules:
        raise BadRequest("Access rules aren't offered.")
    await may_manage(call)


async def may_manage(call: Call) -> None:
    """Raises Forbidden for a caller who signed in by a credential that isn't unrestricted."""
    if call.caller.credential:
        used = await one(call, ApplicationCredential, call.caller.credential, "application credential")
        if not used.unrestricted:
            raise Forbidden("This application credential may not manage application credentials.")


async def _roles(call: Call, given: list[RoleIn]) -> tuple[str, ...]:
    """The names of the roles given, which the caller must have; all of the caller's if none are given."""
    names = await role_names(call)
    wanted = {names.get(role.id, "") if role.id else role.name for role in given} or set(call.caller.roles)
    if not wanted <= call.caller.roles:
        raise BadRequest("An application credential can't have roles that its user doesn't have in the project.")
    return tuple(sorted(wanted))


def _expires(call: Call, text: str | None) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        unix_s = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise BadRequest("'expires_at' must be a time like 2030-01-31T12:00:00Z") from error
    if unix_s <= call.cloud.clock.clock.unix_ms() // 1000:
        raise BadRequest("'expires_at' must be in the future")
    return unix_s


async def delete(call: Call) -> Answer:
    """DELETE /users/{user_id}/application_credentials/{credential_id}."""
    credential = await _named(call)
    await may_manage(call)
    await asking.drop(call, credential.id, credential)
    return Answer(204)
