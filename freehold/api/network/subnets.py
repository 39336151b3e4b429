"""Subnets. Whether ranges and addresses make sense is the network worker's to say."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.network import networks
from freehold.api.network.frame import (
    BULK_MAX,
    Document,
    Noun,
    given,
    listed,
    made,
    project_of,
    refuse_fields,
    with_fields,
)
from freehold.api.reading import every, not_found, one
from freehold.api.wire import Identifier, NameOrNothing, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.network import DeleteOf, Network, SaveSubnet, Subnet
from freehold.vocabulary.units import iso_seconds

NOUN: Final = Noun("subnet", "subnets", "Subnet")

Address = Annotated[str, Meta(max_length=64)]


class PoolIn(Body, frozen=True, kw_only=True):
    """Addresses to give out, both included."""

    start: Address
    end: Address


class RouteIn(Body, frozen=True, kw_only=True):
    """A route that guests are told."""

    destination: Address
    nexthop: Address


class SubnetIn(Body, frozen=True, kw_only=True):
    """What may be given of a subnet. ``gateway_ip`` null: there is none; not given: the first address."""

    network_id: Identifier | UnsetType = UNSET
    cidr: Address | UnsetType | None = UNSET
    ip_version: int | UnsetType = UNSET
    name: NameOrNothing | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    gateway_ip: Address | UnsetType | None = UNSET
    enable_dhcp: bool | UnsetType | None = UNSET
    allocation_pools: Annotated[list[PoolIn], Meta(max_length=50)] | UnsetType | None = UNSET
    dns_nameservers: Annotated[list[Address], Meta(max_length=20)] | UnsetType | None = UNSET
    host_routes: Annotated[list[RouteIn], Meta(max_length=50)] | UnsetType | None = UNSET
    tenant_id: NameOrNothing | UnsetType | None = UNSET
    project_id: NameOrNothing | UnsetType | None = UNSET
    subnetpool_id: str | UnsetType | None = UNSET
    use_default_subnetpool: bool | UnsetType | None = UNSET
    prefixlen: int | UnsetType | None = UNSET
    ipv6_ra_mode: str | UnsetType | None = UNSET
    ipv6_address_mode: str | UnsetType | None = UNSET
    segment_id: str | UnsetType | None = UNSET
    service_types: list[str] | UnsetType | None = UNSET
    dns_publish_fixed_ip: bool | UnsetType | None = UNSET


class SubnetBody(Body, frozen=True, kw_only=True):
    """The body of a create (one or several) or an update (one)."""

    subnet: SubnetIn | UnsetType = UNSET
    subnets: Annotated[list[SubnetIn], Meta(max_length=BULK_MAX)] | UnsetType = UNSET


_ABSENT: Final = (
    "subnetpool_id",
    "use_default_subnetpool",
    "prefixlen",
    "ipv6_ra_mode",
    "ipv6_address_mode",
    "segment_id",
    "service_types",
    "dns_publish_fixed_ip",
)


def shown(subnet: Subnet) -> Document:
    """A subnet as Neutron shows it."""
    return {
        "id": subnet.id,
        "name": subnet.name,
        "tenant_id": subnet.project,
        "project_id": subnet.project,
        "network_id": subnet.network,
        "ip_version": 4,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway,
        "allocation_pools": [{"start": first, "end": last} for first, last in subnet.pools],
        "dns_nameservers": list(subnet.dns),
        "host_routes": [{"destination": destination, "nexthop": hop} for destination, hop in subnet.routes],
        "enable_dhcp": subnet.dhcp,
        "ipv6_ra_mode": None,
        "ipv6_address_mode": None,
        "subnetpool_id": None,
        "segment_id": None,
        "service_types": [],
        "dns_publish_fixed_ip": False,
        "description": subnet.description,
        "created_at": iso_seconds(subnet.created),
        "updated_at": iso_seconds(subnet.updated or subnet.created),
        "revision_number": subnet.revision,
        "tags": [],
    }


async def _visible(call: Call, key: str) -> tuple[Subnet, Network]:
    """The subnet and its network, if the caller may see the network. Raises NotFound."""
    subnet = await one(call, Subnet, key, NOUN.title)
    network = await one(call, Network, subnet.network, "Network")
    if not networks.sees(call, network) and not call.caller.owns(subnet.project):
        raise NotFound(not_found(NOUN.title, key))
    return subnet, network


async def _owned(call: Call) -> tuple[Subnet, Network]:
    subnet, network = await _visible(call, call.params["subnet_id"])
    if not call.caller.owns(subnet.project):
        raise Forbidden(f"Subnet {subnet.id} belongs to another project.")
    return subnet, network


async def index(call: Call) -> Answer:
    """GET /subnets: those on networks that the caller sees, and one's own."""
    ours = {network.id for network in await every(call, Network) if networks.sees(call, network)}
    documents = [
        shown(subnet)
        for subnet in await every(call, Subnet, newest_first=False)
        if subnet.network in ours or call.caller.owns(subnet.project)
    ]
    return listed(call, NOUN, documents, [*shown(_EXAMPLE), "shared", "router:external"])


_EXAMPLE: Final = Subnet(id="", name="", project="", network="", cidr="", gateway=None, pools=())


async def _document(call: Call, key: str) -> Document:
    return shown((await _visible(call, key))[0])


async def show(call: Call) -> Answer:
    """GET /subnets/{subnet_id}."""
    return Answer(body={NOUN.one: with_fields(call, await _document(call, call.params["subnet_id"]))})


def _check(wanted: SubnetIn) -> None:
    refuse_fields({name: getattr(wanted, name) for name in _ABSENT})
    if wanted.ip_version not in (UNSET, 4):
        raise BadRequest("Guest networks carry IPv4 only: ip_version must be 4.")


async def create(call: Call) -> Answer:
    """POST /subnets."""
    body = call.read(SubnetBody)

    async def make(wanted: SubnetIn) -> str:
        _check(wanted)
        if isinstance(wanted.network_id, UnsetType) or not isinstance(wanted.cidr, str):
            raise BadRequest("Failed to parse request. Required attributes 'network_id' and 'cidr' not specified.")
        network = await networks.owned(call, wanted.network_id)
        project = await project_of(call, wanted.tenant_id, wanted.project_id)
        blank = Subnet(
            id=new_id(call.cloud.chance),
            name="",
            project=project,
            network=network.id,
            cidr=wanted.cidr,
            gateway="",  # the network worker's word for "the first address"
            pools=(),
        )
        await asking.networks(call, SaveSubnet(subnet=_changed(blank, wanted), new=True), network.cluster)
        return blank.id

    return await made(call, NOUN, body.subnet, body.subnets, make, lambda key: _document(call, key))


def _changed(subnet: Subnet, wanted: SubnetIn) -> Subnet:
    changes: dict[str, Any] = {
        "name": given(wanted.name, subnet.name),
        "description": given(wanted.description, subnet.description),
        "dhcp": given(wanted.enable_dhcp, subnet.dhcp),
    }
    if wanted.gateway_ip is not UNSET:
        changes["gateway"] = wanted.gateway_ip
    if not isinstance(wanted.allocation_pools, UnsetType):
        changes["pools"] = tuple((pool.start, pool.end) for pool in wanted.allocation_pools or ())
    if not isinstance(wanted.dns_nameservers, UnsetType):
        changes["dns"] = tuple(wanted.dns_nameservers or ())
    if not isinstance(wanted.host_routes, UnsetType):
        changes["routes"] = tuple((route.destination, route.nexthop) for route in wanted.host_routes or ())
    return msgspec.structs.replace(subnet, **changes)


async def update(call: Call) -> Answer:
    """PUT /subnets/{subnet_id}."""
    wanted = call.read(SubnetBody).subnet
    if isinstance(wanted, UnsetType):
        raise BadRequest("Unable to find 'subnet' in the request body.")
    subnet, network = await _owned(call)
    _check(wanted)
    fixed = (wanted.tenant_id, wanted.project_id, wanted.cidr, wanted.network_id)
    if any(value is not UNSET for value in fixed):
        raise BadRequest("The project, network and range of a subnet can't be changed.")
    await asking.networks(call, SaveSubnet(subnet=_changed(subnet, wanted)), network.cluster)
    return Answer(body={NOUN.one: await _document(call, subnet.id)})


async def delete(call: Call) -> Answer:
    """DELETE /subnets/{subnet_id}."""
    subnet, network = await _owned(call)
    await asking.networks(call, DeleteOf(kind="subnet", id=subnet.id), network.cluster)
    return Answer(204)
