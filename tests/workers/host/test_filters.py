"""Security groups, from the network worker to the ports of a host."""

from msgspec.structs import replace

from freehold.drivers.fabric.interface import Peers
from freehold.store.database import drop, put
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Carrier, Port
from tests.workers.host.bench import (
    GUEST,
    NETWORK,
    OTHER,
    WEB,
    WEB_GROUP,
    Bench,
    a_port,
    a_wiring,
    delete,
    settled,
)

S = GuestState


async def test_new_rules_reach_the_port(bench: Bench) -> None:
    await bench.running()
    ssh = replace(WEB_GROUP.rules[0], id="r2", port_first=22, port_last=22)
    await bench.network.commit([put(WEB, replace(WEB_GROUP, rules=(ssh,)))], "test")
    await settled()
    await bench.clock.advance(1)
    assert bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 22)
    assert not bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 80)


async def test_a_port_that_gets_other_groups_lets_in_what_they_say(bench: Bench) -> None:
    await bench.running()
    port = bench.network.read_as(Port, GUEST)
    assert port is not None
    for groups, lets_in in (((), False), ((WEB,), True)):
        await bench.network.commit([put(GUEST, replace(port, security_groups=groups))], "test")
        await settled()
        await bench.clock.advance(1)
        assert bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 80) is lets_in


async def test_members_of_a_remote_group_are_let_in_when_they_come(bench: Bench) -> None:
    from_group = replace(WEB_GROUP.rules[0], remote_group=WEB)
    await bench.network.commit([put(WEB, replace(WEB_GROUP, rules=(from_group,)))], "test")
    await bench.running()
    wiring = a_wiring(OTHER)
    assert not bench.fabric.lets_in(GUEST, wiring.addresses[0], "tcp", 80)
    await bench.network.commit([put(OTHER, a_port(wiring))], "test")
    await settled()
    await bench.clock.advance(1)
    assert bench.fabric.lets_in(GUEST, wiring.addresses[0], "tcp", 80)
    await bench.network.commit([put(OTHER, replace(a_port(wiring), security_groups=()))], "test")
    await settled()
    await bench.clock.advance(1)
    assert not bench.fabric.lets_in(GUEST, wiring.addresses[0], "tcp", 80)


async def test_a_build_does_not_wait_for_ever_for_the_network_worker(bench: Bench) -> None:
    await bench.send(bench.build(), told=False)
    assert bench.state() is S.WIRING
    await bench.clock.advance(6)
    assert bench.state() is S.RUNNING


async def test_filters_stay_in_force_while_a_new_process_has_not_heard_the_network_worker(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    await bench.network_desk.close()
    await bench.open()
    await bench.send(bench.build(OTHER), told=False)
    await bench.clock.advance(6)
    assert bench.state(OTHER) is S.RUNNING
    assert bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 80), "it isn't cut off"
    assert not bench.fabric.lets_in(OTHER, "1.2.3.4", "tcp", 80), "nothing comes in before somebody says so"
    await bench.network.commit([put(OTHER, a_port(a_wiring(OTHER)))], "test")
    await bench.network_desk.open()
    await settled()
    await bench.clock.advance(1)
    assert bench.fabric.lets_in(OTHER, "1.2.3.4", "tcp", 80)


def elsewhere(host: str) -> Port:
    """Another port of the guest's network, on another host."""
    return replace(a_port(a_wiring(OTHER)), host=host)


async def test_the_fabric_is_told_where_else_its_networks_are(bench: Bench) -> None:
    two = Carrier(host="two", address="192.0.2.2")
    await bench.network.commit([put("two", two), put(OTHER, elsewhere("two"))], "test")
    assert bench.fabric.sends(NETWORK) == frozenset()
    await bench.running()
    mac = a_wiring(OTHER).mac
    assert bench.fabric.sends(NETWORK) == {(mac, "192.0.2.2")}, "known before the guest runs"
    for change, sends in (
        (put("two", replace(two, address="192.0.2.22")), {(mac, "192.0.2.22")}),
        (put(OTHER, elsewhere(bench.store.id)), set()),
        (put(OTHER, elsewhere("two")), {(mac, "192.0.2.22")}),
        (drop("port", OTHER), set()),
        (put(OTHER, elsewhere("two")), {(mac, "192.0.2.22")}),
        (drop("carrier", "two"), set()),
    ):
        await bench.network.commit([change], "test")
        await settled()
        await bench.clock.advance(1)
        assert bench.fabric.sends(NETWORK) == sends


async def test_a_network_that_left_and_came_back_is_told_of_again_and_one_that_stays_once(bench: Bench) -> None:
    told: list[Peers] = []
    reach = bench.fabric.reach

    async def noted(peers: Peers) -> None:
        told.append(peers)
        await reach(peers)

    bench.fabric.reach = noted  # type: ignore[method-assign]
    await bench.network.commit(
        [put("two", Carrier(host="two", address="192.0.2.2")), put(OTHER, elsewhere("two"))], "t"
    )
    await bench.running()
    count = len(told)
    await bench.network.commit([put(WEB, replace(WEB_GROUP, rules=()))], "test")
    await bench.clock.advance(1)
    assert len(told) == count, "nothing has changed for the fabric"
    await bench.ask(delete())
    await bench.until(lambda: bench.state() is None)
    assert bench.fabric.sends(NETWORK) == frozenset()
    third = "9" + GUEST[1:]
    await bench.send(bench.build(third))
    await bench.until(lambda: bench.state(third) is S.RUNNING)
    assert bench.fabric.sends(NETWORK) == {(a_wiring(OTHER).mac, "192.0.2.2")}


async def test_what_changed_while_no_process_ran_reaches_the_fabric_after_its_start(bench: Bench) -> None:
    await bench.network.commit(
        [put("two", Carrier(host="two", address="192.0.2.2")), put(OTHER, elsewhere("two"))], "t"
    )
    await bench.running()
    await bench.kill()
    await bench.network.commit([drop("port", OTHER)], "test")
    await bench.open()
    await bench.clock.advance(1)
    assert bench.fabric.sends(NETWORK) == frozenset()


async def test_where_networks_are_stays_in_force_while_the_network_worker_is_away(bench: Bench) -> None:
    await bench.network.commit(
        [put("two", Carrier(host="two", address="192.0.2.2")), put(OTHER, elsewhere("two"))], "t"
    )
    await bench.running()
    await bench.kill()
    await bench.network_desk.close()
    await bench.open()
    await bench.clock.advance(6)
    assert len(bench.fabric.sends(NETWORK)) == 1


async def test_what_the_host_can_carry_is_in_its_record(bench: Bench) -> None:
    host = bench.store.read_as(Host, bench.store.id)
    assert host is not None and host.carriage.underlay == "192.0.2.1"
