"""dnsmasq's configuration."""

from pathlib import Path

import msgspec

from freehold.drivers.fabric.dhcp import configuration, host_label, hosts
from freehold.drivers.fabric.records import NetworkRecord, PortRecord, Range
from freehold.vocabulary.network import PortWiring

WIRING = PortWiring(
    port="p", network="n", network_name="net", segment=1, mtu=1450, mac="fa:16:3e:00:00:05",
    addresses=("10.0.0.5", "10.0.0.6"), cidr="10.0.0.0/24", gateway="10.0.0.1",
)  # fmt: skip


def lines(*ranges: Range) -> list[str]:
    record = NetworkRecord(id="n", slot=7, mtu=1400, reachable=False, ranges=ranges)
    return configuration(record, Path("/run/x"), "nogroup").splitlines()


def test_a_subnet_with_everything() -> None:
    served = lines(
        Range(cidr="10.0.0.0/24", gateway="10.0.0.1", dns=("9.9.9.9", "1.1.1.1"), routes=(("10.9.0.0/16", "10.0.0.7"),))
    )
    assert "dhcp-range=set:subnet0,10.0.0.0,static,255.255.255.0,86400" in served
    assert "dhcp-option=option:mtu,1400" in served
    assert "dhcp-option=tag:subnet0,option:router,10.0.0.1" in served
    assert "dhcp-option=tag:subnet0,option:dns-server,9.9.9.9,1.1.1.1" in served
    assert (
        "dhcp-option=tag:subnet0,option:classless-static-route,"
        "169.254.169.254/32,10.0.0.1,0.0.0.0/0,10.0.0.1,10.9.0.0/16,10.0.0.7"
    ) in served


def test_a_subnet_without_gateway_offers_no_default_route() -> None:
    served = lines(Range(cidr="10.0.0.0/24", gateway=None))
    assert "dhcp-option=tag:subnet0,option:router" in served
    assert "dhcp-option=tag:subnet0,option:classless-static-route,169.254.169.254/32,0.0.0.0" in served
    assert "shared-network=guests,10.0.0.0" in served


def test_the_gateway_of_a_physical_network_is_outside_and_metadata_here() -> None:
    ranges = (Range(cidr="198.51.100.0/24", gateway="198.51.100.1"),)
    record = NetworkRecord(id="n", slot=7, mtu=1500, reachable=False, ranges=ranges, physical="public")
    served = configuration(record, Path("/run/x"), "nogroup").splitlines()
    assert "dhcp-option=tag:subnet0,option:router,198.51.100.1" in served
    assert (
        "dhcp-option=tag:subnet0,option:classless-static-route,169.254.169.254/32,0.0.0.0,0.0.0.0/0,198.51.100.1"
    ) in served
    assert "shared-network=guests,198.51.100.0" in served


def test_subnets_of_one_network_keep_their_options_apart() -> None:
    served = lines(Range(cidr="10.0.0.0/24", gateway="10.0.0.1"), Range(cidr="10.0.1.0/24", gateway="10.0.1.1"))
    assert "dhcp-option=tag:subnet0,option:router,10.0.0.1" in served
    assert "dhcp-option=tag:subnet1,option:router,10.0.1.1" in served


def test_a_port_is_offered_its_first_address() -> None:
    record = PortRecord(wiring=WIRING, hostname="web", mark=1)
    assert hosts([record]) == "fa:16:3e:00:00:05,10.0.0.5,web,86400\n"


def test_a_port_without_dhcp_is_not_answered() -> None:
    wiring = msgspec.structs.replace(WIRING, dhcp=False)
    assert hosts([PortRecord(wiring=wiring, hostname="web", mark=1)]) == ""


def test_a_host_name_becomes_one_label() -> None:
    assert host_label("Web Server.example.org") == "web-server"
    assert host_label("a\nb,c=d") == "a-b-c-d"
    assert host_label("ü") == "guest"
    assert len(host_label("x" * 300)) == 63
