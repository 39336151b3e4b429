"""Flavors: the sizes a server may have. What belongs to them is in `flavor_specs` and `flavor_access`."""

from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.links import links
from freehold.api.compute.microversion import Version
from freehold.api.compute.wire.flavors import FlavorBody, FlavorIn, FlavorUpdateBody
from freehold.api.paging import cut, next_link, ordered, wanted
from freehold.api.reading import every, find
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.tenant import Flavor

_SORT: Final = {
    "flavorid": lambda flavor: flavor.id,
    "id": lambda flavor: flavor.id,
    "name": lambda flavor: flavor.name,
    "memory_mb": lambda flavor: flavor.ram_mib,
    "vcpus": lambda flavor: flavor.vcpus,
    "root_gb": lambda flavor: flavor.disk_gib,
    "ephemeral_gb": lambda flavor: flavor.ephemeral_gib,
    "swap": lambda flavor: flavor.swap_mib,
    "rxtx_factor": lambda flavor: flavor.rxtx_factor,
    "is_public": lambda flavor: int(flavor.public),
    "created_at": lambda flavor: flavor.created,
}


def may_use(call: Call, flavor: Flavor) -> bool:
    """Whether the caller's project may see and use a flavor."""
    return flavor.public or call.caller.is_admin or call.caller.project in flavor.project_access


async def flavor_of(call: Call) -> Flavor:
    """The flavor that the path names. Raises NotFound, also for one that is not the caller's to use."""
    key = call.params["flavor_id"]
    flavor = await find(call, Flavor, key)
    if flavor is None or not may_use(call, flavor):
        raise NotFound(f"Flavor {key[:64]} could not be found.")
    return flavor


def _summary(call: Call, flavor: Flavor, version: Version) -> dict[str, Any]:
    body: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": links(call, "flavors", flavor.id)}
    return body | ({"description": flavor.description} if version >= mv.FLAVOR_DESCRIPTION else {})


def _detail(call: Call, flavor: Flavor, version: Version) -> dict[str, Any]:
    return _summary(call, flavor, version) | {
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap_mib or ("" if version < mv.FULL_UPDATE else 0),
        "rxtx_factor": flavor.rxtx_factor,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": flavor.public,
        **({"extra_specs": flavor.extra_specs} if version >= mv.FLAVOR_SPECS else {}),
    }


async def index(call: Call) -> Answer:
    """GET /flavors."""
    flavors, more = await _page(call)
    return _listed(call, flavors, more, [_summary(call, flavor, mv.of(call)) for flavor in flavors])


async def detail(call: Call) -> Answer:
    """GET /flavors/detail."""
    flavors, more = await _page(call)
    return _listed(call, flavors, more, [_detail(call, flavor, mv.of(call)) for flavor in flavors])


def _listed(call: Call, flavors: list[Flavor], more: bool, rows: list[dict[str, Any]]) -> Answer:
    body: dict[str, Any] = {"flavors": rows}
    if more:
        body["flavors_links"] = [{"rel": "next", "href": next_link(call, flavors[-1].id)}]
    return Answer(body=body)


async def _page(call: Call) -> tuple[list[Flavor], bool]:
    page = wanted(call)
    public = _asked_public(call)
    ram, disk = call.query.number("minRam") or 0, call.query.number("minDisk") or 0
    flavors = [
        flavor
        for flavor in await every(call, Flavor, newest_first=False)
        if may_use(call, flavor)
        and (public is None or flavor.public is public)
        and flavor.ram_mib >= ram
        and flavor.disk_gib >= disk
    ]
    key, direction = call.query.one("sort_key") or "flavorid", call.query.one("sort_dir") or "asc"
    if direction not in ("asc", "desc"):
        raise BadRequest("sort_dir must be asc or desc")
    flavors = ordered(flavors, [(key, direction == "desc")], _SORT)
    return cut(flavors, page, lambda flavor: flavor.id)


def _asked_public(call: Call) -> bool | None:
    """Public flavors, private ones, or both (None). Those without an admin's role always get all that is theirs."""
    text = call.query.one("is_public")
    if not call.caller.is_admin or (text is not None and text.lower() == "none"):
        return None
    asked = call.query.flag("is_public")
    return True if asked is None else asked


async def show(call: Call) -> Answer:
    """GET /flavors/{id}."""
    return Answer(body={"flavor": _detail(call, await flavor_of(call), mv.of(call))})


async def create(call: Call) -> Answer:
    """POST /flavors."""
    given = call.read(FlavorBody).flavor
    if given.description is not UNSET and mv.of(call) < mv.FLAVOR_DESCRIPTION:
        raise mv.refuse_unknown("description")
    flavor = _made(call, given)
    await asking.save(call, flavor.id, flavor, new=True)
    return Answer(body={"flavor": _detail(call, flavor, mv.of(call))})


def _made(call: Call, given: FlavorIn) -> Flavor:
    named = "" if given.id is None else str(given.id)
    return Flavor(
        id=new_id(call.cloud.chance) if named in ("", "auto") else named,
        name=_stripped(given.name),
        vcpus=int(given.vcpus),
        ram_mib=int(given.ram),
        disk_gib=int(given.disk),
        ephemeral_gib=int(given.ephemeral),
        swap_mib=int(given.swap or 0),
        rxtx_factor=float(given.rxtx_factor),
        public=_public(given.public),
        description=None if given.description is UNSET else given.description,
        created=call.cloud.clock.now(),
    )


def _stripped(name: str) -> str:
    if name != name.strip():
        raise BadRequest("Invalid input for field/attribute name: it can't begin or end with a space.")
    return name


def _public(value: bool | str) -> bool:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise BadRequest("Invalid input for field/attribute os-flavor-access:is_public: it must be true or false.")
    return text in ("true", "1")


async def update(call: Call) -> Answer:
    """PUT /flavors/{id}: its description."""
    given = call.read(FlavorUpdateBody).flavor
    flavor = replace(await flavor_of(call), description=given.description)
    await asking.save(call, flavor.id, flavor, new=False)
    return Answer(body={"flavor": _detail(call, flavor, mv.of(call))})


async def delete(call: Call) -> Answer:
    """DELETE /flavors/{id}. Servers keep the flavor as it was when they were made."""
    flavor = await flavor_of(call)
    await asking.drop(call, flavor.id, flavor)
    return Answer(202)
