"""The networks of a new server, checked against the view; they say which cluster it must be built in."""

from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any, Final

from msgspec import UNSET

from freehold.api.call import Call
from freehold.api.compute.wire.servers import NetworkIn
from freehold.api.network.networks import check_address
from freehold.api.reading import every, find
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.network import Network, NetworkWanted, Port, Subnet, Ties

NETWORKS_MAX: Final = 16


async def networks_wanted(call: Call, given: Any, zone: str) -> tuple[tuple[NetworkWanted, ...], Ties]:
    """What the field ``networks`` asks for, for a server in an availability zone (empty: in any).

    Raises BadRequest for what isn't there, and for networks of several clusters or of another than the zone; Conflict
    for a port in use, and when it isn't clear which network is meant.
    """
    if given == "none":
        return (), Ties()
    if given is UNSET or given is None or given == "auto" or given == []:
        pairs = [(NetworkWanted(network=network.id), network) for network in await _only_network(call, zone)]
    else:
        if len(given) > NETWORKS_MAX:
            raise BadRequest(f"{len(given)} networks were asked for; at most {NETWORKS_MAX} can be given")
        pairs = [await _network(call, one) for one in given]
    physical = tuple(sorted({network.physical for _, network in pairs if network.physical}))
    ties = Ties(cluster=_cluster([one for _, one in pairs], zone), physical=physical)
    return tuple(wanted for wanted, _ in pairs), ties


def _cluster(networks: list[Network], zone: str) -> str:
    """The one cluster that has all of them; empty if there are none."""
    clusters = sorted({network.cluster for network in networks})
    if len(clusters) > 1:
        raise BadRequest(
            f"A server's networks must be of one availability zone; those asked for are of {' and '.join(clusters)}."
        )
    if zone and clusters and clusters != [zone]:
        raise BadRequest(
            f"The server was asked for in availability zone {zone}, but its networks are of {clusters[0]}: "
            "leave the zone out, or choose networks of it."
        )
    return clusters[0] if clusters else ""


async def _only_network(call: Call, zone: str) -> list[Network]:
    """The project's one network in the zone; else the one shared one. Conflict when it isn't clear which is meant."""
    networks = [network for network in await every(call, Network) if network.admin_state_up]
    with_range = {subnet.network for subnet in await every(call, Subnet)}
    usable = [network for network in networks if network.id in with_range and zone in ("", network.cluster)]
    own = [network for network in usable if network.project == call.caller.project]
    choice = own if len(own) == 1 else [n for n in usable if n.shared or n.project == call.caller.project]
    if len(choice) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    return choice


async def _network(call: Call, wanted: NetworkIn) -> tuple[NetworkWanted, Network]:
    if wanted.port is not UNSET and wanted.port is not None:
        return await _port(call, wanted.port)
    if wanted.uuid is UNSET:
        raise BadRequest("Bad networks format: each network needs a uuid or a port")
    network = await find(call, Network, wanted.uuid)
    if network is None or not (network.shared or call.caller.owns(network.project)):
        raise BadRequest(f"Network {wanted.uuid[:64]} could not be found.")
    address = "" if wanted.fixed_ip is UNSET else await _address_on(call, network, wanted.fixed_ip)
    return NetworkWanted(network=network.id, address=address), network


async def _port(call: Call, key: str) -> tuple[NetworkWanted, Network]:
    port = await find(call, Port, key)
    network = None if port is None else await find(call, Network, port.network)
    if port is None or network is None or not call.caller.owns(port.project):
        raise BadRequest(f"Port {key[:64]} could not be found.")
    # The device of a request that is sent again may be the guest it made: the registrar knows, by its key.
    if port.device and "idempotency-key" not in call.headers:
        raise Conflict(f"Port {port.id} is still in use.")
    return NetworkWanted(network=port.network, port=port.id), network


async def _address_on(call: Call, network: Network, text: str) -> str:
    """An address as it is kept. Raises BadRequest unless it is within a subnet of the network."""
    subnets = [subnet for subnet in await every(call, Subnet) if subnet.network == network.id]
    try:
        address = IPv4Address(text)
    except AddressValueError as error:
        raise BadRequest(f"Invalid input for field/attribute fixed_ip. Value: {text}.") from error
    if not any(address in IPv4Network(subnet.cidr) for subnet in subnets):
        raise BadRequest(f"Fixed IP {address} is not a valid ip address for network {network.id}.")
    await check_address(call, network, str(address))
    return str(address)
