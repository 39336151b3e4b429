"""Signing in, looking at a token, and giving it back. Checking secrets is the registrar's; it signs, we only read."""

from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType

from freehold.api.asking import DEADLINE_S, registrar
from freehold.api.call import Answer, Body, Call
from freehold.api.caller import SYSTEM_PROJECT, Caller
from freehold.api.identity.catalog import catalog
from freehold.api.identity.links import DOMAIN, DOMAIN_NAME
from freehold.api.identity.roles import role_names
from freehold.api.reading import find, one
from freehold.api.wire import Identifier, Name, NameOrNothing, Password
from freehold.bus import subjects, talk
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound, Unauthorized
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.tenant import DEFAULT_DOMAIN, ApplicationCredential, Project, User
from freehold.vocabulary.token import Revoke, Scope, SignIn, SignInAgain, SignInByCredential, Token
from freehold.vocabulary.units import clock_time, iso_seconds

_REFUSAL: Final = "The request you have made requires authentication."


class DomainIn(Body, frozen=True, kw_only=True):
    """A domain by id or name."""

    id: NameOrNothing = ""
    name: NameOrNothing = ""

    def found(self) -> str:
        """Its id; a name nobody has finds nobody."""
        return self.id or (DEFAULT_DOMAIN if self.name.lower() == DOMAIN_NAME.lower() else self.name)


class UserIn(Body, frozen=True, kw_only=True):
    """Who signs in."""

    id: NameOrNothing = ""
    name: NameOrNothing = ""
    domain: DomainIn = DomainIn()
    password: Password | UnsetType = UNSET


class PasswordIn(Body, frozen=True, kw_only=True):
    """Method ``password``."""

    user: UserIn


class TokenIn(Body, frozen=True, kw_only=True):
    """Method ``token``."""

    id: str


class CredentialIn(Body, frozen=True, kw_only=True):
    """Method ``application_credential``: by id, or by name and user."""

    id: NameOrNothing = ""
    name: NameOrNothing = ""
    user: UserIn = UserIn()
    secret: Password


class IdentityIn(Body, frozen=True, kw_only=True):
    """How somebody shows who they are."""

    methods: list[str]
    password: PasswordIn | UnsetType = UNSET
    token: TokenIn | UnsetType = UNSET
    application_credential: CredentialIn | UnsetType = UNSET


class ProjectIn(Body, frozen=True, kw_only=True):
    """A project by id, or by name and domain."""

    id: Identifier | None = None
    name: Name | None = None
    domain: DomainIn = DomainIn()


class SystemIn(Body, frozen=True, kw_only=True):
    """The whole system."""

    all: Literal[True]


class ScopeIn(Body, frozen=True, kw_only=True):
    """What the token is for."""

    project: ProjectIn | UnsetType = UNSET
    system: SystemIn | UnsetType = UNSET
    domain: DomainIn | UnsetType = UNSET
    unscoped: dict[str, Any] | UnsetType = UNSET


class AuthIn(Body, frozen=True, kw_only=True):
    """Everything."""

    identity: IdentityIn
    scope: ScopeIn | Literal["unscoped"] | UnsetType = UNSET


class AuthBody(Body, frozen=True, kw_only=True):
    """The body of POST /auth/tokens."""

    auth: AuthIn


async def create(call: Call) -> Answer:
    """POST /auth/tokens. Whatever is wrong with the credentials, the answer is the same."""
    question = _question(call.read(AuthBody).auth)
    if isinstance(question, SignInAgain):
        await call.tokens.caller(question.token.reveal())
    try:
        subject = subjects.ask_shard(IDENTITY_SHARD)
        token = await talk.ask(call.cloud.bus, subject, question, Token, DEADLINE_S)
    except (Unauthorized, NotFound, Forbidden) as error:
        raise Unauthorized(_REFUSAL) from error
    headers = {"x-subject-token": token.text.reveal()}
    return Answer(201, await _shown(call, token), headers)


def _question(auth: AuthIn) -> SignIn | SignInAgain | SignInByCredential:
    identity, scope = auth.identity, _scope(auth.scope)
    if identity.methods == ["password"] and identity.password is not UNSET:
        user = identity.password.user
        if user.password is UNSET or not (user.id or user.name):
            raise BadRequest("Expecting to find id or name, and password, in user.")
        secret = Secret(user.password)
        return SignIn(user=user.id, user_name=user.name, domain=_domain(user), password=secret, scope=scope)
    if identity.methods == ["token"] and identity.token is not UNSET:
        return SignInAgain(token=Secret(identity.token.id), scope=scope)
    if identity.methods == ["application_credential"] and identity.application_credential is not UNSET:
        return _by_credential(identity.application_credential, auth)
    raise BadRequest("'methods' must be one of password, token and application_credential, with its data beside it.")


def _by_credential(given: CredentialIn, auth: AuthIn) -> SignInByCredential:
    if auth.scope is not UNSET:
        raise BadRequest("An application credential has its own scope: leave 'scope' out.")
    user = given.user
    if not given.id and not (given.name and (user.id or user.name)):
        raise BadRequest("An application credential is named by id, or by name and user.")
    return SignInByCredential(
        id=given.id,
        name=given.name,
        user=user.id,
        user_name=user.name,
        domain=_domain(user),
        secret=Secret(given.secret),
    )


def _domain(user: UserIn) -> str:
    return user.domain.found() or DEFAULT_DOMAIN


def _scope(given: ScopeIn | str | UnsetType) -> Scope:
    if isinstance(given, UnsetType):
        return Scope()
    if isinstance(given, str) or given.unscoped is not UNSET:
        return Scope(unscoped=True)
    if given.system is not UNSET:
        return Scope(system=True)
    if given.domain is not UNSET:
        raise BadRequest("Tokens for a domain aren't offered: ask for a project or the system.")
    if given.project is UNSET or not (given.project.id or given.project.name):
        raise BadRequest("Expecting to find id or name in project.")
    project = given.project
    domain = project.domain.found() or DEFAULT_DOMAIN
    return Scope(project=project.id or "", project_name=project.name or "", domain=domain)


async def _shown(call: Call, token: Token) -> dict[str, Any]:
    caller = Caller(
        user=token.user,
        project=token.project,
        roles=frozenset(token.roles),
        audit_id=token.audit_id,
        methods=token.methods,
        issued=token.issued,
        expires=token.expires,
        credential=token.credential,
    )
    return await _body(call, caller)


async def _body(call: Call, caller: Caller) -> dict[str, Any]:
    user = await one(call, User, caller.user, "user")
    token: dict[str, Any] = {
        "methods": list(caller.methods),
        "user": {"id": user.id, "name": user.name, "domain": DOMAIN, "password_expires_at": None},
        "audit_ids": [caller.audit_id],
        "issued_at": when(caller.issued),
        "expires_at": when(caller.expires),
    }
    if caller.project:
        names = await role_names(call)
        token["roles"] = [{"id": id, "name": name} for id, name in names.items() if name in caller.roles]
        token |= await _scope_shown(call, caller.project)
        if call.query.one("nocatalog") is None:
            token["catalog"] = catalog(call, caller.project)
    if caller.credential:
        token["application_credential"] = await _credential_shown(call, caller.credential)
    return {"token": token}


async def _scope_shown(call: Call, project_id: str) -> dict[str, Any]:
    if project_id == SYSTEM_PROJECT:
        return {"system": {"all": True}}
    project = await one(call, Project, project_id, "project")
    return {"project": {"id": project.id, "name": project.name, "domain": DOMAIN}, "is_domain": False}


async def _credential_shown(call: Call, identifier: str) -> dict[str, Any]:
    credential = await find(call, ApplicationCredential, identifier)
    name = credential.name if credential else ""
    return {"id": identifier, "name": name, "restricted": not (credential and credential.unrestricted)}


def when(unix_s: int) -> str:
    """Unix seconds as Keystone writes them: ``2026-11-23T22:41:06.000000Z``."""
    return iso_seconds(clock_time(unix_s * 1000)).removesuffix("Z") + ".000000Z"


async def _subject(call: Call) -> Caller:
    """Whom the token in X-Subject-Token is for: the caller's own, or anyone's for an admin. Raises NotFound."""
    text = call.headers.get("x-subject-token", "")
    try:
        subject = await call.tokens.caller(text)
    except Unauthorized as error:
        raise NotFound("Could not find token.") from error
    if subject.user != call.caller.user and not call.caller.is_admin:
        raise Forbidden("You are not authorized to see this token.")
    return subject


async def show(call: Call) -> Answer:
    """GET and HEAD /auth/tokens."""
    subject = await _subject(call)
    return Answer(body=await _body(call, subject), headers={"x-subject-token": call.headers["x-subject-token"]})


async def revoke(call: Call) -> Answer:
    """DELETE /auth/tokens."""
    subject = await _subject(call)
    await registrar(call, Revoke(audit_id=subject.audit_id, expires=subject.expires))
    return Answer(204)
