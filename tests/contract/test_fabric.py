"""What every guest network of a machine promises (see freehold/drivers/fabric/interface.py)."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from msgspec.structs import replace

from freehold.drivers.fabric import names
from freehold.drivers.fabric.beyond import Beyond, Underlay
from freehold.drivers.fabric.interface import Elsewhere, Fabric, Filter, Members, MetadataAnswer, Peers
from freehold.drivers.fabric.linux import LinuxFabric
from freehold.drivers.fabric.overlay import EVERYBODY
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.network import Carriage, Direction, PortWiring, Rule
from tests.live.machines import Distant, Machine
from tests.live.tap_guest import TapGuest

CARRIAGE = Carriage(underlay="192.0.2.1", overlay_mtu=1450, physical=(("public", 1500),))
"""What the machines of these tests can carry."""


class Bench(Protocol):
    """A machine, and what its guests see."""

    fabric: Fabric

    async def restart(self) -> None: ...
    async def reached(self, port: PortWiring, source: PortWiring) -> bool: ...
    async def ask_metadata(self, port: PortWiring, path: str) -> tuple[int, str]: ...
    async def sends(self, network: str) -> frozenset[tuple[str, str]]: ...
    async def close(self) -> None: ...


class SimulatedBench:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fabric = SimulatedFabric(folder, carriage=CARRIAGE)
        self.fabric: Fabric = self._fabric

    async def restart(self) -> None:
        await self.fabric.close()
        self.fabric = self._fabric = SimulatedFabric(self._folder, carriage=CARRIAGE)

    async def reached(self, port: PortWiring, source: PortWiring) -> bool:
        return self._fabric.lets_in(port.port, source.addresses[0], "icmp", 8)

    async def ask_metadata(self, port: PortWiring, path: str) -> tuple[int, str]:
        answer = await self._fabric.ask_metadata(port.port, path)
        return answer.status, answer.body.decode()

    async def sends(self, network: str) -> frozenset[tuple[str, str]]:
        return self._fabric.sends(network)

    async def close(self) -> None:
        await self.fabric.close()


class LinuxBench:
    """A machine of its own. Each port asked about gets a guest with its MAC and first address."""

    def __init__(self, folder: Path) -> None:
        self._host = str(uuid.uuid4())
        self._folder = folder
        self._offload = ThreadOffload(2)
        self._guests: dict[str, TapGuest] = {}
        self._stack, self._guest_stack = ExitStack(), ExitStack()
        self._machine = self._stack.enter_context(Machine("contract"))
        for link in ("und0", "pub0"):
            self._machine.run(f"ip link add {link} type veth peer name {link}x; ip link set {link} up")
        self._machine.run(f"ip addr add {CARRIAGE.underlay}/24 dev und0")
        self.fabric: Fabric = self._opened()

    def _opened(self) -> Fabric:
        beyond = Beyond(Underlay(CARRIAGE.underlay), {"public": "pub0"})
        distant: Any = Distant(self._machine, LinuxFabric(self._host, self._folder, self._offload, beyond=beyond))
        return distant  # type: ignore[no-any-return]

    async def restart(self) -> None:
        await self.fabric.close()
        self.fabric = self._opened()

    async def reached(self, port: PortWiring, source: PortWiring) -> bool:
        await self._guest(port)
        asker = await self._guest(source)
        return await asyncio.to_thread(asker.pings, port.addresses[0])

    async def ask_metadata(self, port: PortWiring, path: str) -> tuple[int, str]:
        guest = await self._guest(port)
        status, body = await asyncio.to_thread(guest.fetch, f"http://169.254.169.254{path}")
        return status or 503, body  # nobody listens any more

    async def sends(self, network: str) -> frozenset[tuple[str, str]]:
        """What the kernel says, once it agrees that the hosts there, and no others, get the broadcasts and may send."""
        table = self._machine.run(f"bridge fdb show dev {names.tunnel(self._host, network)}")
        entries = frozenset(re.findall(r"^(\S+) dst (\S+) self", table, re.MULTILINE))
        ports = frozenset((mac, address) for mac, address in entries if mac != EVERYBODY)
        rules = self._machine.run(f"nft list set inet {names.table(self._host)} senders")
        assert {address for mac, address in entries if mac == EVERYBODY} == {address for _, address in ports}
        assert set(re.findall(rf"(\S+) \. {segment_of(network):#x}\b", rules)) == {address for _, address in ports}
        return ports

    async def close(self) -> None:
        self._guest_stack.close()
        await self.fabric.sweep(frozenset())
        await self.fabric.close()
        self._stack.close()
        self._offload.close()

    async def _guest(self, port: PortWiring) -> TapGuest:
        if port.port not in self._guests:
            tap = await self.fabric.plug(port, "guest")
            name = port.addresses[0].rpartition(".")[2]
            guest = self._guest_stack.enter_context(TapGuest(name, tap, port.mac, at=self._machine.namespace))
            await asyncio.to_thread(guest.address, port.addresses[0], port.gateway or "")
            self._guests[port.port] = guest
        return self._guests[port.port]


@pytest.fixture(params=["simulated", pytest.param("linux", marks=pytest.mark.live)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made: Bench = SimulatedBench(tmp_path) if request.param == "simulated" else LinuxBench(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def network() -> str:
    return str(uuid.uuid4())


def segment_of(network: str) -> int:
    """Each network has its own."""
    return 1 + int(network[:5], 16)


def wiring(network: str, number: int) -> PortWiring:
    """A port with the address and MAC of that number."""
    return PortWiring(
        port=str(uuid.uuid4()),
        network=network,
        network_name="net",
        segment=segment_of(network),
        mtu=1450,
        mac=f"fa:16:3e:00:00:{number:02x}",
        addresses=(f"10.214.0.{number}",),
        cidr="10.214.0.0/24",
        gateway="10.214.0.1",
    )


def rule(direction: Direction, group: str | None = None, cidr: str | None = None, protocol: str | None = None) -> Rule:
    return Rule(id=str(uuid.uuid4()), direction=direction, remote_group=group, remote_cidr=cidr, protocol=protocol)


OUT = rule(Direction.EGRESS)


async def name_of_port(port: str, path: str) -> MetadataAnswer:
    return MetadataAnswer(status=200, content_type="text/plain", body=f"{port} {path}".encode())


async def test_this_machine_can_carry_guest_networks_and_says_which(bench: Bench) -> None:
    assert replace(await bench.fabric.probe(), vlans=True) == CARRIAGE


async def test_a_plugged_port_is_here_until_it_is_unplugged_however_often(bench: Bench, network: str) -> None:
    port = wiring(network, 5)
    assert await bench.fabric.plug(port, "a") == await bench.fabric.plug(port, "a")
    assert await bench.fabric.plugged() == {port.port}
    await bench.fabric.unplug(port.port)
    await bench.fabric.unplug(port.port)
    assert await bench.fabric.plugged() == frozenset()


async def test_each_port_has_a_tap_of_its_own(bench: Bench, network: str) -> None:
    taps = {await bench.fabric.plug(wiring(network, number), "a") for number in (5, 6, 7)}
    assert len(taps) == 3
    assert all(len(tap) <= 15 for tap in taps)


async def test_ports_are_found_after_a_restart(bench: Bench, network: str) -> None:
    ports = [wiring(network, 5), wiring(str(uuid.uuid4()), 5)]
    for port in ports:
        await bench.fabric.plug(port, "a")
    await bench.restart()
    assert await bench.fabric.plugged() == {port.port for port in ports}


async def test_sweep_leaves_only_what_is_to_be_kept(bench: Bench, network: str) -> None:
    kept, gone, elsewhere = wiring(network, 5), wiring(network, 6), wiring(str(uuid.uuid4()), 6)
    for port in (kept, gone, elsewhere):
        await bench.fabric.plug(port, "a")
    await bench.fabric.sweep(frozenset({kept.port, str(uuid.uuid4())}))
    assert await bench.fabric.plugged() == {kept.port}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mac": "fa:16:3e:00:00:05 accept"},
        {"mac": "01:00:5e:00:00:05"},
        {"addresses": ("10.214.0.5 }; accept",)},
        {"addresses": ("10.99.0.5",)},
        {"addresses": ()},
        {"cidr": "10.214.0.5/24"},
        {"gateway": "10.99.0.1"},
        {"dns": ("name.example",)},
        {"routes": (("10.0.0.0/8", "hop"),)},
        {"mtu": 20},
        {"port": "../../etc"},
        {"network": "../../etc"},
        {"segment": 0},
        {"segment": 1 << 24},
        {"vlan": 7},
        {"physical": "public accept", "segment": 0},
        {"physical": "public", "segment": 0, "vlan": 4095},
    ],
)
async def test_a_wiring_that_can_not_be_is_refused_and_leaves_nothing(
    bench: Bench, network: str, wrong: dict[str, object]
) -> None:
    with pytest.raises(BadRequest):
        await bench.fabric.plug(msgspec.structs.replace(wiring(network, 5), **wrong), "a")
    assert await bench.fabric.plugged() == frozenset()


async def test_two_ports_of_a_network_never_share_an_address_or_mac(bench: Bench, network: str) -> None:
    first = wiring(network, 5)
    await bench.fabric.plug(first, "a")
    for same in ({"addresses": first.addresses}, {"mac": first.mac}):
        second = msgspec.structs.replace(wiring(network, 6), **same)
        with pytest.raises(Conflict):
            await bench.fabric.plug(second, "b")
    assert await bench.fabric.plugged() == {first.port}


async def test_a_name_that_could_end_a_line_is_harmless(bench: Bench, network: str) -> None:
    await bench.fabric.plug(wiring(network, 5), "a\ndhcp-script=/bin/sh,\x00é")


async def test_nothing_comes_in_until_a_filter_says_so_and_only_what_it_says(bench: Bench, network: str) -> None:
    one, two, three = (wiring(network, number) for number in (5, 6, 7))
    for port in (one, two, three):
        await bench.fabric.plug(port, "a")
    senders = (Filter(port=two.port, rules=(OUT,)), Filter(port=three.port, rules=(OUT,)))
    await bench.fabric.filter(senders)
    assert not await bench.reached(one, two)
    icmp = rule(Direction.INGRESS, cidr=f"{two.addresses[0]}/32", protocol="icmp")
    await bench.fabric.filter((Filter(port=one.port, rules=(OUT, icmp)),))
    assert await bench.reached(one, two)
    assert not await bench.reached(one, three)
    tcp = rule(Direction.INGRESS, protocol="tcp")
    await bench.fabric.filter((Filter(port=one.port, rules=(OUT, tcp)),))
    assert not await bench.reached(one, two)


async def test_a_remote_group_means_its_members_and_an_empty_one_nobody(bench: Bench, network: str) -> None:
    one, two, three = (wiring(network, number) for number in (5, 6, 7))
    for port in (one, two, three):
        await bench.fabric.plug(port, "a")
    group = str(uuid.uuid4())
    out = tuple(Filter(port=port.port, rules=(OUT,)) for port in (two, three))
    let_in = Filter(port=one.port, rules=(rule(Direction.INGRESS, group=group),))
    await bench.fabric.filter((*out, let_in))
    assert not await bench.reached(one, two), "nobody has said who is in it"
    await bench.fabric.filter((), (Members(group=group, addresses=two.addresses),))
    assert await bench.reached(one, two)
    assert not await bench.reached(one, three)
    await bench.fabric.filter((), (Members(group=group, addresses=("fd00::1", *three.addresses)),))
    assert await bench.reached(one, three)
    assert not await bench.reached(one, two)
    await bench.fabric.filter((), (Members(group=group),))
    assert not await bench.reached(one, three)


async def test_a_group_is_known_to_ports_that_come_later_and_after_a_restart(bench: Bench, network: str) -> None:
    one, two, group = wiring(network, 5), wiring(network, 6), str(uuid.uuid4())
    await bench.fabric.filter((), (Members(group=group, addresses=two.addresses),))
    for port in (one, two):
        await bench.fabric.plug(port, "a")
    let_in = Filter(port=one.port, rules=(rule(Direction.INGRESS, group=group),))
    await bench.fabric.filter((let_in, Filter(port=two.port, rules=(OUT,))))
    assert await bench.reached(one, two)
    await bench.restart()
    await bench.fabric.sweep(frozenset({one.port, two.port}))
    assert await bench.reached(one, two)


@pytest.mark.parametrize(("group", "address"), [("g } ; flush ruleset", "10.0.0.1"), ("", "10.0.0.1; flush ruleset")])
async def test_members_that_can_not_be_are_refused(bench: Bench, network: str, group: str, address: str) -> None:
    await bench.fabric.plug(wiring(network, 5), "a")
    with pytest.raises(BadRequest):
        await bench.fabric.filter((), (Members(group=group or str(uuid.uuid4()), addresses=(address,)),))


async def test_filters_outlive_a_restart_and_a_repeated_plug(bench: Bench, network: str) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    for port in (one, two):
        await bench.fabric.plug(port, "a")
    let_in = rule(Direction.INGRESS)
    await bench.fabric.filter((Filter(port=one.port, rules=(let_in,)), Filter(port=two.port, rules=(OUT,))))
    await bench.restart()
    await bench.fabric.plug(one, "a")
    assert await bench.reached(one, two)


async def test_a_filter_for_a_port_that_is_not_here_is_nothing_to_do(bench: Bench, network: str) -> None:
    await bench.fabric.filter((Filter(port=str(uuid.uuid4()), rules=(OUT,)),))
    assert await bench.fabric.plugged() == frozenset()


async def test_a_rule_that_can_not_be_is_refused_and_the_filter_before_stays(bench: Bench, network: str) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    for port in (one, two):
        await bench.fabric.plug(port, "a")
    let_in = Filter(port=one.port, rules=(rule(Direction.INGRESS),))
    await bench.fabric.filter((let_in, Filter(port=two.port, rules=(OUT,))))
    wrong = rule(Direction.INGRESS, protocol="tcp accept; flush ruleset")
    with pytest.raises(BadRequest):
        await bench.fabric.filter((Filter(port=one.port, rules=(wrong,)),))
    assert await bench.reached(one, two)


async def test_metadata_is_answered_by_the_port_and_not_before_somebody_serves_it(bench: Bench, network: str) -> None:
    ports = [wiring(network, 5), wiring(network, 6)]
    for port in ports:
        await bench.fabric.plug(port, "a")
    assert (await bench.ask_metadata(ports[0], "/latest"))[0] == 503
    await bench.fabric.serve_metadata(name_of_port)
    for port in ports:
        assert await bench.ask_metadata(port, "/latest") == (200, f"{port.port} /latest")
    await bench.restart()
    assert (await bench.ask_metadata(ports[0], "/latest"))[0] == 503
    await bench.fabric.serve_metadata(name_of_port)
    assert await bench.ask_metadata(ports[0], "/a") == (200, f"{ports[0].port} /a")


def told(network: str, *ports: tuple[int, str]) -> Peers:
    """Peers that carry these ports of a network: the number of the MAC, and the host's address."""
    pairs = tuple((f"fa:16:3e:00:01:{number:02x}", address) for number, address in ports)
    hosts = tuple(sorted({CARRIAGE.underlay, *(address for _, address in ports)}))
    return Peers(hosts=hosts, networks=(Elsewhere(network=network, ports=pairs),))


def pairs_of(peers: Peers) -> frozenset[tuple[str, str]]:
    return frozenset(peers.networks[0].ports)


async def test_a_network_goes_to_the_peers_that_were_named_last_and_to_nobody_else(bench: Bench, network: str) -> None:
    await bench.fabric.plug(wiring(network, 5), "a")
    assert await bench.sends(network) == frozenset()
    for peers in (
        told(network, (1, "192.0.2.2"), (2, "192.0.2.2"), (3, "192.0.2.3")),
        told(network, (1, "192.0.2.3"), (3, "192.0.2.3")),
        told(network, (1, "192.0.2.3"), (3, "192.0.2.3")),
        told(network, (4, "192.0.2.4")),
        told(network),
    ):
        await bench.fabric.reach(peers)
        assert await bench.sends(network) == pairs_of(peers)


async def test_peers_of_a_network_that_is_not_here_are_nothing_to_do_and_those_that_are_not_named_go(
    bench: Bench, network: str
) -> None:
    other = str(uuid.uuid4())
    await bench.fabric.plug(wiring(network, 5), "a")
    await bench.fabric.reach(told(network, (1, "192.0.2.2")))
    await bench.fabric.reach(told(other, (2, "192.0.2.3")))
    assert await bench.sends(network) == frozenset()
    await bench.fabric.plug(wiring(other, 6), "b")
    assert await bench.sends(other) == frozenset(), "it is told again when it is here"


async def test_peers_outlive_a_restart_a_repeated_plug_and_a_sweep(bench: Bench, network: str) -> None:
    port, peers = wiring(network, 5), told(network, (1, "192.0.2.2"), (2, "192.0.2.3"))
    await bench.fabric.plug(port, "a")
    await bench.fabric.reach(peers)
    await bench.restart()
    assert await bench.sends(network) == pairs_of(peers)
    await bench.fabric.plug(port, "a")
    assert await bench.sends(network) == pairs_of(peers)
    await bench.restart()
    await bench.fabric.sweep(frozenset({port.port}))
    assert await bench.sends(network) == pairs_of(peers)
    fewer = told(network, (2, "192.0.2.3"))
    await bench.fabric.reach(fewer)
    assert await bench.sends(network) == pairs_of(fewer)


async def test_a_network_that_comes_back_has_no_peers_until_they_are_named(bench: Bench, network: str) -> None:
    port = wiring(network, 5)
    await bench.fabric.plug(port, "a")
    await bench.fabric.reach(told(network, (1, "192.0.2.2")))
    await bench.fabric.unplug(port.port)
    await bench.fabric.plug(port, "a")
    assert await bench.sends(network) == frozenset()


@pytest.mark.parametrize(
    ("mac", "address"),
    [
        ("fa:16:3e:00:00:05", "192.0.2.2 }; accept"),
        ("fa:16:3e:00:00:05", "127.0.0.1"),
        ("fa:16:3e:00:00:05", "239.0.0.1"),
        ("fa:16:3e:00:00:05 accept", "192.0.2.2"),
        ("01:00:5e:00:00:05", "192.0.2.2"),
        (EVERYBODY, ""),
    ],
)
async def test_peers_that_can_not_be_are_refused_and_all_stays(
    bench: Bench, network: str, mac: str, address: str
) -> None:
    peers = told(network, (1, "192.0.2.2"))
    await bench.fabric.plug(wiring(network, 5), "a")
    await bench.fabric.reach(peers)
    wrong = Elsewhere(network=network, ports=((mac, address),))
    with pytest.raises(BadRequest):
        await bench.fabric.reach(Peers(hosts=peers.hosts, networks=(wrong,)))
    assert await bench.sends(network) == pairs_of(peers)


@pytest.mark.parametrize(
    "wrong", [{"mtu": 1451}, {"physical": "lab", "segment": 0}, {"physical": "public", "segment": 0, "mtu": 1501}]
)
async def test_a_network_that_the_machine_can_not_carry_is_refused_and_leaves_nothing(
    bench: Bench, network: str, wrong: dict[str, object]
) -> None:
    with pytest.raises(Conflict, match="can't be carried here: this host"):
        await bench.fabric.plug(msgspec.structs.replace(wiring(network, 5), **wrong), "a")
    assert await bench.fabric.plugged() == frozenset()


async def test_a_physical_network_is_carried_and_has_no_peers(bench: Bench, network: str) -> None:
    port = replace(wiring(network, 5), physical="public", segment=0, mtu=1500)
    await bench.fabric.plug(port, "a")
    await bench.fabric.reach(told(network, (1, "192.0.2.2")))
    assert await bench.sends(network) == frozenset()
    assert await bench.fabric.plugged() == {port.port}
