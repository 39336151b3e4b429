"""Rules of networks, subnets and quotas."""

import re
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.network import Network, NetworkQuota, Port, Subnet
from freehold.workers.network.addressing import checked, parse_range
from freehold.workers.network.draft import Draft

SEGMENT_MAX: Final = 2**24 - 1
VLAN_MAX: Final = 4094
PHYSICAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MTU_MIN: Final = 576
MTU_WIRE: Final = 1500
MTU_MAX: Final = 9216
"""Of a physical network; whether its wire carries it is the hosts' to say."""

OWN_PORTS: Final = "network:dhcp"
"""`device_owner` of ports that this role makes for itself: they go with their network."""


def save_network(draft: Draft, network: Network, new: bool) -> str:
    """Makes or changes a network. An MTU of 0 is the usual one.

    BadRequest, NotFound, Conflict (segment or VLAN taken, still shared), QuotaExceeded. Gives its id.
    """
    return _make_network(draft, network) if new else _change_network(draft, network)


def _mtu(draft: Draft, wanted: int, physical: str) -> int:
    usual, most = (MTU_WIRE, MTU_MAX) if physical else (draft.overlay_mtu, draft.overlay_mtu)
    if wanted and not MTU_MIN <= wanted <= most:
        raise BadRequest(f"The MTU {wanted} can't be carried: it must be {MTU_MIN} to {most}.")
    return wanted or usual


def _make_network(draft: Draft, network: Network) -> str:
    holdings = draft.holdings
    key = draft.new_id(network.id)
    if key in holdings.networks:
        return _repeated(holdings.networks[key].project, network.project, key)
    if network.cluster not in ("", holdings.cluster):
        raise BadRequest(f"This is cluster {holdings.cluster}; the network was asked for in {network.cluster}.")
    draft.within_quota("network", network.project)
    draft.put(
        replace(
            network,
            id=key,
            cluster=holdings.cluster,
            mtu=_mtu(draft, network.mtu, network.physical),
            segment=0 if _takes_wire(draft, network) else _segment(draft, network.segment),
            created=draft.now,
            updated=draft.now,
            revision=1,
        )
    )
    return key


def _change_network(draft: Draft, network: Network) -> str:
    before = draft.holdings.network(network.id)
    if before.shared and not network.shared and _others_use(draft, before):
        raise Conflict(f"The network {before.id} is used by other projects and can't stop being shared.")
    draft.put(
        replace(
            network,
            project=before.project,
            cluster=before.cluster,
            segment=before.segment,
            mtu=before.mtu if network.mtu == before.mtu else _mtu(draft, network.mtu, before.physical),
            physical=before.physical,
            vlan=before.vlan,
            reachable=before.reachable,
            created=before.created,
            updated=draft.now,
            revision=before.revision + 1,
        )
    )
    return network.id


def _others_use(draft: Draft, network: Network) -> bool:
    return any(port.project != network.project for port in draft.holdings.ports_on(network.id))


def _takes_wire(draft: Draft, network: Network) -> bool:
    """Whether it is a network on a physical one. BadRequest for what no wire has, Conflict if another has it."""
    if not network.physical:
        return False
    if not PHYSICAL.fullmatch(network.physical):
        raise BadRequest(f"'{network.physical[:64]}' can't be the name of a physical network.")
    if network.segment or not 0 <= network.vlan <= VLAN_MAX:
        raise BadRequest(f"A network on a physical one has no segment but a VLAN, 1 to {VLAN_MAX}, or none.")
    holder = draft.holdings.wires.get((network.physical, network.vlan))
    if holder is not None:
        part = f"VLAN {network.vlan} of physical network" if network.vlan else "physical network"
        raise Conflict(f"The {part} {network.physical} is used by network {holder} already.")
    return True


def _segment(draft: Draft, wanted: int) -> int:
    taken = draft.holdings.segments
    if wanted:
        if not 0 < wanted <= SEGMENT_MAX:
            raise BadRequest(f"The segment {wanted} is not between 1 and {SEGMENT_MAX}.")
        if wanted in taken:
            raise Conflict(f"The segment {wanted} is used by another network.")
        return wanted
    if len(taken) >= SEGMENT_MAX // 2:
        raise Conflict("The cluster has no free network segments left.")
    # By chance, not counted up: two clusters that come to share wires, or a store restored from yesterday, then
    # hardly collide.
    while True:
        segment = int.from_bytes(draft.dice(3))
        if segment and segment not in taken:
            return segment


def delete_network(draft: Draft, key: str) -> None:
    """Deletes a network with its subnets. Conflict while it has ports other than our own."""
    holdings = draft.holdings
    holdings.network(key)
    ports = holdings.ports_on(key)
    in_use = [port for port in ports if not _is_own(port)]
    if in_use:
        raise Conflict(
            f"The network {key} can't be deleted: {len(in_use)} ports are in use on it, for example {in_use[0].id}."
        )
    for port in ports:
        draft.drop("port", port.id)
    for subnet in holdings.subnets_on(key):
        draft.drop("subnet", subnet.id)
    draft.drop("network", key)


def _is_own(port: Port) -> bool:
    return port.device_owner == OWN_PORTS


def save_subnet(draft: Draft, subnet: Subnet, new: bool) -> str:
    """Makes or changes a subnet; the range stays.

    BadRequest, NotFound, Conflict (overlap, gateway in use), QuotaExceeded. Gives its id.
    """
    return _make_subnet(draft, subnet) if new else _change_subnet(draft, subnet)


def _make_subnet(draft: Draft, subnet: Subnet) -> str:
    holdings = draft.holdings
    key = draft.new_id(subnet.id)
    if key in holdings.subnets:
        return _repeated(holdings.subnets[key].project, subnet.project, key)
    network = holdings.network(subnet.network)
    fit = checked(subnet)
    for other in holdings.subnets_on(network.id):
        if parse_range(other.cidr).overlaps(parse_range(fit.cidr)):
            raise Conflict(f"The range {fit.cidr} overlaps {other.cidr} of subnet {other.id} on the same network.")
    draft.within_quota("subnet", subnet.project)
    draft.put(replace(fit, id=key, created=draft.now, updated=draft.now, revision=1))
    return key


def _change_subnet(draft: Draft, subnet: Subnet) -> str:
    before = draft.holdings.subnet(subnet.id)
    fit = checked(subnet)
    if fit.cidr != before.cidr or fit.network != before.network:
        raise BadRequest("The range and the network of a subnet can't be changed.")
    if fit.gateway != before.gateway and fit.gateway is not None:
        draft.holdings.books[before.id].check_given(fit.gateway)
    draft.put(
        replace(fit, project=before.project, created=before.created, updated=draft.now, revision=before.revision + 1)
    )
    return subnet.id


def delete_subnet(draft: Draft, key: str) -> None:
    """Deletes a subnet. Conflict while a port that isn't our own has an address there."""
    holdings = draft.holdings
    subnet = holdings.subnet(key)
    holders = [
        port for port in holdings.ports_on(subnet.network) if any(fixed.subnet == key for fixed in port.addresses)
    ]
    for port in holders:
        if not _is_own(port):
            raise Conflict(f"The subnet {key} can't be deleted: port {port.id} has an address on it.")
        kept = tuple(fixed for fixed in port.addresses if fixed.subnet != key)
        draft.put(replace(port, addresses=kept, updated=draft.now, revision=port.revision + 1))
    draft.drop("subnet", key)


def save_quota(draft: Draft, quota: NetworkQuota) -> str:
    """Sets a project's limits; what it has beyond them stays. BadRequest for numbers below -1. Gives the project."""
    limits = (quota.networks, quota.subnets, quota.ports, quota.security_groups, quota.security_group_rules)
    if min(limits) < -1:
        raise BadRequest("A quota is a number of things, or -1 for no limit.")
    draft.put(quota)
    return quota.project


def delete_quota(draft: Draft, project: str) -> None:
    """Back to the defaults."""
    if project not in draft.holdings.quotas:
        raise NotFound(f"The project {project} has no network quota of its own.")
    draft.drop("network_quota", project)


def _repeated(owner: str, asked: str, key: str) -> str:
    # The bus may double a question: the same id from the same project is the same request, and has been answered
    # before.
    if owner != asked:
        raise Conflict(f"The id {key} is in use.")
    return key
