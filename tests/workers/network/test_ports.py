"""Ports made by hand."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NotFound
from freehold.vocabulary.network import CreatePort, DeleteOf, FixedAddress, NetworkWanted, Port, UpdatePort
from tests.workers.network.rules_bench import RulesBench, a_build, an_id, granted


def at(address: str, subnet: str = "") -> tuple[FixedAddress, ...]:
    return (FixedAddress(subnet=subnet, address=address),)


def test_a_port_gets_mac_address_and_the_default_group() -> None:
    bench = RulesBench()
    key = bench.network()
    ports = [bench.port(key) for _ in range(20)]
    assert [port.addresses[0].address for port in ports] == [f"10.0.0.{last}" for last in range(2, 22)]
    assert len({port.mac for port in ports}) == 20
    assert all(port.mac.startswith("fa:16:3e:") for port in ports)
    assert {port.security_groups for port in ports} == {(bench.holdings.default_groups["p"],)}


def test_a_mac_is_never_drawn_twice() -> None:
    class Stuck(RulesBench):
        """Chance that says the same twice."""

        draws = 0

        def same_twice(self, count: int) -> bytes:
            self.draws += 1
            return bytes([self.draws // 2 % 256]) * count

    bench = Stuck()
    key = bench.network()
    bench.chance.bytes = bench.same_twice  # type: ignore[method-assign]
    made = [replace(Port(id=an_id(n), project="p", network=key, mac=""), security_groups=()) for n in range(8)]
    for port in made:
        bench.ask(CreatePort(port=port, without_groups=True))
    assert len(bench.holdings.macs) == 8


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"addresses": at("10.0.0.1")}, Conflict, "gateway"),
        ({"addresses": at("10.0.0.2")}, Conflict, "in use"),
        ({"addresses": at("10.0.0.0")}, BadRequest, "network or broadcast"),
        ({"addresses": at("10.0.0.255")}, BadRequest, "network or broadcast"),
        ({"addresses": at("192.168.0.9")}, BadRequest, "not in the subnet"),
        ({"addresses": at("fe80::1")}, BadRequest, "IPv6"),
        ({"addresses": at("10.0.0.9") * 2}, Conflict, "in use"),
        ({"addresses": at("10.0.0.9") * 6}, BadRequest, "at most 5"),
        ({"addresses": at("10.0.0.9", an_id(1))}, NotFound, "subnet"),
        ({"mac": "FA:16:3E:00:00:01"}, Conflict, "MAC"),
        ({"mac": "01:00:5e:00:00:01"}, BadRequest, "MAC"),
        ({"mac": "no"}, BadRequest, "MAC"),
        ({"security_groups": (an_id(1),)}, NotFound, "security group"),
        ({"security_groups": (an_id(1),), "port_security": False}, BadRequest, "port security"),
        ({"network": an_id(1)}, NotFound, "network"),
        ({"project": "q"}, NotFound, "network"),
        ({"device_owner": "compute:nova", "device": "g"}, BadRequest, "bound"),
        ({"id": "x"}, BadRequest, "UUID"),
    ],
)
def test_ports_that_cannot_be(fields: dict[str, Any], error: type[FreeholdError], says: str) -> None:
    bench = RulesBench()
    key = bench.network()
    bench.port(key, mac="fa:16:3e:00:00:01")
    wanted = Port(**{"id": "", "project": "p", "network": key, "mac": "", **fields})
    with pytest.raises(error, match=says):
        bench.ask(CreatePort(port=wanted))
    assert len(bench.holdings.ports) == 1


def test_addresses_as_asked_for() -> None:
    bench = RulesBench()
    key = bench.network()
    other = bench.subnet(key, "10.0.1.0/24")
    assert bench.port(key, addresses=at("10.0.1.7")).addresses == at("10.0.1.7", other)
    assert bench.port(key, addresses=at("", other)).addresses == at("10.0.1.2", other)
    assert bench.port(key, subnets=(other,)).addresses == at("10.0.1.3", other)
    both = bench.port(key, addresses=(*at("10.0.0.99"), *at("", other)))
    assert [fixed.address for fixed in both.addresses] == ["10.0.0.99", "10.0.1.4"]


def test_the_second_subnet_is_used_when_the_first_is_full() -> None:
    bench = RulesBench()
    key = bench.network(cidr="10.0.0.0/29")
    bench.subnet(key, "10.0.1.0/29")
    addresses = [bench.port(key).addresses[0].address for _ in range(10)]
    assert addresses[4:6] == ["10.0.0.6", "10.0.1.2"]
    with pytest.raises(Conflict, match="No address"):
        bench.port(key)
    bench.ask(DeleteOf(kind="port", id=next(iter(bench.holdings.ports))))
    assert bench.port(key).addresses[0].address == "10.0.0.2"


def test_groups_can_be_left_out() -> None:
    bench = RulesBench()
    key = bench.network()
    assert bench.port(key, port_security=False).security_groups == ()
    bare = bench.ask(CreatePort(port=Port(id="", project="p", network=key, mac=""), without_groups=True))
    assert bench.holdings.ports[bare].security_groups == ()


def test_only_what_is_the_clients_is_changed() -> None:
    bench = RulesBench()
    port, group = bench.port(bench.network()), bench.group()
    asked = replace(port, name="web", security_groups=(group,), mac="fa:16:3e:ff:ff:ff", host="h9", deed=9, active=True)
    bench.ask(UpdatePort(port=asked))
    after = bench.holdings.ports[port.id]
    assert after == replace(port, name="web", security_groups=(group,), updated=after.updated, revision=2)
    bench.ask(UpdatePort(port=replace(after, addresses=at("10.0.0.77"))))
    assert bench.holdings.ports[port.id].addresses[0].address == "10.0.0.77"
    assert bench.port(port.network).addresses[0].address != "10.0.0.77"


def test_a_port_that_a_guest_uses_stays_with_it() -> None:
    bench = RulesBench()
    port = bench.port(bench.network())
    granted(bench.build(a_build(NetworkWanted(port=port.id))))
    used = bench.holdings.ports[port.id]
    with pytest.raises(Conflict, match="g1"):
        bench.ask(DeleteOf(kind="port", id=port.id))
    for change in ({"device": ""}, {"device_owner": ""}, {"addresses": at("10.0.0.99")}):
        with pytest.raises(Conflict):
            bench.ask(UpdatePort(port=replace(used, **change)))
    bench.ask(UpdatePort(port=replace(used, name="renamed", security_groups=())))
    assert bench.holdings.ports[port.id].name == "renamed"


def test_a_doubled_question_makes_one_port() -> None:
    bench = RulesBench()
    asked = CreatePort(port=Port(id=an_id(2), project="p", network=bench.network(), mac=""))
    assert bench.ask(asked) == bench.ask(asked)
    assert len(bench.holdings.ports) == 1
    with pytest.raises(BadRequest):
        bench.ask(DeleteOf(kind="guest", id="g"))
