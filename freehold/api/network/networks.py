"""Networks."""

from ipaddress import IPv4Address
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.network.frame import (
    BULK_MAX,
    Document,
    Noun,
    cluster_of,
    given,
    listed,
    made,
    project_of,
    refuse_fields,
    with_fields,
)
from freehold.api.reading import every, not_found, one
from freehold.api.wire import NameOrNothing, Text
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.network import DeleteOf, Network, SaveNetwork, Subnet
from freehold.vocabulary.units import iso_seconds

NOUN: Final = Noun("network", "networks", "Network")
TUNNEL: Final = "vxlan"
FLAT: Final = "flat"
"""A physical network's untagged frames; without a physical network, one whose hosts route to it
(``Network.reachable``).
"""
VLAN: Final = "vlan"
VLAN_MAX: Final = 4094

_ADMIN_ONLY: Final = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


class NetworkIn(Body, frozen=True, kw_only=True):
    """What may be given of a network."""

    name: NameOrNothing | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: bool | UnsetType | None = UNSET
    shared: bool | UnsetType | None = UNSET
    mtu: Annotated[int, Meta(ge=0, le=65535)] | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType | None = UNSET
    tenant_id: NameOrNothing | UnsetType | None = UNSET
    project_id: NameOrNothing | UnsetType | None = UNSET
    availability_zone_hints: Annotated[list[NameOrNothing], Meta(max_length=1)] = []
    network_type: str | UnsetType | None = field(default=UNSET, name="provider:network_type")
    physical_network: str | UnsetType | None = field(default=UNSET, name="provider:physical_network")
    segment: Annotated[int, Meta(ge=0, le=2**24 - 1)] | UnsetType | None = field(
        default=UNSET, name="provider:segmentation_id"
    )
    external: bool | UnsetType | None = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType | None = UNSET
    dns_domain: str | UnsetType | None = UNSET
    qos_policy_id: str | UnsetType | None = UNSET
    vlan_transparent: bool | UnsetType | None = UNSET


class NetworkBody(Body, frozen=True, kw_only=True):
    """The body of a create (one or several) or an update (one)."""

    network: NetworkIn | UnsetType = UNSET
    networks: Annotated[list[NetworkIn], Meta(max_length=BULK_MAX)] | UnsetType = UNSET


def _check(call: Call, network: NetworkIn) -> None:
    """Raises BadRequest for what isn't offered, Forbidden for what an admin alone may say."""
    refuse_fields(
        {
            "router:external": network.external,
            "is_default": network.is_default,
            "dns_domain": network.dns_domain,
            "qos_policy_id": network.qos_policy_id,
            "vlan_transparent": network.vlan_transparent,
        }
    )
    chosen = (network.shared, network.network_type, network.segment, network.physical_network)
    if any(given(value, None) for value in chosen) and not call.caller.is_admin:
        raise Forbidden("Only an admin shares networks or chooses what carries them.")
    _check_provider(network)


def _check_provider(network: NetworkIn) -> None:
    """Raises BadRequest unless type, physical network and segment go together, as Neutron has it."""
    kind = given(network.network_type, "")
    physical, segment = given(network.physical_network, ""), given(network.segment, 0)
    if kind not in ("", TUNNEL, FLAT, VLAN):
        raise BadRequest(f"Networks of type '{kind[:32]}' aren't offered: leave provider:network_type out.")
    if physical and kind not in (FLAT, VLAN):
        raise BadRequest("A provider:physical_network needs a provider:network_type, flat or vlan.")
    if kind == FLAT and segment:
        raise BadRequest("provider:segmentation_id prohibited for flat provider network.")
    if kind == VLAN and not (physical and 1 <= segment <= VLAN_MAX):
        raise BadRequest(
            "A vlan network needs its provider:physical_network, and the VLAN as provider:segmentation_id "
            f"(1 to {VLAN_MAX})."
        )


def sees(call: Call, network: Network) -> bool:
    """Whether a network is the caller's to see and use."""
    return network.shared or call.caller.owns(network.project)


async def visible(call: Call, key: str) -> Network:
    """The network, if the caller may see it. Raises NotFound."""
    network = await one(call, Network, key, NOUN.title)
    if not sees(call, network):
        raise NotFound(not_found(NOUN.title, key))
    return network


async def owned(call: Call, key: str) -> Network:
    """The network, for a change. Raises NotFound, or Forbidden for another project's that is shared."""
    network = await visible(call, key)
    if not call.caller.owns(network.project):
        raise Forbidden(f"Network {network.id} belongs to another project.")
    return network


async def check_address(call: Call, network: Network, address: str) -> None:
    """Raises Forbidden for an address of a physical network that its owner hasn't left to guests: it may be some
    machine's on the wire.
    """
    if not network.physical or call.caller.owns(network.project):
        return
    try:
        wanted = IPv4Address(address)
    except ValueError:
        return  # none is named, or one that the network worker refuses
    pools = [pool for one in await every(call, Subnet) if one.network == network.id for pool in one.pools]
    if not any(IPv4Address(first) <= wanted <= IPv4Address(last) for first, last in pools):
        raise Forbidden(f"Only the owner of network {network.id} gives addresses beyond its allocation pools.")


def shown(call: Call, network: Network, subnets: list[str]) -> Document:
    """A network as Neutron shows it."""
    document: Document = {
        "id": network.id,
        "name": network.name,
        "tenant_id": network.project,
        "project_id": network.project,
        "status": "ACTIVE",
        "admin_state_up": network.admin_state_up,
        "shared": network.shared,
        "router:external": False,
        "mtu": network.mtu,
        "subnets": subnets,
        "port_security_enabled": network.port_security,
        "availability_zones": [network.cluster],
        "availability_zone_hints": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "description": network.description,
        "created_at": iso_seconds(network.created),
        "updated_at": iso_seconds(network.updated or network.created),
        "revision_number": network.revision,
        "tags": [],
    }
    return document | _provider(network) if call.caller.is_admin else document


def _provider(network: Network) -> Document:
    if network.physical:
        kind, segment = (VLAN, network.vlan) if network.vlan else (FLAT, None)
    else:
        kind, segment = FLAT if network.reachable else TUNNEL, network.segment
    return {
        "provider:network_type": kind,
        "provider:physical_network": network.physical or None,
        "provider:segmentation_id": segment,
    }


async def _subnets(call: Call) -> dict[str, list[str]]:
    """The subnets of each network."""
    found: dict[str, list[str]] = {}
    for subnet in await every(call, Subnet, newest_first=False):
        found.setdefault(subnet.network, []).append(subnet.id)
    return found


async def _document(call: Call, key: str) -> Document:
    network = await visible(call, key)
    return shown(call, network, (await _subnets(call)).get(network.id, []))


async def index(call: Call) -> Answer:
    """GET /networks: one's own and the shared ones."""
    subnets = await _subnets(call)
    networks = [network for network in await every(call, Network, newest_first=False) if sees(call, network)]
    documents = [shown(call, network, subnets.get(network.id, [])) for network in networks]
    known = [*shown(call, _EXAMPLE, []), *_ADMIN_ONLY, "is_default"]
    return listed(call, NOUN, documents, known)


_EXAMPLE: Final = Network(id="", name="", project="", cluster="")
"""Names the fields that may be filtered by, also where there is nothing to list."""


async def show(call: Call) -> Answer:
    """GET /networks/{network_id}."""
    return Answer(body={NOUN.one: with_fields(call, await _document(call, call.params["network_id"]))})


async def create(call: Call) -> Answer:
    """POST /networks."""
    body = call.read(NetworkBody)

    async def make(wanted: NetworkIn) -> str:
        _check(call, wanted)
        cluster = cluster_of(call, wanted.availability_zone_hints)
        project = await project_of(call, wanted.tenant_id, wanted.project_id)
        blank = Network(id=new_id(call.cloud.chance), name="", project=project, cluster=cluster, mtu=0)
        network = msgspec.structs.replace(_changed(blank, wanted), **_carried(wanted))
        await asking.networks(call, SaveNetwork(network=network, new=True), cluster)
        return network.id

    return await made(call, NOUN, body.network, body.networks, make, lambda key: _document(call, key))


def _carried(wanted: NetworkIn) -> dict[str, Any]:
    kind, segment = given(wanted.network_type, ""), given(wanted.segment, 0)
    physical = given(wanted.physical_network, "")
    if physical:
        return {"physical": physical, "vlan": segment}
    return {"segment": segment, "reachable": kind == FLAT}


def _changed(network: Network, wanted: NetworkIn) -> Network:
    changes: dict[str, Any] = {
        "name": given(wanted.name, network.name),
        "description": given(wanted.description, network.description),
        "admin_state_up": given(wanted.admin_state_up, network.admin_state_up),
        "shared": given(wanted.shared, network.shared),
        "mtu": given(wanted.mtu, 0) or network.mtu,
        "port_security": given(wanted.port_security_enabled, network.port_security),
    }
    return msgspec.structs.replace(network, **changes)


async def update(call: Call) -> Answer:
    """PUT /networks/{network_id}."""
    wanted = call.read(NetworkBody).network
    if isinstance(wanted, UnsetType):
        raise BadRequest("Unable to find 'network' in the request body.")
    network = await owned(call, call.params["network_id"])
    _check(call, wanted)
    fixed = (wanted.tenant_id, wanted.project_id, wanted.segment, wanted.network_type, wanted.physical_network)
    if any(value is not UNSET for value in fixed) or wanted.availability_zone_hints:
        raise BadRequest("The project, segment and availability zone of a network can't be changed.")
    await asking.networks(call, SaveNetwork(network=_changed(network, wanted)), network.cluster)
    return Answer(body={NOUN.one: await _document(call, network.id)})


async def delete(call: Call) -> Answer:
    """DELETE /networks/{network_id}, with its subnets."""
    network = await owned(call, call.params["network_id"])
    await asking.networks(call, DeleteOf(kind="network", id=network.id), network.cluster)
    return Answer(204)
