"""Networks, subnets and quotas."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NotFound, QuotaExceeded
from freehold.vocabulary.network import (
    CreatePort,
    DeleteOf,
    Network,
    NetworkQuota,
    Port,
    SaveNetwork,
    SaveNetworkQuota,
    SaveSubnet,
)
from freehold.workers.network.draft import Draft
from freehold.workers.network.networks import OWN_PORTS, SEGMENT_MAX, save_network
from tests.workers.network.rules_bench import CLUSTER, RulesBench, an_id


def test_names_repeat_and_segments_do_not() -> None:
    bench = RulesBench()
    keys = [bench.network(cidr="") for _ in range(50)]
    networks = [bench.holdings.networks[key] for key in keys]
    assert {network.name for network in networks} == {"net"}
    assert len({network.segment for network in networks}) == 50
    assert all(0 < network.segment <= SEGMENT_MAX and network.cluster == CLUSTER for network in networks)
    with pytest.raises(Conflict, match="segment"):
        bench.network(cidr="", segment=networks[0].segment)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"mtu": 1500}, BadRequest),
        ({"mtu": 100}, BadRequest),
        ({"segment": 2**24}, BadRequest),
        ({"id": "../etc"}, BadRequest),
        ({"cluster": "elsewhere"}, BadRequest),
    ],
)
def test_networks_that_cannot_be(fields: dict[str, Any], error: type[FreeholdError]) -> None:
    network = Network(**{"id": "", "name": "n", "project": "p", "cluster": "", **fields})
    with pytest.raises(error):
        RulesBench().ask(SaveNetwork(network=network, new=True))


def test_a_change_keeps_what_is_not_the_clients() -> None:
    bench = RulesBench()
    key = bench.network()
    before = bench.holdings.networks[key]
    bench.ask(SaveNetwork(network=replace(before, name="new", project="q", segment=7, created=0, cluster="")))
    after = bench.holdings.networks[key]
    assert after == replace(before, name="new", updated=after.updated, revision=2)
    with pytest.raises(NotFound):
        bench.ask(SaveNetwork(network=replace(before, id=an_id(3))))


def test_a_doubled_question_makes_one_network_and_a_foreign_id_is_refused() -> None:
    bench = RulesBench()
    network = Network(id=an_id(4), name="n", project="p", cluster="")
    assert bench.ask(SaveNetwork(network=network, new=True)) == bench.ask(SaveNetwork(network=network, new=True))
    assert bench.holdings.networks[network.id].revision == 1
    with pytest.raises(Conflict):
        bench.ask(SaveNetwork(network=replace(network, project="q"), new=True))


def test_a_network_goes_with_its_subnets_when_no_port_is_left() -> None:
    bench = RulesBench()
    key = bench.network()
    bench.subnet(key, "10.0.1.0/24")
    port = bench.port(key)
    bench.port(key, device_owner=OWN_PORTS, device="dhcp")
    with pytest.raises(Conflict, match=port.id):
        bench.ask(DeleteOf(kind="network", id=key))
    bench.ask(DeleteOf(kind="port", id=port.id))
    bench.ask(DeleteOf(kind="network", id=key))
    holdings = bench.holdings
    assert not holdings.networks and not holdings.subnets and not holdings.ports and not holdings.segments
    with pytest.raises(NotFound):
        bench.ask(DeleteOf(kind="network", id=key))


def test_sharing_ends_when_no_other_project_uses_it() -> None:
    bench = RulesBench()
    key = bench.network(shared=True)
    port = bench.port(key, "q")
    alone = replace(bench.holdings.networks[key], shared=False)
    with pytest.raises(Conflict):
        bench.ask(SaveNetwork(network=alone))
    bench.ask(DeleteOf(kind="port", id=port.id))
    bench.ask(SaveNetwork(network=alone))
    with pytest.raises(NotFound):
        bench.port(key, "q")


def test_ranges_overlap_on_different_networks_only() -> None:
    bench = RulesBench()
    one, other = bench.network(), bench.network()
    with pytest.raises(Conflict, match="overlaps"):
        bench.subnet(one, "10.0.0.128/25")
    bench.subnet(one, "10.0.1.0/24")
    bench.subnet(other, "10.0.1.0/24")
    with pytest.raises(NotFound):
        bench.subnet(an_id(1), "10.9.0.0/24")


def test_a_subnet_changes_without_losing_its_ports() -> None:
    bench = RulesBench()
    key = bench.network(cidr="")
    subnet = bench.holdings.subnets[bench.subnet(key, "10.0.0.0/29")]
    ports = [bench.port(key) for _ in range(3)]
    bench.ask(SaveSubnet(subnet=replace(subnet, pools=(("10.0.0.2", "10.0.0.5"),), dns=("9.9.9.9",))))
    assert bench.port(key).addresses[0].address == "10.0.0.5"
    with pytest.raises(Conflict, match="No address"):
        bench.port(key)
    with pytest.raises(BadRequest):
        bench.ask(SaveSubnet(subnet=replace(subnet, cidr="10.0.0.0/28")))
    with pytest.raises(Conflict, match="in use"):
        bench.ask(SaveSubnet(subnet=replace(subnet, gateway=ports[0].addresses[0].address, pools=())))
    after = bench.holdings.subnets[subnet.id]
    assert (after.dns, after.gateway, after.revision) == (("9.9.9.9",), "10.0.0.1", 2)


def test_a_subnet_stays_while_a_port_has_an_address_there() -> None:
    bench = RulesBench()
    key = bench.network(cidr="")
    one, other = bench.subnet(key, "10.0.0.0/24"), bench.subnet(key, "10.0.1.0/24")
    port = bench.port(key)
    own = bench.port(key, device_owner=OWN_PORTS, device="dhcp", subnets=(other,))
    with pytest.raises(Conflict, match=port.id):
        bench.ask(DeleteOf(kind="subnet", id=one))
    bench.ask(DeleteOf(kind="subnet", id=other))
    assert bench.holdings.ports[own.id].addresses == ()


@pytest.mark.parametrize("kind", ["networks", "subnets", "ports"])
def test_quotas_hold_for_the_project_alone(kind: str) -> None:
    bench = RulesBench()
    key = bench.network(shared=True)
    bench.port(key)
    bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", **{kind: 1})))
    attempts: dict[str, Callable[[], object]] = {
        "networks": lambda: bench.network(cidr=""),
        "subnets": lambda: bench.subnet(key, "10.8.0.0/24"),
        "ports": lambda: bench.port(key),
    }
    with pytest.raises(QuotaExceeded, match=f"1 of 1 {kind}"):
        attempts[kind]()
    bench.network("q")
    bench.port(key, "q")
    bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", **{kind: -1})))
    attempts[kind]()
    bench.ask(DeleteOf(kind="network_quota", id="p"))
    assert bench.holdings.quota("p") == NetworkQuota(project="p")
    with pytest.raises(BadRequest):
        bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", **{kind: -2})))


def test_a_decision_that_is_refused_leaves_nothing() -> None:
    bench = RulesBench()
    key = bench.network(cidr="")
    bench.subnet(key, "10.0.0.0/29", pools=(("10.0.0.2", "10.0.0.2"),))
    bench.ask(SaveNetworkQuota(quota=NetworkQuota(project="p", ports=0)))
    with pytest.raises(QuotaExceeded):
        bench.ask(CreatePort(port=Port(id="", project="p", network=key, mac="")))
    bench.ask(DeleteOf(kind="network_quota", id="p"))
    assert not bench.holdings.groups
    assert bench.port(key).addresses[0].address == "10.0.0.2"


def test_a_network_on_a_wire_has_no_segment_and_each_wire_and_vlan_has_one() -> None:
    bench = RulesBench()
    flat = bench.holdings.networks[bench.network(cidr="", physical="public", mtu=0)]
    assert (flat.segment, flat.mtu) == (0, 1500)
    tagged = bench.holdings.networks[bench.network(cidr="", physical="public", vlan=7, mtu=9000)]
    assert (tagged.segment, tagged.vlan, tagged.mtu) == (0, 7, 9000)
    for fields, says in (({}, "physical network public"), ({"vlan": 7}, "VLAN 7 of physical network public")):
        with pytest.raises(Conflict, match=says):
            bench.network(cidr="", physical="public", **fields)
    bench.network(cidr="", physical="lab", vlan=7)
    bench.ask(DeleteOf(kind="network", id=flat.id))
    again = bench.network(cidr="", physical="public")
    bench.ask(SaveNetwork(network=replace(bench.holdings.networks[again], physical="lab", vlan=9, name="new")))
    changed = bench.holdings.networks[again]
    assert (changed.physical, changed.vlan, changed.name) == ("public", 0, "new")
    for wrong in ({"vlan": 4095}, {"segment": 5}, {"physical": "a b"}, {"mtu": 9217}):
        with pytest.raises(BadRequest):
            bench.network(cidr="", **{"physical": "other", **wrong})


def test_the_underlay_sets_how_large_packets_are() -> None:
    bench = RulesBench()

    def made(mtu: int, room: int) -> int:
        def rule(draft: Draft) -> str:
            draft.overlay_mtu = room
            return save_network(draft, Network(id="", name="n", project="p", cluster="", mtu=mtu), new=True)

        return bench.holdings.networks[bench.decide(rule)].mtu

    assert (made(0, 1450), made(0, 1350), made(1300, 1350), made(0, 8950)) == (1450, 1350, 1300, 8950)
    with pytest.raises(BadRequest, match="576 to 1350"):
        made(1450, 1350)
