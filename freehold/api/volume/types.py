"""Volume types: kinds of volumes that may be asked for. What belongs to them is in `type_specs` and `type_access`."""

from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.paging import cut, next_link, ordered, wanted
from freehold.api.reading import every, find
from freehold.api.volume.lists import sort_keys
from freehold.api.volume.sources import Copied
from freehold.api.volume.wire.types import TypeBody, TypeUpdateBody
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.tenant import VolumeType
from freehold.vocabulary.volume_request import VolumeAdmission

DEFAULT_SPEC: Final = "freehold:default"
"""The extra spec by which an admin says that volumes have this type unless another is asked for."""

_TOLD: Final = frozenset({"RESKEY:availability_zones", "multiattach", "replication_enabled", DEFAULT_SPEC})
"""Extra specs that everybody may see."""

_SORT: Final = {
    "id": lambda kind: kind.id,
    "name": lambda kind: kind.name,
    "created_at": lambda kind: kind.created,
    "is_public": lambda kind: int(kind.public),
    "description": lambda kind: kind.description,
}


def may_use(call: Call, kind: VolumeType) -> bool:
    """Whether the caller's project may see and use a type."""
    return kind.public or call.caller.is_admin or call.caller.project in kind.project_access


async def type_of(call: Call) -> VolumeType:
    """The type that the path names. Raises NotFound, also for one that is not the caller's to use."""
    key = call.params["type_id"]
    kind = await find(call, VolumeType, key)
    if kind is None or not may_use(call, kind):
        raise _not_found(key)
    return kind


def _not_found(key: str) -> NotFound:
    return NotFound(f"Volume type {key[:64]} could not be found.")


async def type_wanted(call: Call, key: str, source: Copied) -> tuple[str, str]:
    """Id and name of the type of a new volume: the one that is named, by id or by name; else that of what is copied;
    else the default. Empty: of none. Raises NotFound, also for one that isn't the project's to use; BadRequest for
    another than what is copied has.
    """
    if not key:
        kind = None if source.type is not None else await _default(call)
        return source.type or (("", "") if kind is None else (kind.id, kind.name))
    found = await find(call, VolumeType, key)
    if found is None:
        found = next((kind for kind in call.cloud.view.list(VolumeType) if kind.name == key), None)
    if found is None or not may_use(call, found):
        raise _not_found(key)
    if source.type is not None and source.type[0] != found.id:
        raise BadRequest(
            f"Invalid volume_type provided: {key[:64]} (requested type is not compatible; either match the source, or "
            "omit the type argument)."
        )
    return found.id, found.name


async def _default(call: Call) -> VolumeType | None:
    marked = (kind for kind in await every(call, VolumeType, newest_first=False) if kind.is_default)
    return next((kind for kind in marked if may_use(call, kind)), None)


def shown(call: Call, kind: VolumeType) -> dict[str, Any]:
    """A type as Cinder shows it."""
    return {
        "id": kind.id,
        "name": kind.name,
        "description": kind.description or None,
        "is_public": kind.public,
        "os-volume-type-access:is_public": kind.public,
        "extra_specs": told_specs(call, kind),
        "qos_specs_id": None,
    }


def told_specs(call: Call, kind: VolumeType) -> dict[str, str]:
    """The extra specs that the caller may see."""
    if call.caller.is_admin:
        return kind.extra_specs
    return {name: value for name, value in kind.extra_specs.items() if name in _TOLD}


async def index(call: Call) -> Answer:
    """GET /types."""
    public, name = _asked_public(call), call.query.one("name")
    kinds = [
        kind
        for kind in await every(call, VolumeType)
        if may_use(call, kind) and public in (None, kind.public) and name in (None, kind.name)
    ]
    page, more = cut(ordered(kinds, sort_keys(call, _SORT), _SORT), wanted(call), lambda kind: kind.id)
    body: dict[str, Any] = {"volume_types": [shown(call, kind) for kind in page]}
    if more:
        body["volume_type_links"] = [{"rel": "next", "href": next_link(call, page[-1].id)}]
    return Answer(body=body)


def _asked_public(call: Call) -> bool | None:
    """Public types, private ones, or both (None): so unless an admin says otherwise, for clients look for a type's name
    among those that they are given.
    """
    text = call.query.one("is_public")
    if not call.caller.is_admin or text is None or text.lower() == "none":
        return None
    return call.query.flag("is_public")


async def show(call: Call) -> Answer:
    """GET /types/{id}."""
    return Answer(body={"volume_type": shown(call, await type_of(call))})


async def default(call: Call) -> Answer:
    """GET /types/default."""
    kind = await _default(call)
    if kind is None:
        raise NotFound("Default volume type can not be found.")
    return Answer(body={"volume_type": shown(call, kind)})


async def create(call: Call) -> Answer:
    """POST /types."""
    given = call.read(TypeBody).volume_type
    kind = VolumeType(
        id=new_id(call.cloud.chance),
        name=_stripped(given.name),
        description=given.description or "",
        public=_public(given.public, given.is_public, default=True),
        created=call.cloud.clock.now(),
    )
    await asking.save(call, kind.id, kind, new=True)
    if given.extra_specs:
        kind = await with_specs(call, kind, given.extra_specs)
    return Answer(body={"volume_type": shown(call, kind)})


def _stripped(name: str) -> str:
    if not name.strip():
        raise BadRequest("Invalid input for field/attribute name: it can't be blank.")
    return name.strip()


def _public(one: bool | UnsetType, other: bool | UnsetType, *, default: bool) -> bool:
    given = other if isinstance(one, UnsetType) else one
    return default if isinstance(given, UnsetType) else given


async def update(call: Call) -> Answer:
    """PUT /types/{id}."""
    given, kind = call.read(TypeUpdateBody).volume_type, await type_of(call)
    if all(one is UNSET for one in (given.name, given.description, given.public, given.is_public)):
        raise BadRequest("Invalid input: say at least one of name, description and is_public.")
    kind = replace(
        kind,
        name=kind.name if given.name is UNSET else _stripped(given.name),
        description=kind.description if given.description is UNSET else given.description or "",
        public=_public(given.public, given.is_public, default=kind.public),
    )
    await asking.save(call, kind.id, kind, new=False)
    return Answer(body={"volume_type": shown(call, kind)})


async def delete(call: Call) -> Answer:
    """DELETE /types/{id}: of one that no volume has."""
    kind = await type_of(call)
    if any(admission.spec.type == kind.id for admission in await every(call, VolumeAdmission)):
        raise BadRequest("Target volume type is still in use.")
    await asking.drop(call, kind.id, kind)
    return Answer(202)


async def with_specs(call: Call, kind: VolumeType, specs: dict[str, str]) -> VolumeType:
    """Gives a type other extra specs. There is one default: a type that becomes it takes the place of who was it."""
    mark = specs.get(DEFAULT_SPEC, "false").lower()
    if mark not in ("true", "false"):
        raise BadRequest(f"The extra spec {DEFAULT_SPEC} must be true or false.")
    if mark == "true":
        await _unmark(call, kind)
    kind = replace(kind, extra_specs=specs, is_default=mark == "true")
    await asking.save(call, kind.id, kind, new=False)
    return kind


async def _unmark(call: Call, but: VolumeType) -> None:
    for other in list(await every(call, VolumeType)):
        if other.is_default and other.id != but.id:
            specs = {name: value for name, value in other.extra_specs.items() if name != DEFAULT_SPEC}
            await asking.save(call, other.id, replace(other, extra_specs=specs, is_default=False), new=False)
