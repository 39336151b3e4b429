"""What the simulated fabric has for tests beyond the family's promises."""

import uuid
from pathlib import Path

import msgspec
import pytest

from freehold.config import read
from freehold.drivers.fabric.interface import Filter
from freehold.drivers.fabric.simulated import SimulatedFabric, simulated_carriage
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.network import Direction, PortWiring, Rule

WIRING = PortWiring(
    port=str(uuid.uuid4()), network=str(uuid.uuid4()), network_name="net", segment=1, mtu=1450,
    mac="fa:16:3e:00:00:05", addresses=("10.0.0.5",), cidr="10.0.0.0/24", gateway="10.0.0.1",
)  # fmt: skip


async def test_plug_fails_while_a_test_says_so() -> None:
    fabric = SimulatedFabric()
    fabric.fail_plug = Unavailable("not now")
    with pytest.raises(Unavailable):
        await fabric.plug(WIRING, "web")
    assert await fabric.plugged() == frozenset()
    fabric.fail_plug = None
    await fabric.plug(WIRING, "web")
    assert fabric.wiring(WIRING.port) == WIRING


async def test_it_tells_what_a_filter_lets_in() -> None:
    fabric = SimulatedFabric()
    await fabric.plug(WIRING, "web")
    assert not fabric.lets_in(WIRING.port, "10.0.0.9", "tcp", 80)
    ports = Rule(id="r", direction=Direction.INGRESS, protocol="tcp", port_first=80, port_last=81)
    rule = msgspec.structs.replace(ports, remote_cidr="10.0.0.0/30")
    await fabric.filter((Filter(port=WIRING.port, rules=(rule,)),))
    assert fabric.lets_in(WIRING.port, "10.0.0.1", "tcp", 81)
    assert not fabric.lets_in(WIRING.port, "10.0.0.1", "tcp", 82)
    assert not fabric.lets_in(WIRING.port, "10.0.0.1", "udp", 81)
    assert not fabric.lets_in(WIRING.port, "10.0.0.9", "tcp", 81)


def test_simulated_hosts_follow_one_another_on_the_underlay() -> None:
    state = Path("/srv")
    given = {"underlay_address": "192.0.2.1", "physical_networks": {"public": "eth1"}}
    carriages = [simulated_carriage(read(None, state=state, **given), number) for number in range(2)]
    assert [carriage.underlay for carriage in carriages] == ["192.0.2.1", "192.0.2.2"]
    assert carriages[0].physical == (("public", 1500),)
    assert simulated_carriage(read(None, state=state), 1).underlay == ""
