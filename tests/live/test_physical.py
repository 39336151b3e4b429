"""Provider networks: two hosts on one wire that isn't theirs, with a router and a DHCP server of its own."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from freehold.drivers.fabric import names
from freehold.vocabulary.errors import Broken, Conflict
from freehold.vocabulary.network import PortWiring
from tests.live.machines import HostOnWire, Machine, Sniffer, Wire
from tests.live.test_fabric_linux import PING, lets_in, wiring
from tests.live.test_overlay import GATEWAY_MAC, name_of_port

pytestmark = pytest.mark.live


@pytest.fixture
def guests() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire("pub") as made:
        yield made


@pytest.fixture
def street(wire: Wire, guests: ExitStack) -> Machine:
    """A machine on the public wire: its router, at 198.51.100.1."""
    machine = guests.enter_context(Machine("street"))
    wire.join(machine.namespace, "lan0", "198.51.100.1/24")
    machine.run("ip addr add 203.0.113.1/32 dev lo; sysctl -w net.ipv4.ip_forward=1")
    return machine


@pytest.fixture
async def pair(tmp_path: Path, wire: Wire, guests: ExitStack) -> AsyncIterator[tuple[HostOnWire, HostOnWire]]:
    async with AsyncExitStack() as stack:
        hosts = []
        for number in (1, 2):
            machine = stack.enter_context(Machine(f"m{number}"))
            wire.join(machine.namespace, "eth1")
            host = HostOnWire(machine, "", tmp_path / str(number), guests, public="eth1")
            stack.push_async_callback(host.close)
            hosts.append(host)
        yield hosts[0], hosts[1]
        for host in hosts:
            await host.call(host.fabric.sweep(frozenset()))
            assert host.left() == []
            assert "master" not in host.machine.run("ip -o link show eth1")


def port(network: str, number: int, **more: object) -> PortWiring:
    words = {
        "segment": 0, "physical": "public", "mtu": 1500,
        "addresses": (f"198.51.100.{number}",), "cidr": "198.51.100.0/24", "gateway": "198.51.100.1",
    }  # fmt: skip
    return wiring(network, number, **{**words, **more})


async def test_guests_are_on_the_wire_with_its_own_router_and_their_hosts_dhcp(
    pair: tuple[HostOnWire, HostOnWire], street: Machine, tmp_path: Path
) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    first, second = await pair[0].guest(one, address=False), await pair[1].guest(two, address=False)
    for host, own in zip(pair, (one, two), strict=True):
        await host.filter(lets_in(own))
        await host.call(host.fabric.serve_metadata(name_of_port))
    with Sniffer(street, "lan0") as seen:
        for guest, own in ((first, one), (second, two)):
            lease = await asyncio.to_thread(guest.dhcp, tmp_path)
            assert (lease["ip"], lease["mtu"], lease["router"]) == (own.addresses[0], "1500", "198.51.100.1")
            assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/"))[1] == own.port
        assert seen.frames(one.mac) + seen.frames(two.mac) + seen.frames(GATEWAY_MAC) == []
    assert await asyncio.to_thread(lambda: first.pings("203.0.113.1", wait_s=3))
    router = re.findall(r"link/ether ([0-9a-f:]+)", street.run("ip -o link show lan0"))[0]
    assert router in first.run("ip neigh show 198.51.100.1").stdout
    assert names.uplink(pair[0].id, network) not in pair[0].machine.run("ip link")
    assert "198.51.100.5" in street.run("ip neigh show dev lan0")  # no translation: it is seen as it is

    assert "0 received" in street.run("ping -c 1 -W 1 198.51.100.6")
    assert not await asyncio.to_thread(first.pings, "198.51.100.6")
    await pair[1].filter(lets_in(two, PING))
    assert "1 received" in street.run("ping -c 1 -W 2 198.51.100.6")
    assert await asyncio.to_thread(first.pings, "198.51.100.6")


async def test_a_guest_lies_to_nobody_on_the_wire_and_the_wire_does_not_take_its_mac(
    pair: tuple[HostOnWire, HostOnWire], street: Machine
) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    liar, neighbour = await pair[0].guest(one), await pair[0].guest(two)
    await pair[0].filter(lets_in(one), lets_in(two, PING))
    assert await asyncio.to_thread(lambda: neighbour.pings("198.51.100.1", wait_s=3))
    with Sniffer(street, "lan0") as seen:
        liar.run("ip addr flush dev eth0; ip addr add 198.51.100.1/24 dev eth0; arping -U -c 1 -I eth0 198.51.100.1")
        liar.run("ip addr flush dev eth0; ip addr add 198.51.100.5/24 dev eth0")
        assert seen.frames(one.mac) == []
    # Somebody on the wire has the neighbour's MAC: what is for the neighbour still goes to it.
    street.run(f"ip link add mac0 link lan0 type macvlan mode bridge; ip link set mac0 address {two.mac} up")
    street.run("ip addr add 198.51.100.77/32 dev mac0; ping -c 1 -W 1 -I mac0 198.51.100.5")
    assert await asyncio.to_thread(lambda: liar.pings("198.51.100.6", wait_s=3))


async def test_what_is_lost_of_it_is_made_whole_by_a_new_process(
    pair: tuple[HostOnWire, HostOnWire], street: Machine
) -> None:
    one = port(str(uuid.uuid4()), 5)
    guest = await pair[0].guest(one)
    await pair[0].filter(lets_in(one))
    pair[0].machine.run("ip link set eth1 nomaster")
    assert not await asyncio.to_thread(guest.pings, "198.51.100.1")
    await pair[0].restarted()
    assert await asyncio.to_thread(lambda: guest.pings("198.51.100.1", wait_s=3))


async def test_what_a_machine_is_set_to_and_has_not_is_said_when_it_is_looked_at(
    pair: tuple[HostOnWire, HostOnWire], tmp_path: Path, guests: ExitStack
) -> None:
    machine = pair[0].machine
    carriage = await pair[0].call(pair[0].fabric.probe())
    assert (carriage.physical, carriage.underlay) == ((("public", 1500),), "")

    async def found(address: str, **physical: str) -> str:
        host = HostOnWire(machine, address, tmp_path / "other", guests, **physical)
        with pytest.raises(Broken) as caught:
            await host.call(host.fabric.probe())
        return caught.value.message

    assert "no such interface" in await found("", public="eth7")
    assert "198.51.100.9, which this machine doesn't have; it has none" in await found("198.51.100.9")
    machine.run("ip addr add 198.51.100.9/24 dev eth1")
    assert "has an address of the machine's (198.51.100.9)" in await found("", public="eth1")
    machine.run("ip addr flush dev eth1; ip addr add 2001:db8::9/64 dev eth1 nodad")
    assert "(2001:db8::9)" in await found("", public="eth1")
    machine.run("ip addr flush dev eth1; ip link add br7 type bridge; ip link set eth1 master br7")
    assert "a part of br7" in await found("", public="eth1")
    machine.run("ip link del br7")


async def test_a_network_that_the_host_is_not_on_is_refused_with_the_reason(
    pair: tuple[HostOnWire, HostOnWire],
) -> None:
    fabric, network = pair[0].fabric, str(uuid.uuid4())
    for wrong, says in (
        ({"physical": "lab"}, "isn't on the physical network lab"),
        ({"mtu": 9000}, "MTU of 1500 on public"),
    ):
        with pytest.raises(Conflict, match=says):
            await pair[0].call(fabric.plug(port(network, 5, **wrong), "a"))
    assert await pair[0].call(fabric.plugged()) == frozenset()


def has_vlans() -> bool:
    with Machine("vlan") as machine:
        machine.run("ip link add a type veth peer name b; ip link add v link a type vlan id 5")
        return " v@a" in machine.run("ip -o link")


async def test_a_vlan_is_carried_where_the_kernel_has_it_and_refused_with_the_reason_where_not(
    pair: tuple[HostOnWire, HostOnWire], street: Machine
) -> None:
    tagged = port(str(uuid.uuid4()), 5, vlan=7)
    if not has_vlans():
        assert not (await pair[0].call(pair[0].fabric.probe())).vlans
        with pytest.raises(Conflict, match="8021q"):
            await pair[0].call(pair[0].fabric.plug(tagged, "a"))
        return
    street.run("ip addr flush dev lan0; ip link add lan7 link lan0 type vlan id 7; ip link set lan7 up")
    street.run("ip addr add 198.51.100.1/24 dev lan7")
    guest = await pair[0].guest(tagged)
    await pair[0].filter(lets_in(tagged))
    assert await asyncio.to_thread(lambda: guest.pings("198.51.100.1", wait_s=3))
