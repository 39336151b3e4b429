"""The rules for what belongs to no host: names are taken once, what is in use stays, what hangs on a thing goes with
it.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from freehold.store.database import Store, drop, keep_private
from freehold.store.writing import Change
from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.codec import KINDS, decode
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.host import Retirement
from freehold.vocabulary.request import Admission, TenantRecord
from freehold.vocabulary.tenant import (
    ApplicationCredential,
    Assignment,
    KeyPair,
    Project,
    Quota,
    Role,
    ServerGroup,
    User,
)
from freehold.vocabulary.volume_request import VolumeAdmission
from freehold.vocabulary.word import Word

SAVED_KINDS: Final = frozenset(
    {
        *("project", "user", "role", "assignment", "application_credential"),
        *("flavor", "key_pair", "server_group", "quota", "aggregate", "aggregate_host", "volume_type"),
    }
)
DROPPED_KINDS: Final = SAVED_KINDS

_NAMED_WITHIN: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "project": lambda record: (record.domain,),
    "user": lambda record: (record.domain,),
    "role": lambda record: (),
    "flavor": lambda record: (),
    "volume_type": lambda record: (),
    "aggregate": lambda record: (),
    "application_credential": lambda record: (record.user,),
}
"""Kinds whose names are taken once, and within what."""


def saved(store: Store, kind: str, key: str, raw: bytes, new: bool, new_secret: bool = False) -> TenantRecord:
    """The record to put. Raises BadRequest, NotFound or Conflict if it can't be.

    A user's generation is counted here, from the record that stands: an asker's may be late.
    """
    if kind not in SAVED_KINDS:
        raise BadRequest(f"{kind} isn't kept by the registrar")
    record: Any = decode(raw, KINDS[kind])
    standing = store.read(kind, key)
    if new and standing is not None:
        raise Conflict(f"{_said(kind)} {key} exists already")
    if not new and standing is None and kind not in ("quota", "assignment"):
        raise NotFound(f"no {_said(kind)} {key}")
    _check_name(store, kind, key, record)
    _check_references(store, record)
    if isinstance(standing, User):
        record = replace(record, generation=_generation(standing, record, new_secret))
    return record  # type: ignore[no-any-return]


def _generation(standing: User, record: User, new_secret: bool) -> int:
    """A new password, or being disabled, makes the tokens of before void."""
    disabled = standing.enabled and not record.enabled
    return standing.generation + 1 if new_secret or disabled else standing.generation


def _check_name(store: Store, kind: str, key: str, record: Any) -> None:
    within = _NAMED_WITHIN.get(kind)
    if within is None:
        return
    for other in store.scan(KINDS[kind]):
        named: Any = other
        if named.id != record.id and named.name == record.name and within(named) == within(record):
            raise Conflict(f"{_said(kind)} {record.name!r} exists already; choose another name")


def _check_references(store: Store, record: Word) -> None:
    match record:
        case Assignment(user=user, project=project, role=role):
            _must_exist(store, User, user)
            _must_exist(store, Role, role)
            if project != "system":
                _must_exist(store, Project, project)
        case ApplicationCredential(user=user, project=project):
            _must_exist(store, User, user)
            _must_exist(store, Project, project)
        case KeyPair(user=user):
            _must_exist(store, User, user)
        case AggregateHost(aggregate=aggregate, host=host):
            _must_exist(store, Aggregate, aggregate)
            if _has_left(store, host):
                raise NotFound(f"no host {host}: it is retired")


def _has_left(store: Store, host: str) -> bool:
    return store.read_as(Retirement, host) is not None


def _must_exist(store: Store, shape: type[Project] | type[User] | type[Role] | type[Aggregate], key: str) -> None:
    if store.read_as(shape, key) is None:
        raise NotFound(f"no {_said(shape.__name__.lower())} {key}")


def dropped(store: Store, kind: str, key: str) -> list[Change]:
    """What goes with the record. Raises NotFound, or Conflict if it is in use."""
    if kind not in DROPPED_KINDS:
        raise BadRequest(f"{kind} isn't kept by the registrar")
    standing = store.read(kind, key)
    if standing is None:
        raise NotFound(f"no {_said(kind)} {key}")
    return [drop(kind, key), *_hanging_on(store, standing)]


def closed(store: Store, project: str) -> list[Change]:
    """What a project's own shard writes before the project is deleted. Raises Conflict if it has guests."""
    if any(admission.project == project for admission in store.scan(Admission)):
        raise Conflict(f"project {project} still has guests; delete them first")
    if any(admission.project == project for admission in store.scan(VolumeAdmission)):
        raise Conflict(f"project {project} still has volumes or snapshots; delete them first")
    return [*_limits_and_groups(store, project), keep_private("closed", project, b"")]


def is_closed(store: Store, project: str) -> bool:
    """Whether a project is gone, or about to go."""
    return store.read_private("closed", project) is not None


def _hanging_on(store: Store, record: Word) -> list[Change]:
    match record:
        case Project(id=project):
            return _assignments(store, lambda a: a.project == project) + _credentials(
                store, lambda c: c.project == project
            )
        case User(id=user):
            pairs = [drop("key_pair", f"{user}/{pair.name}") for pair in store.scan(KeyPair, f"{user}/")]
            return [
                *_assignments(store, lambda a: a.user == user),
                *_credentials(store, lambda c: c.user == user),
                *pairs,
                keep_private("password", user, None),
            ]
        case Role(id=role):
            return _assignments(store, lambda a: a.role == role)
        case Assignment(user=user, project=project):
            return _credentials(store, lambda c: c.user == user and c.project == project)
        case Aggregate(id=aggregate):
            return _hosts_within(store, aggregate)
        case ApplicationCredential(id=credential):
            return [keep_private("credential_secret", credential, None)]
    return []


def _limits_and_groups(store: Store, project: str) -> list[Change]:
    groups = [drop("server_group", group.id) for group in store.scan(ServerGroup) if group.project == project]
    return groups if store.read_as(Quota, project) is None else [*groups, drop("quota", project)]


def _hosts_within(store: Store, aggregate: str) -> list[Change]:
    """Of an aggregate that is dropped: hosts that have left go with it. Raises Conflict if there are others."""
    within = store.scan(AggregateHost, f"{aggregate}/")
    if any(not _has_left(store, one.host) for one in within):
        raise Conflict(f"aggregate {aggregate} still has hosts; remove them first")
    return [drop("aggregate_host", f"{one.aggregate}/{one.host}") for one in within]


def _assignments(store: Store, chosen: Callable[[Assignment], bool]) -> list[Change]:
    found = [a for a in store.scan(Assignment) if chosen(a)]
    return [drop("assignment", f"{a.user}/{a.project}/{a.role}") for a in found]


def _credentials(store: Store, chosen: Callable[[ApplicationCredential], bool]) -> list[Change]:
    changes = []
    for credential in store.scan(ApplicationCredential):
        if chosen(credential):
            changes += [drop("application_credential", credential.id)]
            changes += [keep_private("credential_secret", credential.id, None)]
    return changes


def _said(kind: str) -> str:
    return kind.replace("_", " ")
