"""Who may have a token, and for what. Rules only: hashes and signatures are made in `effects`.

Every refusal says the same, so that a stranger can't learn which part was wrong.
"""

from dataclasses import dataclass

from freehold.store.database import Store
from freehold.vocabulary.errors import Unauthorized
from freehold.vocabulary.tenant import ApplicationCredential, Assignment, Project, Role, User
from freehold.vocabulary.token import Scope, SignIn, SignInByCredential

REFUSED = "The request you have made requires authentication."


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token will say. `project` empty: unscoped."""

    user: User
    project: str
    roles: tuple[str, ...]
    methods: tuple[str, ...]
    credential: str = ""
    expires_max: int | None = None
    """Unix seconds after which it may not hold."""


def refused() -> Unauthorized:
    """The one refusal."""
    return Unauthorized(REFUSED)


def user_asking(store: Store, question: SignIn | SignInByCredential) -> User | None:
    """The enabled user a question names, by id or by name and domain; None if there is none."""
    if question.user:
        user = store.read_as(User, question.user)
    else:
        domain = question.domain.lower() or "default"
        named = (u for u in store.scan(User) if u.name == question.user_name and u.domain == domain)
        user = next(named, None)
    return user if user is not None and user.enabled else None


def credential_asking(store: Store, question: SignInByCredential) -> ApplicationCredential | None:
    """The application credential a question names; None if there is none."""
    if question.id:
        return store.read_as(ApplicationCredential, question.id)
    user = user_asking(store, question)
    if user is None:
        return None
    return next((c for c in store.scan(ApplicationCredential) if (c.user, c.name) == (user.id, question.name)), None)


def granted(store: Store, user: User, scope: Scope, methods: tuple[str, ...], expires_max: int | None = None) -> Grant:
    """What `user` gets for `scope`. Raises Unauthorized if they have no role there."""
    project = _project(store, user, scope)
    if not project:
        return Grant(user, "", (), methods, expires_max=expires_max)
    roles = roles_of(store, user.id, project)
    if not roles:
        raise refused()
    return Grant(user, project, roles, methods, expires_max=expires_max)


def granted_by_credential(store: Store, credential: ApplicationCredential, now_s: int) -> Grant:
    """What an application credential gives. Raises Unauthorized if it, its user or its project has ended."""
    user = store.read_as(User, credential.user)
    project = store.read_as(Project, credential.project)
    if user is None or not user.enabled or project is None or not project.enabled:
        raise refused()
    if credential.expires is not None and credential.expires <= now_s:
        raise refused()
    held = set(roles_of(store, user.id, project.id))
    roles = tuple(name for name in _role_names(store, credential.roles) if name in held)
    if not roles:
        raise refused()
    return Grant(user, project.id, roles, ("application_credential",), credential.id, credential.expires)


def roles_of(store: Store, user: str, project: str) -> tuple[str, ...]:
    """The names of a user's roles in a project, sorted."""
    ids = tuple(a.role for a in store.scan(Assignment, f"{user}/{project}/"))
    return tuple(sorted(_role_names(store, ids)))


def _role_names(store: Store, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Names of roles given by id or by name."""
    named = {role.name: role.name for role in store.scan(Role)} | {role.id: role.name for role in store.scan(Role)}
    return tuple(named[one] for one in ids if one in named)


def _project(store: Store, user: User, scope: Scope) -> str:
    if scope.unscoped:
        return ""
    if scope.system:
        return "system"
    if not scope.project and not scope.project_name:
        default = store.read_as(Project, user.default_project) if user.default_project else None
        usable = default is not None and default.enabled and roles_of(store, user.id, default.id)
        return user.default_project if usable else ""
    project = _named(store, scope)
    if project is None or not project.enabled:
        raise refused()
    return project.id


def _named(store: Store, scope: Scope) -> Project | None:
    if scope.project:
        return store.read_as(Project, scope.project)
    domain = scope.domain.lower() or "default"
    return next((p for p in store.scan(Project) if p.name == scope.project_name and p.domain == domain), None)
