"""Ports."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.network import networks
from freehold.api.network.frame import (
    BULK_MAX,
    Document,
    Filter,
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
from freehold.vocabulary.host import Host
from freehold.vocabulary.network import CreatePort, DeleteOf, FixedAddress, Network, Port, UpdatePort
from freehold.vocabulary.units import iso_seconds

NOUN: Final = Noun("port", "ports", "Port")

_ADMIN_ONLY: Final = ("binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile")


class FixedIn(Body, frozen=True, kw_only=True):
    """An address wanted: one that is named, or any of a subnet."""

    ip_address: Annotated[str, Meta(max_length=64)] = ""
    subnet_id: NameOrNothing = ""


class PortIn(Body, frozen=True, kw_only=True):
    """What may be given of a port."""

    network_id: Identifier | UnsetType = UNSET
    name: NameOrNothing | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: bool | UnsetType | None = UNSET
    mac_address: Annotated[str, Meta(max_length=32)] | UnsetType | None = UNSET
    fixed_ips: Annotated[list[FixedIn], Meta(max_length=20)] | UnsetType | None = UNSET
    security_groups: Annotated[list[Identifier], Meta(max_length=100)] | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType | None = UNSET
    device_id: NameOrNothing | UnsetType | None = UNSET
    device_owner: NameOrNothing | UnsetType | None = UNSET
    tenant_id: NameOrNothing | UnsetType | None = UNSET
    project_id: NameOrNothing | UnsetType | None = UNSET
    allowed_address_pairs: list[Any] | UnsetType | None = UNSET
    extra_dhcp_opts: list[Any] | UnsetType | None = UNSET
    dns_name: str | UnsetType | None = UNSET
    dns_domain: str | UnsetType | None = UNSET
    qos_policy_id: str | UnsetType | None = UNSET
    vnic_type: str | UnsetType | None = field(default=UNSET, name="binding:vnic_type")
    profile: dict[str, Any] | UnsetType | None = field(default=UNSET, name="binding:profile")
    host_id: str | UnsetType | None = field(default=UNSET, name="binding:host_id")


class PortBody(Body, frozen=True, kw_only=True):
    """The body of a create (one or several) or an update (one)."""

    port: PortIn | UnsetType = UNSET
    ports: Annotated[list[PortIn], Meta(max_length=BULK_MAX)] | UnsetType = UNSET


def shown(call: Call, port: Port) -> Document:
    """A port as Neutron shows it."""
    document: Document = {
        "id": port.id,
        "name": port.name,
        "tenant_id": port.project,
        "project_id": port.project,
        "network_id": port.network,
        "status": "ACTIVE" if port.active else "DOWN",
        "admin_state_up": port.admin_state_up,
        "mac_address": port.mac,
        "fixed_ips": [{"subnet_id": fixed.subnet, "ip_address": fixed.address} for fixed in port.addresses],
        "device_id": port.device,
        "device_owner": port.device_owner,
        "security_groups": list(port.security_groups),
        "port_security_enabled": port.port_security,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
        "qos_policy_id": None,
        "description": port.description,
        "created_at": iso_seconds(port.created),
        "updated_at": iso_seconds(port.updated or port.created),
        "revision_number": port.revision,
        "tags": [],
    }
    if call.caller.is_admin:
        host = call.cloud.view.get(Host, port.host) if port.host else None
        document |= {
            "binding:host_id": host.name if host else port.host,
            "binding:vif_type": "tap" if port.host else "unbound",
            "binding:vif_details": {},
            "binding:profile": {},
        }
    return document


async def _visible(call: Call, key: str) -> tuple[Port, Network]:
    """The port and its network, if the port or the network is the caller's. Raises NotFound."""
    port = await one(call, Port, key, NOUN.title)
    network = await one(call, Network, port.network, "Network")
    if not call.caller.owns(port.project) and not call.caller.owns(network.project):
        raise NotFound(not_found(NOUN.title, key))
    return port, network


def _by_fixed(document: Document, texts: list[str]) -> bool:
    """``fixed_ips=ip_address=…``, ``subnet_id=…``, ``ip_address_substr=…``: all that are given must fit one address."""
    wanted = [text.partition("=") for text in texts]
    return any(all(_fits(fixed, name, value) for name, _, value in wanted) for fixed in document["fixed_ips"])


def _fits(fixed: Document, name: str, value: str) -> bool:
    if name == "ip_address_substr":
        return value in str(fixed["ip_address"])
    return fixed.get(name) == value


_SPECIAL: Final[dict[str, Filter]] = {"fixed_ips": _by_fixed}


async def index(call: Call) -> Answer:
    """GET /ports: one's own, and those on one's own networks."""
    caller = call.caller
    own = {network.id for network in await every(call, Network) if caller.owns(network.project)}
    documents = [
        shown(call, port)
        for port in await every(call, Port, newest_first=False)
        if caller.owns(port.project) or port.network in own
    ]
    return listed(call, NOUN, documents, [*shown(call, _EXAMPLE), *_ADMIN_ONLY], _SPECIAL)


_EXAMPLE: Final = Port(id="", project="", network="", mac="")


async def _document(call: Call, key: str) -> Document:
    return shown(call, (await _visible(call, key))[0])


async def show(call: Call) -> Answer:
    """GET /ports/{port_id}."""
    return Answer(body={NOUN.one: with_fields(call, await _document(call, call.params["port_id"]))})


def _check(wanted: PortIn) -> None:
    names = (
        "allowed_address_pairs",
        "extra_dhcp_opts",
        "dns_name",
        "dns_domain",
        "qos_policy_id",
        "profile",
        "host_id",
    )
    refuse_fields({name: getattr(wanted, name) for name in names} | {"binding:vnic_type": wanted.vnic_type})
    if not isinstance(wanted.fixed_ips, UnsetType) and wanted.fixed_ips is not None and not wanted.fixed_ips:
        raise BadRequest("A port has at least one address: leave 'fixed_ips' out to be given one.")
    for fixed in given(wanted.fixed_ips, []):
        if not fixed.ip_address and not fixed.subnet_id:
            raise BadRequest("Each of 'fixed_ips' names an ip_address or a subnet_id.")


async def create(call: Call) -> Answer:
    """POST /ports."""
    body = call.read(PortBody)

    async def make(wanted: PortIn) -> str:
        _check(wanted)
        if isinstance(wanted.network_id, UnsetType):
            raise BadRequest("Failed to parse request. Required attribute 'network_id' not specified.")
        network = await networks.visible(call, wanted.network_id)
        project = await project_of(call, wanted.tenant_id, wanted.project_id)
        await _check_owner_says(call, network, wanted)
        mac = given(wanted.mac_address, "")
        secured = given(wanted.port_security_enabled, network.port_security)
        blank = Port(id=new_id(call.cloud.chance), project=project, network=network.id, mac=mac, port_security=secured)
        question = CreatePort(port=_changed(blank, wanted), without_groups=wanted.security_groups == [])
        await asking.networks(call, question, network.cluster)
        return blank.id

    return await made(call, NOUN, body.port, body.ports, make, lambda key: _document(call, key))


async def _check_owner_says(call: Call, network: Network, wanted: PortIn) -> None:
    """Raises Forbidden for what could harm others on a network that isn't the caller's: as Neutron's policy has it."""
    if call.caller.owns(network.project):
        return
    if network.port_security and not given(wanted.port_security_enabled, True):
        raise Forbidden(f"Only the owner of network {network.id} has ports on it without port security.")
    if given(wanted.mac_address, ""):
        raise Forbidden(f"Only the owner of network {network.id} chooses MAC addresses on it.")
    for fixed in given(wanted.fixed_ips, []):
        await networks.check_address(call, network, fixed.ip_address)


def _changed(port: Port, wanted: PortIn) -> Port:
    changes: dict[str, Any] = {
        "name": given(wanted.name, port.name),
        "description": given(wanted.description, port.description),
        "admin_state_up": given(wanted.admin_state_up, port.admin_state_up),
        "port_security": given(wanted.port_security_enabled, port.port_security),
        "security_groups": tuple(given(wanted.security_groups, list(port.security_groups))),
    }
    if wanted.device_id is not UNSET:
        changes["device"] = wanted.device_id or ""
    if wanted.device_owner is not UNSET:
        changes["device_owner"] = wanted.device_owner or ""
    if not isinstance(wanted.fixed_ips, UnsetType) and wanted.fixed_ips is not None:
        changes["addresses"] = tuple(
            _kept(port, FixedAddress(subnet=fixed.subnet_id, address=fixed.ip_address)) for fixed in wanted.fixed_ips
        )
    return msgspec.structs.replace(port, **changes)


def _kept(port: Port, wanted: FixedAddress) -> FixedAddress:
    """The address that the port has already, where the client names it without its subnet."""
    return next((held for held in port.addresses if not wanted.subnet and held.address == wanted.address), wanted)


async def update(call: Call) -> Answer:
    """PUT /ports/{port_id}."""
    wanted = call.read(PortBody).port
    if isinstance(wanted, UnsetType):
        raise BadRequest("Unable to find 'port' in the request body.")
    port, network = await _owned(call)
    _check(wanted)
    fixed = (wanted.tenant_id, wanted.project_id, wanted.network_id)
    if any(value is not UNSET for value in fixed) or given(wanted.mac_address, port.mac) != port.mac:
        raise BadRequest("The project, network and MAC address of a port can't be changed.")
    held = {fixed.address for fixed in port.addresses}
    fresh = [fixed for fixed in given(wanted.fixed_ips, []) if fixed.ip_address not in held]
    await _check_owner_says(call, network, msgspec.structs.replace(wanted, mac_address=UNSET, fixed_ips=fresh))
    await asking.networks(call, UpdatePort(port=_changed(port, wanted)), network.cluster)
    return Answer(body={NOUN.one: await _document(call, port.id)})


async def _owned(call: Call) -> tuple[Port, Network]:
    return await _visible(call, call.params["port_id"])


async def delete(call: Call) -> Answer:
    """DELETE /ports/{port_id}: its owner, or the owner of its network."""
    port, network = await _owned(call)
    await asking.networks(call, DeleteOf(kind="port", id=port.id), network.cluster)
    return Answer(204)
