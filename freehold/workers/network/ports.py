"""Rules of ports: MAC, addresses, security groups, and who may use or delete them."""

import re
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.network import FixedAddress, Network, Port, PortWiring, Subnet
from freehold.workers.network.draft import Draft
from freehold.workers.network.groups import ensure_default
from freehold.workers.network.holdings import Holdings

MAC_PREFIX: Final = "fa:16:3e"
MACS_MAX: Final = 2**23
"""Half of what the prefix has: drawing one by chance then takes two draws on average at worst."""

GUEST_OWNER: Final = "compute:"
"""Begins the `device_owner` of a port that a guest uses."""

ADDRESSES_MAX: Final = 5
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def create_port(draft: Draft, port: Port, subnets: tuple[str, ...], without_groups: bool) -> str:
    """Makes a port by hand. BadRequest, NotFound, Conflict, QuotaExceeded. Gives its id."""
    known = draft.holdings.ports.get(port.id)
    if known is not None:
        if known.project != port.project or known.network != port.network:
            raise Conflict(f"The id {port.id} is in use.")
        return known.id
    if port.device_owner.startswith(GUEST_OWNER):
        raise BadRequest("A port is bound to a guest by making the guest with it, not by its device owner.")
    made = replace(port, host="", deed=0, made_for=None, active=False)
    return make_port(draft, made, subnets, without_groups).id


def make_port(draft: Draft, port: Port, subnets: tuple[str, ...] = (), without_groups: bool = False) -> Port:
    """Fills in what `port` leaves open, and puts it into the draft."""
    network = visible_network(draft.holdings, port.network, port.project)
    draft.within_quota("port", port.project)
    addresses = (
        tuple(_given(draft, network, fixed) for fixed in _few(port.addresses))
        if port.addresses
        else _allocated(draft, network, subnets)
    )
    made = replace(
        port,
        id=draft.new_id(port.id),
        mac=_mac(draft, port.mac),
        addresses=addresses,
        security_groups=_groups(draft, port, without_groups),
        created=draft.now,
        updated=draft.now,
        revision=1,
    )
    draft.put(made)
    return made


def visible_network(holdings: Holdings, key: str, project: str) -> Network:
    """The network, if it is the project's own or shared. NotFound otherwise, whether it exists or not."""
    network = holdings.networks.get(key)
    if network is None or not (network.shared or network.project == project):
        raise NotFound(f"There is no network {key}.")
    return network


def update_port(draft: Draft, port: Port) -> str:
    """Changes what people may change of a port. BadRequest, NotFound, Conflict (a guest uses it). Gives its id."""
    before = draft.holdings.port(port.id)
    bound = is_bound(before)
    if bound and (port.device, port.device_owner) != (before.device, before.device_owner):
        raise Conflict(f"The port {port.id} is used by guest {before.device}; delete or detach that first.")
    if not bound and port.device_owner.startswith(GUEST_OWNER):
        raise BadRequest("A port is bound to a guest by making the guest with it, not by its device owner.")
    draft.put(
        replace(
            before,
            name=port.name,
            description=port.description,
            admin_state_up=port.admin_state_up,
            device=port.device,
            device_owner=port.device_owner,
            port_security=port.port_security,
            addresses=_moved(draft, before, port.addresses, bound),
            security_groups=_groups(draft, replace(port, project=before.project), without_groups=True),
            updated=draft.now,
            revision=before.revision + 1,
        )
    )
    return port.id


def _moved(draft: Draft, before: Port, wanted: tuple[FixedAddress, ...], bound: bool) -> tuple[FixedAddress, ...]:
    if wanted == before.addresses:
        return wanted
    if bound:
        raise Conflict(f"The addresses of port {before.id} can't be changed while guest {before.device} uses it.")
    network = draft.holdings.network(before.network)
    return tuple(
        fixed if fixed in before.addresses else _given(draft, network, fixed) for fixed in dict.fromkeys(_few(wanted))
    )


def delete_port(draft: Draft, key: str) -> None:
    """Deletes a port. Conflict while a guest uses it."""
    port = draft.holdings.port(key)
    if is_bound(port):
        raise Conflict(f"The port {key} is used by guest {port.device} and can't be deleted before it.")
    draft.drop("port", key)


def is_bound(port: Port) -> bool:
    """Whether a guest, or a build of one, uses the port."""
    return port.device_owner.startswith(GUEST_OWNER)


def wiring(draft: Draft, port: Port) -> PortWiring:
    """All that a host needs to plug the port. BadRequest if it has no address, NotFound if its network is gone."""
    if not port.addresses:
        raise BadRequest(f"The port {port.id} has no address, so no guest can use it.")
    network = draft.holdings.network(port.network)
    subnet = draft.holdings.subnet(port.addresses[0].subnet)
    return PortWiring(
        port=port.id,
        network=network.id,
        network_name=network.name,
        segment=network.segment,
        mtu=network.mtu,
        mac=port.mac,
        addresses=tuple(fixed.address for fixed in port.addresses),
        cidr=subnet.cidr,
        gateway=subnet.gateway,
        dns=subnet.dns,
        routes=subnet.routes,
        dhcp=subnet.dhcp,
        reachable=network.reachable,
        port_security=port.port_security,
        security_groups=port.security_groups,
        physical=network.physical,
        vlan=network.vlan,
    )


def _few(addresses: tuple[FixedAddress, ...]) -> tuple[FixedAddress, ...]:
    if len(addresses) > ADDRESSES_MAX:
        raise BadRequest(f"A port has at most {ADDRESSES_MAX} addresses.")
    return addresses


def _given(draft: Draft, network: Network, fixed: FixedAddress) -> FixedAddress:
    """An address that was asked for, on the subnet named or on the one it lies in; without an address, any of the
    subnet named.
    """
    subnets = draft.holdings.subnets_on(network.id)
    if fixed.subnet:
        subnets = [_on_network(draft.holdings, network, fixed.subnet)]
    if not fixed.address:
        return _first_free(draft, subnets, f"the subnet {fixed.subnet}")
    errors: list[BadRequest] = []
    for subnet in subnets:
        held = draft.addresses.setdefault(subnet.id, set())
        try:
            number = draft.holdings.books[subnet.id].check_given(fixed.address, held)
        except BadRequest as error:
            errors.append(error)
            continue
        held.add(number)
        return FixedAddress(subnet=subnet.id, address=_dotted(number))
    if len(errors) == 1:
        raise errors[0]
    raise BadRequest(f"The address {fixed.address} is on no subnet of network {network.id}.")


def _allocated(draft: Draft, network: Network, wanted: tuple[str, ...]) -> tuple[FixedAddress, ...]:
    subnets = (
        [_on_network(draft.holdings, network, key) for key in wanted]
        if wanted
        else draft.holdings.subnets_on(network.id)
    )
    if not subnets:
        return ()
    return (_first_free(draft, subnets, f"the network {network.id}"),)


def _first_free(draft: Draft, subnets: list[Subnet], where: str) -> FixedAddress:
    for subnet in subnets:
        held = draft.addresses.setdefault(subnet.id, set())
        number = draft.holdings.books[subnet.id].next_free(held)
        if number is not None:
            held.add(number)
            return FixedAddress(subnet=subnet.id, address=_dotted(number))
    raise Conflict(f"No address is left in the allocation pools of {where}.")


def _on_network(holdings: Holdings, network: Network, key: str) -> Subnet:
    subnet = holdings.subnet(key)
    if subnet.network != network.id:
        raise BadRequest(f"The subnet {key} is not on network {network.id}.")
    return subnet


def _dotted(number: int) -> str:
    return ".".join(str(octet) for octet in number.to_bytes(4))


def _mac(draft: Draft, wanted: str) -> str:
    mac = wanted.lower()
    if mac:
        if _MAC.fullmatch(mac) is None or int(mac[:2], 16) & 1:
            raise BadRequest(f"'{wanted}' is not a MAC address of one machine.")
        if _is_taken(draft, mac):
            raise Conflict(f"The MAC address {mac} is in use.")
    elif len(draft.holdings.macs) + len(draft.macs) >= MACS_MAX:
        raise Conflict("The cluster has no free MAC addresses left.")
    while not mac or _is_taken(draft, mac):
        mac = ":".join((MAC_PREFIX, *(f"{octet:02x}" for octet in draft.dice(3))))
    draft.macs.add(mac)
    return mac


def _is_taken(draft: Draft, mac: str) -> bool:
    return mac in draft.holdings.macs or mac in draft.macs


def _groups(draft: Draft, port: Port, without_groups: bool) -> tuple[str, ...]:
    if not port.port_security:
        if port.security_groups:
            raise BadRequest("A port without port security can't have security groups.")
        return ()
    for key in port.security_groups:
        if draft.holdings.group(key).project != port.project:
            raise NotFound(f"There is no security group {key}.")
    if port.security_groups or without_groups:
        return tuple(dict.fromkeys(port.security_groups))
    return (ensure_default(draft, port.project),)
