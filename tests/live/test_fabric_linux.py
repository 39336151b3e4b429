"""The Linux fabric with guests that really send packets."""

import asyncio
import itertools
import os
import re
import signal
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from freehold.drivers.fabric import dnsmasq, inside, names, namespaces
from freehold.drivers.fabric.interface import Filter, Members, MetadataAnswer
from freehold.drivers.fabric.links import Links
from freehold.drivers.fabric.linux import LinuxFabric
from freehold.drivers.fabric.networks import Networks
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.ids import short
from freehold.vocabulary.network import Direction, PortWiring, Rule
from tests.live.tap_guest import TapGuest
from tests.owners import until

EVERYTHING_OUT = Rule(id="out", direction=Direction.EGRESS)
GROUP = "99999999-2222-4333-8444-555555555555"
_numbers = itertools.count(2)


def wiring(network: str, number: int, **more: object) -> PortWiring:
    """A port of a network in 10.213.77.0/24, with the address of that number."""
    words: dict[str, object] = {
        "port": str(uuid.uuid4()),
        "network": network,
        "network_name": "net",
        "segment": 1,
        "mtu": 1450,
        "mac": f"fa:16:3e:00:00:{number:02x}",
        "addresses": (f"10.213.77.{number}",),
        "cidr": "10.213.77.0/24",
        "gateway": "10.213.77.1",
    }
    return PortWiring(**{**words, **more})  # type: ignore[arg-type]


def lets_in(port: PortWiring, *rules: Rule) -> Filter:
    """A filter that lets everything out, and in what the rules say."""
    return Filter(port=port.port, rules=(EVERYTHING_OUT, *rules))


def ingress(protocol: str | None = None, first: int | None = None, group: str | None = None) -> Rule:
    rule = str(uuid.uuid4())
    return Rule(id=rule, direction=Direction.INGRESS, protocol=protocol, port_first=first, remote_group=group)


PING = ingress("icmp", 8)


def shell(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


def machine_pings(address: str) -> bool:
    return (
        subprocess.run(["busybox", "ping", "-c", "1", "-W", "1", address], capture_output=True, check=False).returncode
        == 0
    )


def left_of(host: str) -> list[str]:
    """All that this machine has of a host's."""
    found = [line for line in shell("ip -d link").splitlines() if f"freehold:{host}" in line]
    found += namespaces.named(names.namespace_prefix(host))
    found += [line for line in shell("nft list tables").splitlines() if names.table(host) in line]
    found += [str(path) for path in Path("/run/freehold").glob(f"{short(host)}*")]
    found += [line for line in shell("ps -eo args").splitlines() if f"/run/freehold/{short(host)}" in line]
    found += [line for line in shell("ip route").splitlines() if "10.213.77." in line]
    if not list(Path("/sys/class/net").glob("fhu*")):
        found += [line for line in shell("nft list tables").splitlines() if "freehold_forwarding" in line]
    return found


def dropped(host: str, port: PortWiring) -> dict[str, int]:
    """How many packets of a guest were dropped for which lie."""
    text = shell(f"nft list chain netdev {names.table(host)} {names.tap(port.port)}")
    counts: dict[str, int] = {}
    for packets, why in re.findall(r'counter packets (\d+) bytes \d+ drop comment "(\w+)"', text):
        counts[why] = counts.get(why, 0) + int(packets)
    return counts


class Bench:
    """A host's fabric, and guests on it."""

    def __init__(self, folder: Path, guests: ExitStack) -> None:
        self.host = str(uuid.uuid4())
        self.folder = folder
        self.offload = ThreadOffload(2)
        self.guests = guests
        self.fabric = self.another()

    def another(self) -> LinuxFabric:
        """A fabric for the same host, as a new process would have it."""
        return LinuxFabric(self.host, self.folder / "fabric", self.offload)

    async def restarted(self) -> None:
        await self.fabric.close()
        self.fabric = self.another()

    async def guest(self, port: PortWiring, *, hostname: str = "guest", address: bool = True) -> TapGuest:
        """Plugs a port and a guest into it, which takes its address by hand."""
        tap = await self.fabric.plug(port, hostname)
        guest = self.guests.enter_context(TapGuest(f"{next(_numbers)}", tap, port.mac))
        if address:
            prefix = int(port.cidr.rpartition("/")[2])
            await asyncio.to_thread(guest.address, port.addresses[0], port.gateway or "", prefix)
        return guest


def datagrams(guest: TapGuest, port: int) -> socket.socket:
    """A UDP socket of a guest's."""

    def bound() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", port))
        made.settimeout(1)
        return made

    return namespaces.in_namespace(guest.namespace, bound)


def arrives(sender: socket.socket, receiver: socket.socket, address: str, port: int) -> bool:
    """Whether a datagram reaches the receiver."""
    sender.sendto(b"hello", (address, port))
    try:
        return receiver.recv(100) == b"hello"
    except TimeoutError:
        return False


class WebServer:
    """A web server in a guest, with nothing on it."""

    def __init__(self, guest: TapGuest, port: int, folder: Path) -> None:
        command = ["busybox", "httpd", "-f", "-p", str(port), "-h", str(folder)]
        self._start = lambda: subprocess.Popen(command, start_new_session=True)
        self._guest = guest

    def __enter__(self) -> None:
        self._process = namespaces.in_namespace(self._guest.namespace, self._start)
        for _ in range(200):
            if "LISTEN" in self._guest.run("ss -ltn").stdout:
                return
        self.__exit__()
        raise AssertionError("the guest's web server doesn't listen")

    def __exit__(self, *error: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # it has a process for each connection
        self._process.wait()


@pytest.fixture
def guests() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def bench(tmp_path: Path, guests: ExitStack) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, guests)
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    yield bench
    await bench.fabric.sweep(frozenset())
    await bench.fabric.close()
    assert left_of(bench.host) == []
    if not list(Path("/sys/class/net").glob("fhu*")):
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == forwarding


@pytest.fixture
def network() -> str:
    return str(uuid.uuid4())


async def name_of_port(port: str, path: str) -> MetadataAnswer:
    return MetadataAnswer(status=200, content_type="text/plain", body=f"{port} {path}".encode())


async def test_dhcp_gives_the_address_and_options_of_the_wiring(bench: Bench, network: str) -> None:
    port = wiring(network, 5, dns=("192.0.2.53",), routes=(("198.51.100.0/24", "10.213.77.9"),))
    guest = await bench.guest(port, hostname="Web Server.example", address=False)
    lease = await asyncio.to_thread(guest.dhcp, bench.folder)
    assert lease["ip"] == "10.213.77.5"
    assert lease["mask"] == "24"
    assert lease["dns"] == "192.0.2.53"
    assert lease["mtu"] == "1450"
    assert lease["hostname"] == "web-server"
    assert lease["staticroutes"].split() == [
        "169.254.169.254/32", "10.213.77.1", "0.0.0.0/0", "10.213.77.1", "198.51.100.0/24", "10.213.77.9",
    ]  # fmt: skip


async def test_a_second_port_is_served_by_the_same_dhcp_server_and_a_third_can_have_a_freed_address(
    bench: Bench, network: str
) -> None:
    first = await bench.guest(wiring(network, 5), address=False)
    assert (await asyncio.to_thread(first.dhcp, bench.folder))["ip"] == "10.213.77.5"
    conf = f"/run/freehold/{short(bench.host)}/{short(network)}"
    process = Path(conf, "pid").read_text()
    port = wiring(network, 6)
    second = await bench.guest(port, address=False)
    assert (await asyncio.to_thread(second.dhcp, bench.folder))["ip"] == "10.213.77.6"
    assert (await asyncio.to_thread(first.dhcp, bench.folder))["ip"] == "10.213.77.5"
    assert Path(conf, "pid").read_text() == process
    await bench.fabric.unplug(port.port)
    third = await bench.guest(wiring(network, 7, addresses=("10.213.77.6",)), address=False)
    assert (await asyncio.to_thread(third.dhcp, bench.folder))["ip"] == "10.213.77.6"


async def test_a_subnet_without_gateway_has_dhcp_and_metadata(bench: Bench, network: str) -> None:
    port = wiring(network, 5, gateway=None)
    guest = await bench.guest(port, address=False)
    await bench.fabric.serve_metadata(name_of_port)
    lease = await asyncio.to_thread(guest.dhcp, bench.folder)
    assert lease["ip"] == "10.213.77.5"
    assert "router" not in lease
    assert await asyncio.to_thread(guest.fetch, "http://169.254.169.254/x") == (200, f"{port.port} /x")


async def test_the_machine_reaches_a_guest_of_a_reachable_network_as_its_groups_allow(
    bench: Bench, network: str
) -> None:
    port = wiring(network, 5, reachable=True)
    await bench.guest(port)
    assert not await asyncio.to_thread(machine_pings, "10.213.77.5")
    await bench.fabric.filter((lets_in(port, PING),))
    assert await asyncio.to_thread(machine_pings, "10.213.77.5")
    await bench.fabric.filter((lets_in(port),))
    assert not await asyncio.to_thread(machine_pings, "10.213.77.5")


async def test_a_range_that_the_machine_routes_already_is_refused_and_nothing_is_left(
    bench: Bench, network: str
) -> None:
    other = Bench(bench.folder / "other", bench.guests)
    await bench.fabric.plug(wiring(network, 5, reachable=True), "a")
    try:
        with pytest.raises(Conflict, match=r"has a route to 10\.213\.77\.0/24"):
            await other.fabric.plug(wiring(str(uuid.uuid4()), 6, reachable=True), "b")
        assert [line for line in left_of(other.host) if "10.213.77" not in line] == []
        assert await other.fabric.plugged() == frozenset()
    finally:
        await other.fabric.close()


async def test_what_a_guest_asks_is_answered_and_what_it_did_not_ask_is_not(bench: Bench, network: str) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    first, second = await bench.guest(one), await bench.guest(two)
    assert not await asyncio.to_thread(first.pings, "10.213.77.6")
    await bench.fabric.filter((lets_in(one), lets_in(two, PING)))
    assert await asyncio.to_thread(first.pings, "10.213.77.6")
    assert not await asyncio.to_thread(second.pings, "10.213.77.5")


async def test_a_port_without_egress_rules_sends_nothing_but_dhcp_and_metadata_questions(
    bench: Bench, network: str
) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    first, _ = await bench.guest(one, address=False), await bench.guest(two)
    await bench.fabric.serve_metadata(name_of_port)
    await bench.fabric.filter((Filter(port=one.port, rules=()), lets_in(two, PING)))
    assert (await asyncio.to_thread(first.dhcp, bench.folder))["ip"] == "10.213.77.5"
    assert (await asyncio.to_thread(first.fetch, "http://169.254.169.254/"))[0] == 200
    assert not await asyncio.to_thread(first.pings, "10.213.77.6")


async def test_a_remote_group_lets_its_members_in_and_nobody_else(bench: Bench, network: str) -> None:
    ports = [wiring(network, number) for number in (5, 6, 7)]
    server, member, stranger = [await bench.guest(port) for port in ports]
    rule, members = ingress("tcp", 8080, group=GROUP), Members(group=GROUP, addresses=("10.213.77.6",))
    await bench.fabric.filter((lets_in(ports[0], rule), lets_in(ports[1]), lets_in(ports[2])), (members,))
    with WebServer(server, 8080, bench.folder):
        url = "http://10.213.77.5:8080/"
        assert (await asyncio.to_thread(member.fetch, url))[0] == 404
        assert (await asyncio.to_thread(lambda: stranger.fetch(url, wait_s=2)))[0] == 0


async def test_spoofed_packets_are_silent(bench: Bench, network: str) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    liar, _ = await bench.guest(one), await bench.guest(two)
    await bench.fabric.filter((lets_in(one), lets_in(two, PING)))
    assert await asyncio.to_thread(liar.pings, "10.213.77.6")
    assert {why for why, count in dropped(bench.host, one).items() if count} <= {"ethertype"}  # its own IPv6

    liar.run("ip addr add 10.213.77.66/24 dev eth0")
    assert liar.run("busybox ping -c 2 -W 1 -I 10.213.77.66 10.213.77.6").returncode != 0
    assert dropped(bench.host, one)["address"] >= 2

    liar.run("ip addr flush dev eth0; ip neigh flush all; ip addr add 10.213.77.66/24 dev eth0")
    assert not await asyncio.to_thread(liar.pings, "10.213.77.6")
    assert dropped(bench.host, one)["arp"] >= 1

    liar.run("ip addr flush dev eth0; ip addr add 10.213.77.5/24 dev eth0; ip link set eth0 address fa:16:3e:99:99:99")
    assert not await asyncio.to_thread(liar.pings, "10.213.77.6")
    assert dropped(bench.host, one)["mac"] >= 1

    liar.run(f"ip link set eth0 address {one.mac}")
    assert await asyncio.to_thread(lambda: liar.pings("10.213.77.6", wait_s=3))


async def test_a_guest_gives_no_dhcp_answers(bench: Bench, network: str) -> None:
    port = wiring(network, 5)
    rogue = await bench.guest(port)
    await bench.fabric.filter((lets_in(port),))

    def offer() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("", 67))
            sender.sendto(b"an offer", ("10.213.77.1", 68))

    namespaces.in_namespace(rogue.namespace, offer)
    await until(lambda: dropped(bench.host, port)["dhcp"] >= 1)


async def test_ipv6_and_other_ethertypes_do_not_leave_a_guest(bench: Bench, network: str) -> None:
    port = wiring(network, 5)
    guest = await bench.guest(port)
    guest.run("sysctl -w net.ipv6.conf.all.disable_ipv6=0")

    def tried() -> bool:  # a guest may take its time: no address is used before nobody has answered for it
        guest.run("busybox ping -6 -c 1 -W 1 ff02::1%eth0")
        return dropped(bench.host, port)["ethertype"] >= 1

    await until(tried)
    assert "inet6" not in shell(f"ip addr show dev {names.tap(port.port)}")
    assert "inet6" not in shell(f"ip addr show dev {names.bridge(bench.host, network)}")


async def test_without_port_security_a_guest_may_use_other_addresses_but_not_for_metadata(
    bench: Bench, network: str
) -> None:
    free, other, victim = wiring(network, 5, port_security=False), wiring(network, 6), wiring(network, 7)
    guest, _ = await bench.guest(free), await bench.guest(other)
    await bench.fabric.plug(victim, "its guest is not running")
    await bench.fabric.serve_metadata(name_of_port)
    await bench.fabric.filter((lets_in(free), lets_in(other, PING)))
    assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/"))[1].startswith(free.port)
    guest.run("ip addr add 10.213.77.66/24 dev eth0")
    assert guest.run("busybox ping -c 1 -W 2 -I 10.213.77.66 10.213.77.6").returncode == 0
    guest.run("ip addr add 10.213.77.7/24 dev eth0")
    command = "curl -s -m 2 --noproxy '*' --interface 10.213.77.7 http://169.254.169.254/"
    answer = await asyncio.to_thread(guest.run, command)
    assert answer.returncode != 0
    assert victim.port not in answer.stdout


async def test_metadata_is_the_askers_own_whatever_its_headers_say(bench: Bench, network: str) -> None:
    ports = [wiring(network, 5), wiring(network, 6)]
    guests = [await bench.guest(port) for port in ports]
    url = "http://169.254.169.254/openstack/latest/meta_data.json?x=1"
    assert (await asyncio.to_thread(guests[0].fetch, url))[0] == 503
    await bench.fabric.serve_metadata(name_of_port)
    for port, guest in zip(ports, guests, strict=True):
        answer = await asyncio.to_thread(guest.fetch, url, "X-Forwarded-For: 10.213.77.6", "X-Instance-ID: other")
        assert answer == (200, f"{port.port} /openstack/latest/meta_data.json")


async def test_two_networks_with_the_same_addresses_do_not_see_one_another(bench: Bench) -> None:
    reds = [wiring(str(uuid.uuid4()), 5)]
    reds.append(wiring(reds[0].network, 6))
    blue = wiring(str(uuid.uuid4()), 5, mac="fa:16:3e:00:01:05")
    red_guests = [await bench.guest(port) for port in reds]
    blue_guest = await bench.guest(blue)
    await bench.fabric.serve_metadata(name_of_port)
    await bench.fabric.filter(tuple(lets_in(port, PING) for port in (*reds, blue)))
    assert await asyncio.to_thread(red_guests[0].pings, "10.213.77.6")
    assert not await asyncio.to_thread(blue_guest.pings, "10.213.77.6")
    for port, guest in ((reds[0], red_guests[0]), (blue, blue_guest)):
        assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/"))[1].startswith(port.port)


@pytest.fixture
def outside() -> Iterator[str]:
    """An address beyond the machine, which knows no way back to any guest."""
    number = os.getpid() % 60_000
    namespace, link = f"outside-{number}", f"out{number}"
    namespaces.create(namespace)
    shell(f"ip link add {link} type veth peer name eth0 netns {namespace}")
    shell(f"ip addr add 198.18.99.1/30 dev {link}; ip link set {link} up")
    shell(f"ip -n {namespace} addr add 198.18.99.2/30 dev eth0; ip -n {namespace} link set eth0 up")
    yield "198.18.99.2"
    shell(f"ip link del {link}")
    namespaces.delete(namespace)


async def test_a_guest_reaches_out_by_translation_and_nobody_reaches_in(
    bench: Bench, network: str, outside: str
) -> None:
    port = wiring(network, 5)
    guest = await bench.guest(port)
    await bench.fabric.filter((lets_in(port),))
    assert await asyncio.to_thread(lambda: guest.pings(outside, count=5, wait_s=3))
    await bench.fabric.filter((lets_in(port, PING),))
    assert not await asyncio.to_thread(machine_pings, "10.213.77.5")


async def test_guests_of_different_networks_meet_only_if_both_are_reachable(bench: Bench) -> None:
    open_ports = [
        wiring(str(uuid.uuid4()), 5, reachable=True),
        wiring(
            str(uuid.uuid4()),
            6,
            reachable=True,
            addresses=("10.213.77.130",),
            cidr="10.213.77.128/25",
            gateway="10.213.77.129",
        ),
    ]
    open_ports[0] = wiring(open_ports[0].network, 5, reachable=True, cidr="10.213.77.0/25")
    hidden = wiring(str(uuid.uuid4()), 7, addresses=("10.213.78.7",), cidr="10.213.78.0/24", gateway="10.213.78.1")
    guests = [await bench.guest(port) for port in (*open_ports, hidden)]
    await bench.fabric.filter(tuple(lets_in(port, PING) for port in (*open_ports, hidden)))
    assert await asyncio.to_thread(lambda: guests[0].pings("10.213.77.130", wait_s=3))
    assert not await asyncio.to_thread(guests[2].pings, "10.213.77.130")


async def test_the_machines_own_services_and_link_local_addresses_are_not_the_guests(
    bench: Bench, network: str, outside: str
) -> None:
    port = wiring(network, 5, reachable=True)
    guest = await bench.guest(port)
    await bench.fabric.filter((lets_in(port, PING),))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "198.18.99.1", 0)
    number = server.sockets[0].getsockname()[1]
    async with server:
        refused = await asyncio.to_thread(guest.run, f"busybox nc -w 2 198.18.99.1 {number} </dev/null")
        assert refused.returncode != 0
    machine_end = re.search(
        r"inet (169\.254\.[\d.]+)/31", shell(f"ip addr show dev {names.uplink(bench.host, network)}")
    )
    assert machine_end is not None
    assert not await asyncio.to_thread(guest.pings, machine_end[1])


async def test_a_frame_to_the_bridge_itself_does_not_reach_the_machine(
    bench: Bench, network: str, outside: str
) -> None:
    port = wiring(network, 5, reachable=True)
    guest = await bench.guest(port)
    await bench.fabric.filter((lets_in(port, PING),))
    bridge = Path(f"/sys/class/net/{names.bridge(bench.host, network)}/address").read_text().strip()
    guest.run(f"ip neigh replace 10.213.77.99 lladdr {bridge} dev eth0; ip route add 198.18.99.0/24 via 10.213.77.99")
    assert not await asyncio.to_thread(guest.pings, "198.18.99.1")
    assert not await asyncio.to_thread(guest.pings, outside)


async def test_a_rule_taken_away_stops_at_once_what_it_had_allowed(bench: Bench, network: str) -> None:
    one, two = wiring(network, 5), wiring(network, 6)
    client, server = await bench.guest(one), await bench.guest(two)
    await bench.fabric.filter((lets_in(one), lets_in(two, ingress("udp", 2000))))
    with datagrams(client, 1000) as asker, datagrams(server, 2000) as answerer:
        assert arrives(asker, answerer, "10.213.77.6", 2000)
        assert arrives(answerer, asker, "10.213.77.5", 1000)
        await bench.fabric.filter((lets_in(two),))
        assert not arrives(asker, answerer, "10.213.77.6", 2000)
        await bench.fabric.filter((lets_in(two, ingress("udp", 2000)),))
        assert arrives(asker, answerer, "10.213.77.6", 2000)


async def test_an_answer_in_one_network_is_a_question_in_another_with_the_same_addresses(bench: Bench) -> None:
    red, blue = str(uuid.uuid4()), str(uuid.uuid4())
    ports = [wiring(network, number) for network in (red, blue) for number in (5, 6)]
    red_client, red_server, blue_client, blue_server = [await bench.guest(port) for port in ports]
    await bench.fabric.filter((*(lets_in(port) for port in ports), lets_in(ports[1], ingress("udp", 2000))))
    with datagrams(red_client, 1000) as asker, datagrams(red_server, 2000) as answerer:
        assert arrives(asker, answerer, "10.213.77.6", 2000)
        assert arrives(answerer, asker, "10.213.77.5", 1000)
    with datagrams(blue_client, 1000) as victim, datagrams(blue_server, 2000) as intruder:
        assert not arrives(intruder, victim, "10.213.77.5", 1000)


async def test_a_new_process_finds_ports_serves_metadata_and_keeps_filters(bench: Bench, network: str) -> None:
    port = wiring(network, 5, reachable=True)
    guest = await bench.guest(port)
    await bench.fabric.filter((lets_in(port, PING),))
    await bench.restarted()
    assert await bench.fabric.plugged() == {port.port}
    assert await asyncio.to_thread(machine_pings, "10.213.77.5")
    await bench.fabric.serve_metadata(name_of_port)
    assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/"))[0] == 200
    await bench.fabric.plug(port, "guest")
    assert await asyncio.to_thread(machine_pings, "10.213.77.5")


async def test_sweep_starts_a_dead_dhcp_server_and_mends_rules(bench: Bench, network: str) -> None:
    port = wiring(network, 5, reachable=True)
    guest = await bench.guest(port)
    await bench.fabric.filter((lets_in(port, PING),))
    os.kill(int(Path(f"/run/freehold/{short(bench.host)}/{short(network)}/pid").read_text()), 9)
    shell(f"nft delete table inet {names.table(bench.host)}")
    await bench.fabric.sweep(frozenset({port.port}))
    assert (await asyncio.to_thread(guest.dhcp, bench.folder))["ip"] == "10.213.77.5"
    assert await asyncio.to_thread(machine_pings, "10.213.77.5")


async def test_sweep_deletes_what_is_not_kept_even_when_its_records_are_lost(bench: Bench, network: str) -> None:
    kept, lost = wiring(network, 5), wiring(str(uuid.uuid4()), 6)
    for port in (kept, lost):
        await bench.fabric.plug(port, "guest")
    await bench.fabric.close()
    for path in (bench.folder / "fabric").rglob("*.json"):
        if path.stem in (lost.port, lost.network):
            path.unlink()
    bench.fabric = bench.another()
    assert await bench.fabric.plugged() == {kept.port, lost.port}
    await bench.fabric.sweep(frozenset({kept.port}))
    assert await bench.fabric.plugged() == {kept.port}
    assert short(lost.network) not in " ".join(left_of(bench.host))
    assert names.tap(lost.port) not in shell("nft list ruleset")


async def test_hosts_on_one_machine_leave_one_another_alone(bench: Bench, network: str) -> None:
    other = Bench(bench.folder / "other", bench.guests)
    mine, theirs = wiring(network, 5), wiring(network, 6)
    guest = await bench.guest(mine)
    await other.guest(theirs)
    await other.fabric.sweep(frozenset())
    await other.fabric.close()
    assert left_of(other.host) == []
    assert await bench.fabric.plugged() == {mine.port}
    assert (await asyncio.to_thread(guest.dhcp, bench.folder))["ip"] == "10.213.77.5"


CUTS = [
    (namespaces, "create"), (Links, "bridge"), (Links, "router_link"), (Networks, "transaction"),
    (inside, "set_up_router"), (Links, "raise_link"), (Links, "route"), (dnsmasq.DhcpServer, "_start"),
    (LinuxFabric, "_open_metadata"), (Links, "claim"), (Links, "join_tap"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "step"), CUTS, ids=[step for _, step in CUTS])
async def test_a_plug_cut_anywhere_can_be_repeated_or_undone(
    bench: Bench, network: str, owner: object, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    def cut(*words: object, **named: object) -> None:
        raise Cut

    port = wiring(network, 5, reachable=True)
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, cut)
            with pytest.raises(Cut):
                await bench.fabric.plug(port, "guest")
        await bench.restarted()
        assert await bench.fabric.plugged() == {port.port}
        await bench.fabric.unplug(port.port)
        assert left_of(bench.host) == []
        assert await bench.fabric.plugged() == frozenset()
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, cut)
        with pytest.raises(Cut):
            await bench.fabric.plug(port, "guest")
    await bench.restarted()
    await bench.guest(port)
    await bench.fabric.filter((lets_in(port, PING),))
    assert await asyncio.to_thread(lambda: machine_pings("10.213.77.5"))


async def test_a_flood_of_metadata_questions_is_bounded(bench: Bench, network: str) -> None:
    guest = await bench.guest(wiring(network, 5))
    await bench.fabric.serve_metadata(name_of_port)
    hold = "for i in $(seq 40); do (busybox timeout 3 busybox nc 169.254.169.254 80 >/dev/null; echo over) & done; wait"
    flood = asyncio.create_task(asyncio.to_thread(guest.run, f"sleep 3 | ({hold})"))
    await flood
    assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/"))[0] == 200
    long = "x" * 9000
    assert (await asyncio.to_thread(guest.fetch, "http://169.254.169.254/", f"X-Long: {long}"))[0] in (0, 400)
