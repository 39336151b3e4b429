"""Networks that go on beyond a machine: two hosts with kernels of their own, as far as networks go."""

import asyncio
import re
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from freehold.drivers.fabric import names, namespaces
from freehold.drivers.fabric.interface import Members, MetadataAnswer
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.network import PortWiring
from tests.live.machines import HostOnWire, Machine, Sniffer, Wire, introduce, said
from tests.live.test_fabric_linux import GROUP, PING, WebServer, arrives, datagrams, ingress, lets_in, wiring

pytestmark = pytest.mark.live

GATEWAY_MAC = "02:00:00:00:00:01"


@pytest.fixture
def guests() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire("wire") as made:
        yield made


@pytest.fixture
async def pair(tmp_path: Path, wire: Wire, guests: ExitStack) -> AsyncIterator[tuple[HostOnWire, HostOnWire]]:
    """Two hosts of one cluster, at 192.0.2.1 and .2."""
    async with AsyncExitStack() as stack:
        hosts = []
        for number in (1, 2):
            machine = stack.enter_context(Machine(f"m{number}"))
            wire.join(machine.namespace, "und0", f"192.0.2.{number}/24")
            host = HostOnWire(machine, f"192.0.2.{number}", tmp_path / str(number), guests)
            stack.push_async_callback(host.close)
            hosts.append(host)
        yield hosts[0], hosts[1]
        for host in hosts:
            await host.call(host.fabric.sweep(frozenset()))
            assert host.left() == []


def port(network: str, number: int, segment: int = 100, **more: object) -> PortWiring:
    return wiring(network, number, segment=segment, **more)


async def test_guests_of_one_network_on_two_hosts_reach_one_another(
    pair: tuple[HostOnWire, HostOnWire], tmp_path: Path
) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    first, second = await pair[0].guest(one), await pair[1].guest(two)
    await introduce(*pair)
    await pair[0].filter(lets_in(one, PING))
    await pair[1].filter(lets_in(two, PING, ingress("tcp", 8080)))
    assert await asyncio.to_thread(lambda: first.pings("10.213.77.6", wait_s=3))
    assert await asyncio.to_thread(second.pings, "10.213.77.5")
    whole = "busybox ping -c 1 -W 2 -s 1422 10.213.77.6"  # 1450 bytes: what the network has
    assert (await asyncio.to_thread(first.run, whole)).returncode == 0
    (tmp_path / "file").write_bytes(bytes(200_000))
    with WebServer(second, 8080, tmp_path):
        assert (await asyncio.to_thread(first.fetch, "http://10.213.77.6:8080/file"))[0] == 200


async def test_two_tenants_with_the_same_addresses_on_the_same_hosts_do_not_see_one_another(
    pair: tuple[HostOnWire, HostOnWire],
) -> None:
    red, blue = str(uuid.uuid4()), str(uuid.uuid4())
    ports = [port(red, 5), port(red, 6), *(port(blue, n, 200, mac=f"fa:16:3e:00:01:0{n}") for n in (5, 6))]
    red_asker, red_server = await pair[0].guest(ports[0]), await pair[1].guest(ports[1])
    blue_asker, blue_server = await pair[0].guest(ports[2]), await pair[1].guest(ports[3])
    await introduce(*pair)
    await pair[0].filter(lets_in(ports[0]), lets_in(ports[2]))
    await pair[1].filter(lets_in(ports[1], PING), lets_in(ports[3]))
    with Sniffer(red_server) as seen_red, Sniffer(blue_server) as seen_blue:
        assert await asyncio.to_thread(lambda: red_asker.pings("10.213.77.6", wait_s=3))
        assert not await asyncio.to_thread(blue_asker.pings, "10.213.77.6")
        assert seen_red.frames(ports[0].mac) and not seen_red.frames(ports[2].mac)
        assert not seen_blue.frames(ports[0].mac)
    await pair[1].filter(lets_in(ports[1]), lets_in(ports[3], PING))
    assert await asyncio.to_thread(blue_asker.pings, "10.213.77.6")
    assert not await asyncio.to_thread(red_asker.pings, "10.213.77.6")


async def test_a_guest_that_spoofs_is_silent_on_the_other_host(pair: tuple[HostOnWire, HostOnWire]) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    liar, victim = await pair[0].guest(one), await pair[1].guest(two)
    await introduce(*pair)
    await pair[0].filter(lets_in(one))
    await pair[1].filter(lets_in(two, PING))
    with Sniffer(victim) as seen:
        assert await asyncio.to_thread(lambda: liar.pings("10.213.77.6", wait_s=3))
        assert seen.frames(one.mac)

        liar.run("ip addr add 10.213.77.66/24 dev eth0; busybox ping -c 2 -W 1 -I 10.213.77.66 10.213.77.6")
        said = [frame for frame in seen.frames(one.mac) if socket.inet_aton("10.213.77.66") in frame]
        assert said == []

        liar.run("ip addr flush dev eth0; ip neigh flush all; ip addr add 10.213.77.66/24 dev eth0")
        assert not await asyncio.to_thread(liar.pings, "10.213.77.6")
        assert seen.frames(one.mac) == []

        liar.run("ip addr flush dev eth0; ip addr add 10.213.77.5/24 dev eth0")
        liar.run("ip link set eth0 address fa:16:3e:99:99:99")
        assert not await asyncio.to_thread(liar.pings, "10.213.77.6")
        assert seen.frames("fa:16:3e:99:99:99") == []
        liar.run(f"ip link set eth0 address {one.mac}")
        assert await asyncio.to_thread(lambda: liar.pings("10.213.77.6", wait_s=3))


async def test_security_groups_hold_across_hosts(pair: tuple[HostOnWire, HostOnWire]) -> None:
    network = str(uuid.uuid4())
    member, stranger, server = (port(network, number) for number in (5, 6, 7))
    asker, other = await pair[0].guest(member), await pair[0].guest(stranger)
    answerer = await pair[1].guest(server)
    await introduce(*pair)
    await pair[0].filter(lets_in(member), lets_in(stranger))
    group = ingress("udp", 2000, group=GROUP)
    await pair[1].filter(lets_in(server, group), members=(Members(group=GROUP, addresses=member.addresses),))
    with datagrams(asker, 1000) as asks, datagrams(other, 1000) as others, datagrams(answerer, 2000) as answers:
        assert arrives(asks, answers, "10.213.77.7", 2000)
        assert arrives(answers, asks, "10.213.77.5", 1000)  # an answer needs no rule
        assert not arrives(others, answers, "10.213.77.7", 2000)
        await pair[1].filter(lets_in(server))
        assert not arrives(asks, answers, "10.213.77.7", 2000)


async def test_after_a_restart_of_both_hosts_all_still_works(pair: tuple[HostOnWire, HostOnWire]) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    first, second = await pair[0].guest(one), await pair[1].guest(two)
    await introduce(*pair)
    await pair[0].filter(lets_in(one, PING))
    await pair[1].filter(lets_in(two, PING))
    for host in pair:
        await host.restarted()
    assert await asyncio.to_thread(lambda: first.pings("10.213.77.6", wait_s=3))
    device, table = names.tunnel(pair[0].id, network), names.table(pair[0].id)
    pair[0].machine.run(f"ip link del {device}; nft delete table inet {table}; nft delete table bridge {table}")
    assert not await asyncio.to_thread(first.pings, "10.213.77.6")
    await pair[0].restarted()  # a sweep makes whole what somebody has broken
    assert await asyncio.to_thread(lambda: second.pings("10.213.77.5", wait_s=3))


async def test_what_a_host_carries_no_more_is_gone_from_it_and_from_its_peers(
    pair: tuple[HostOnWire, HostOnWire],
) -> None:
    network, kept = str(uuid.uuid4()), str(uuid.uuid4())
    ports = [port(network, 5), port(network, 6), port(kept, 7, 200), port(kept, 8, 200)]
    await pair[0].guest(ports[0])
    for wired in ports[1:3]:
        await pair[1].guest(wired)
    await pair[0].guest(ports[3])
    await introduce(*pair)
    device = names.tunnel(pair[0].id, network)
    assert "dst 192.0.2.2" in pair[0].machine.run(f"bridge fdb show dev {device}")
    assert "0x64" in pair[0].machine.run("nft list sets inet")
    await pair[1].unplug(ports[1])
    assert names.tunnel(pair[1].id, network) not in pair[1].machine.run("ip link")
    assert "0x64" not in pair[1].machine.run("nft list sets inet")
    await introduce(*pair)
    assert "dst" not in pair[0].machine.run(f"bridge fdb show dev {device}")
    sets = pair[0].machine.run("nft list sets inet")
    assert "0x64" not in sets and "192.0.2.2 . 0xc8" in sets


async def name_of_port(key: str, path: str) -> MetadataAnswer:
    return MetadataAnswer(status=200, content_type="text/plain", body=key.encode())


async def test_dhcp_gateway_and_metadata_are_each_hosts_own_and_do_not_cross(
    pair: tuple[HostOnWire, HostOnWire], tmp_path: Path
) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    first, second = await pair[0].guest(one, address=False), await pair[1].guest(two)
    await introduce(*pair)
    for host, own in zip(pair, (one, two), strict=True):
        await host.filter(lets_in(own, PING))
        await host.call(host.fabric.serve_metadata(name_of_port))
    with Sniffer(pair[1].machine, "und0") as wire_end, Sniffer(second) as seen:
        lease = await asyncio.to_thread(first.dhcp, tmp_path)
        assert (lease["ip"], lease["mtu"], lease["router"]) == ("10.213.77.5", "1450", "10.213.77.1")
        assert await asyncio.to_thread(lambda: first.pings("10.213.77.1", wait_s=3))
        assert (await asyncio.to_thread(first.fetch, "http://169.254.169.254/"))[1] == one.port
        assert tunnelled(pair[0], wire_end) == []
        assert await asyncio.to_thread(lambda: first.pings("10.213.77.6", wait_s=3))
        assert seen.frames(one.mac)  # the question for another's address does cross
    assert GATEWAY_MAC in first.run("ip neigh show 10.213.77.1").stdout
    assert (await asyncio.to_thread(second.fetch, "http://169.254.169.254/"))[1] == two.port
    with Sniffer(pair[1].machine, "und0") as wire_end:  # the routers' own questions stay at home as well
        router = names.namespace(pair[0].id, network)
        for line in ("busybox ping -c 1 -W 1 10.213.77.6", "ping -b -c 1 -W 1 10.213.77.255"):
            namespaces.in_namespace(router, lambda line=line: said(line))  # type: ignore[misc]
        assert tunnelled(pair[0], wire_end) == []


def tunnelled(sender: HostOnWire, wire_end: Sniffer) -> list[bytes]:
    """The frames that a host has sent over the underlay."""
    mac = re.findall(r"link/ether ([0-9a-f:]+)", sender.machine.run("ip -o link show und0"))[0]
    return [frame[50:] for frame in wire_end.frames(mac) if frame[23:24] == b"\x11" and frame[36:38] == b"\x12\xb5"]


def vxlan(segment: int, target: PortWiring, source_mac: str) -> bytes:
    """A VXLAN packet with a frame that any guest takes: an ARP question for its address."""
    return packed(segment, arp_question(target, source_mac))


def packed(segment: int, frame: bytes) -> bytes:
    return struct.pack("!II", 0x08000000, segment << 8) + frame


def arp_question(target: PortWiring, source_mac: str) -> bytes:
    source, wanted = bytes.fromhex(source_mac.replace(":", "")), socket.inet_aton(target.addresses[0])
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + source + socket.inet_aton("10.213.77.9") + bytes(6) + wanted
    return b"\xff" * 6 + source + b"\x08\x06" + arp


def send_from(machine: Machine, packet: bytes, address: str) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(packet, (address, 4789))

    namespaces.in_namespace(machine.namespace, send)


async def test_only_hosts_that_carry_a_network_can_send_into_it(
    pair: tuple[HostOnWire, HostOnWire], wire: Wire, guests: ExitStack
) -> None:
    network, other = str(uuid.uuid4()), str(uuid.uuid4())
    one, two, three = port(network, 5), port(network, 6), port(other, 7, 200)
    await pair[0].guest(one)
    target, apart = await pair[1].guest(two), await pair[1].guest(three)
    await introduce(*pair)
    stranger = guests.enter_context(Machine("str"))
    wire.join(stranger.namespace, "und0", "192.0.2.66/24")
    with Sniffer(target) as seen, Sniffer(apart) as seen_apart:
        send_from(pair[0].machine, vxlan(100, two, "fa:16:3e:00:00:09"), "192.0.2.2")
        assert len(seen.frames("fa:16:3e:00:00:09")) == 1
        send_from(stranger, vxlan(100, two, "fa:16:3e:00:00:0a"), "192.0.2.2")
        send_from(pair[0].machine, vxlan(200, three, "fa:16:3e:00:00:0b"), "192.0.2.2")
        assert seen.frames("fa:16:3e:00:00:0a") == []
        assert seen_apart.frames("fa:16:3e:00:00:0b") == []
    rules = pair[1].machine.run(f"nft list chain inet {names.table(pair[1].id)} underlay")
    assert re.search(r"udp dport 4789 counter packets 2 ", rules)


async def test_nobody_draws_a_peers_frames_to_itself_by_a_false_mac(pair: tuple[HostOnWire, HostOnWire]) -> None:
    network = str(uuid.uuid4())
    one, two, three = port(network, 5), port(network, 6), port(network, 7)
    first = await pair[0].guest(one)
    await pair[0].guest(two)
    await pair[1].guest(three)
    await introduce(*pair)
    await pair[0].filter(lets_in(one), lets_in(two, PING))
    # Host 2 has fallen, and says with its frames that it has the MACs of both guests of host 1.
    for mac in (one.mac, two.mac):
        send_from(pair[1].machine, vxlan(100, three, mac), "192.0.2.1")
    assert await asyncio.to_thread(first.pings, "10.213.77.6")


async def test_a_peer_can_not_have_a_machine_route_its_frames(
    pair: tuple[HostOnWire, HostOnWire], wire: Wire, guests: ExitStack
) -> None:
    network = str(uuid.uuid4())
    one, two = port(network, 5), port(network, 6)
    machine = pair[1].machine
    machine.run("sysctl -w net.ipv4.ip_forward=1; sysctl -w net.ipv4.conf.all.rp_filter=0")  # it routes for others
    await pair[0].guest(one)
    await pair[1].guest(two)
    await introduce(*pair)
    outside = guests.enter_context(Machine("out"))
    wire.join(outside.namespace, "out0", "192.0.2.99/24")
    bridge = machine.run(f"ip -o link show {names.bridge(pair[1].id, network)}")
    for mac in (re.findall(r"link/ether ([0-9a-f:]+)", bridge)[0], GATEWAY_MAC):
        datagram = struct.pack("!HHHH", 1000, 2000, 14, 0) + b"routed"
        addresses = socket.inet_aton(one.addresses[0]) + socket.inet_aton("192.0.2.99")
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0) + addresses
        check = sum(struct.unpack("!10H", header))
        check = ~((check & 0xFFFF) + (check >> 16)) & 0xFFFF
        packet = header[:10] + struct.pack("!H", check) + header[12:] + datagram
        frame = bytes.fromhex((mac + one.mac).replace(":", "")) + b"\x08\x00" + packet
        with Sniffer(outside, "out0") as seen:
            mine = re.findall(r"link/ether ([0-9a-f:]+)", machine.run("ip -o link show und0"))[0]
            send_from(pair[0].machine, packed(100, frame), "192.0.2.2")
            assert not [frame for frame in seen.frames(mine) if b"routed" in frame]


async def test_guests_do_not_reach_the_underlay(
    pair: tuple[HostOnWire, HostOnWire], wire: Wire, guests: ExitStack
) -> None:
    network = str(uuid.uuid4())
    one = port(network, 5)
    guest = await pair[0].guest(one)
    await introduce(*pair)
    await pair[0].filter(lets_in(one))
    outside = guests.enter_context(Machine("out"))
    wire.join(outside.namespace, "und0", "192.0.2.99/24")
    assert await asyncio.to_thread(lambda: guest.pings("192.0.2.99", wait_s=3))  # by translation, as always
    assert not await asyncio.to_thread(guest.pings, "192.0.2.2")
    assert not await asyncio.to_thread(guest.pings, "192.0.2.1")
    with Sniffer(outside, "und0") as seen, datagrams(guest, 1000) as sender:
        sender.sendto(b"open", ("192.0.2.99", 4788))
        sender.sendto(b"shut", ("192.0.2.99", 4789))
        mac = pair[0].machine.run("ip -o link show und0")
        told = b"".join(seen.frames(re.findall(r"link/ether ([0-9a-f:]+)", mac)[0]))
    assert b"open" in told and b"shut" not in told


async def test_a_network_with_a_larger_mtu_than_the_underlay_has_room_for_is_refused(
    pair: tuple[HostOnWire, HostOnWire],
) -> None:
    host = pair[0]
    host.machine.run("ip link set und0 mtu 1400")
    assert (await host.call(host.fabric.probe())).overlay_mtu == 1350
    with pytest.raises(Conflict, match="room for an MTU of 1350"):
        await host.call(host.fabric.plug(port(str(uuid.uuid4()), 5), "a"))
    await host.call(host.fabric.plug(port(str(uuid.uuid4()), 6, mtu=1350), "a"))


async def test_two_hosts_can_not_share_an_underlay_on_one_machine(
    pair: tuple[HostOnWire, HostOnWire], tmp_path: Path, guests: ExitStack
) -> None:
    network = str(uuid.uuid4())
    await pair[0].guest(port(network, 5))
    other = HostOnWire(pair[0].machine, "192.0.2.1", tmp_path / "other", guests)
    try:
        with pytest.raises(Conflict, match="VXLAN id 100"):
            await other.guest(port(network, 6))
    finally:
        await other.close()
