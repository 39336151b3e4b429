"""Host aggregates: hosts that an operator puts together, to place guests by what is said of them."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from freehold.api import asking, host_orders
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.services import short_id
from freehold.api.compute.wire.aggregates import AggregateActionBody, AggregateBody, AggregateUpdateBody
from freehold.api.reading import every, keyed
from freehold.runtime.chance import new_id
from freehold.vocabulary.aggregate import METADATA_MAX, Aggregate, AggregateHost
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.host import Host, Retirement
from freehold.vocabulary.units import iso_micros

ZONE: Final = "availability_zone"


async def _one(call: Call) -> Aggregate:
    """The aggregate of the URL, by its number or its id."""
    key = call.params["aggregate_id"]
    for aggregate in await every(call, Aggregate):
        if key in (str(aggregate.number), aggregate.id):
            return aggregate
    raise NotFound(f"Aggregate {key[:64]} could not be found.")


def _shown(call: Call, aggregate: Aggregate, hosts: Iterable[str] | None) -> dict[str, Any]:
    """`hosts` None: as Nova shows a new one, without hosts and metadata."""
    body: dict[str, Any] = {
        "id": aggregate.number,
        "name": aggregate.name,
        ZONE: None,
        "created_at": iso_micros(aggregate.created),
        "updated_at": iso_micros(aggregate.updated) if aggregate.updated else None,
        "deleted": False,
        "deleted_at": None,
    }
    if hosts is not None:
        body |= {"hosts": [_name(call, host) for host in hosts], "metadata": aggregate.metadata}
    return body | ({"uuid": aggregate.id} if mv.of(call) >= mv.AGGREGATE_UUID else {})


def _name(call: Call, host: str) -> str:
    """A host's name; its id if it was never heard."""
    known = call.cloud.view.get(Host, host)
    return host if known is None else known.name


def _retired(call: Call) -> frozenset[str]:
    """The hosts that aren't the cloud's any more."""
    return frozenset(one.host for one in call.cloud.view.list(Retirement))


async def _hosts(call: Call, aggregate: Aggregate) -> list[str]:
    """The ids of its hosts, in the order in which they were put into it."""
    found = sorted(await keyed(call, AggregateHost, f"{aggregate.id}/"), key=lambda one: (one.created, one.host))
    retired = _retired(call)
    return [one.host for one in found if one.host not in retired]


async def _answer(call: Call, aggregate: Aggregate) -> Answer:
    return Answer(body={"aggregate": _shown(call, aggregate, await _hosts(call, aggregate))})


async def index(call: Call) -> Answer:
    """GET /os-aggregates."""
    hosts: dict[str, list[str]] = {}
    within, retired = await every(call, AggregateHost, newest_first=False), _retired(call)
    for one in within:
        if one.host not in retired:
            hosts.setdefault(one.aggregate, []).append(one.host)
    found = await every(call, Aggregate, newest_first=False)
    return Answer(body={"aggregates": [_shown(call, one, hosts.get(one.id, [])) for one in found]})


async def show(call: Call) -> Answer:
    """GET /os-aggregates/{id}."""
    return await _answer(call, await _one(call))


async def create(call: Call) -> Answer:
    """POST /os-aggregates."""
    given = call.read(AggregateBody).aggregate
    _refuse_zone(given.availability_zone)
    taken = {one.number for one in await every(call, Aggregate)}
    key = new_id(call.cloud.chance)
    while short_id(key) in taken:
        key = new_id(call.cloud.chance)
    aggregate = Aggregate(id=key, number=short_id(key), name=_named(given.name), created=call.cloud.clock.now())
    await asking.save(call, key, aggregate, new=True)
    return Answer(body={"aggregate": _shown(call, aggregate, None)})


def _named(name: str) -> str:
    if not name.strip():
        raise BadRequest("Invalid input for field/attribute name: it can't be blank.")
    return name.strip()


def _refuse_zone(zone: str | UnsetType | None) -> None:
    if zone not in (UNSET, None):
        raise BadRequest(
            "An aggregate makes no availability zone in this cloud: a zone is a cluster, and a host is of the one that "
            "its settings name. Leave availability_zone out; to place guests on these hosts, give the aggregate a "
            "property, and flavors the extra spec aggregate_instance_extra_specs:PROPERTY."
        )


async def update(call: Call) -> Answer:
    """PUT /os-aggregates/{id}."""
    given = call.read(AggregateUpdateBody).aggregate
    if given.name is UNSET and given.availability_zone is UNSET:
        raise BadRequest("Invalid input for field/attribute aggregate: name or availability_zone is to be given.")
    _refuse_zone(given.availability_zone)
    aggregate = await _one(call)
    if isinstance(given.name, str):
        aggregate = await _changed(call, replace(aggregate, name=_named(given.name)))
    return await _answer(call, aggregate)


async def _changed(call: Call, aggregate: Aggregate) -> Aggregate:
    after = replace(aggregate, updated=call.cloud.clock.now())
    await asking.save(call, after.id, after, new=False)
    return after


async def delete(call: Call) -> Answer:
    """DELETE /os-aggregates/{id}. It is to have no hosts."""
    aggregate = await _one(call)
    if await _hosts(call, aggregate):
        raise BadRequest(f"Cannot perform action 'delete' on aggregate {aggregate.number}. Reason: not empty.")
    await asking.drop(call, aggregate.id, aggregate)
    return Answer(200)


async def act(call: Call) -> Answer:
    """POST /os-aggregates/{id}/action: ``add_host``, ``remove_host`` or ``set_metadata``."""
    given = call.read(AggregateActionBody)
    if sum(action is not UNSET for action in (given.add_host, given.remove_host, given.set_metadata)) != 1:
        raise BadRequest("One of the actions add_host, remove_host and set_metadata is to be given.")
    aggregate = await _one(call)
    if not isinstance(given.add_host, UnsetType):
        await _add(call, aggregate, given.add_host.host)
    if not isinstance(given.remove_host, UnsetType):
        await _remove(call, aggregate, given.remove_host.host)
    if not isinstance(given.set_metadata, UnsetType):
        aggregate = await _with_metadata(call, aggregate, given.set_metadata.metadata)
    return await _answer(call, aggregate)


async def _add(call: Call, aggregate: Aggregate, key: str) -> None:
    host = await host_orders.named(call, key)
    if host.id in await _hosts(call, aggregate):
        raise Conflict(f"Aggregate {aggregate.number} already has host {host.name}.")
    within = AggregateHost(aggregate=aggregate.id, host=host.id, created=call.cloud.clock.now())
    await asking.save(call, _key(within), within, new=True)


async def _remove(call: Call, aggregate: Aggregate, key: str) -> None:
    for host in await _hosts(call, aggregate):
        if key in (host, _name(call, host)):
            within = AggregateHost(aggregate=aggregate.id, host=host)
            await asking.drop(call, _key(within), within)
            return
    raise NotFound(f"Cannot remove host {key[:255]} in aggregate {aggregate.number}")


def _key(within: AggregateHost) -> str:
    return f"{within.aggregate}/{within.host}"


async def _with_metadata(call: Call, aggregate: Aggregate, given: dict[str, str | None]) -> Aggregate:
    """What is given is set, or with None removed; what isn't stays."""
    _refuse_zone(given.get(ZONE))
    merged = aggregate.metadata | given
    metadata = {key: value for key, value in merged.items() if value is not None}
    if len(metadata) > METADATA_MAX:
        raise BadRequest(f"An aggregate can have at most {METADATA_MAX} properties.")
    return await _changed(call, replace(aggregate, metadata=metadata))


async def cache_images(call: Call) -> Answer:
    """POST /os-aggregates/{id}/images, from 2.81."""
    await _one(call)
    raise BadRequest(
        "Images can't be sent to hosts ahead of their first use in this cloud: a host fetches an image with the first "
        "server that is made from it, and keeps it for the next."
    )
