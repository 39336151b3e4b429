"""Security groups, from the network worker to the ports of a host."""

from msgspec.structs import replace

from freehold.store.database import put
from freehold.vocabulary.guest import (
    GuestState,
)
from tests.workers.host.bench import (
    GUEST,
    OTHER,
    WEB,
    WEB_GROUP,
    Bench,
    a_port,
    a_wiring,
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
