"""What an earlier process was making goes on with ports and room that are still its own, and with no others."""

import pytest
from msgspec.structs import replace

from freehold.store.database import drop, put
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import Guest, GuestState, Power
from freehold.vocabulary.network import Carrier, Port
from freehold.vocabulary.request import Intent
from freehold.vocabulary.secret import Secret
from freehold.workers.host.begun import NEVER_RAN
from freehold.workers.host.filters import VIEW_WAIT_S
from freehold.workers.host.messages import BuildSecret
from freehold.workers.host.records import BUILD_SECRET
from tests.workers.host.bench import GUEST, OTHER, Bench, a_port, a_wiring, delete, settled

S = GuestState

MAKING = [
    ("fetch", S.FETCHING_IMAGE),
    ("make_disk", S.MAKING_DISK),
    ("plug", S.WIRING),
    ("launch", S.LAUNCHING),
]


async def begun(bench: Bench, verb: str, state: GuestState) -> None:
    """A guest that is being made, by a process that ends then; the network worker doesn't hear the next one yet."""
    bench.hold(verb)
    await bench.send(bench.build())
    assert bench.state() is state
    await bench.kill()
    bench.heard = False


async def give_back(bench: Bench) -> None:
    """What the network worker does when it hears that the host has refused the guest."""
    await bench.network.commit([drop("port", GUEST)], "test")


@pytest.mark.parametrize(("verb", "state"), MAKING)
async def test_a_guest_goes_on_when_its_ports_are_known_to_be_its_own(
    bench: Bench, verb: str, state: GuestState
) -> None:
    await begun(bench, verb, state)
    await bench.open()
    await bench.until(lambda: bench.worker.cleared)
    await settled()
    assert bench.state() is (S.LAUNCHING if state is S.LAUNCHING else S.WIRING), "what needs no port is made meanwhile"
    assert bench.hypervisor.look(GUEST) is None or bench.guest().launched is None
    await bench.hear()
    await bench.until(lambda: bench.state() is S.RUNNING)


@pytest.mark.parametrize(("verb", "state"), MAKING)
async def test_a_guest_whose_ports_were_given_back_is_refused(bench: Bench, verb: str, state: GuestState) -> None:
    """The host had refused it, and its disk was put back to before that."""
    await begun(bench, verb, state)
    await give_back(bench)
    bench.hold("plug")  # whoever plugs waits, and stays WIRING
    await bench.open()
    await bench.hear()
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().deed == 1 and not bench.refusal().deleted
    assert "addresses were given back" in bench.refusal().fault.message
    assert await bench.fabric.plugged() == frozenset()
    assert bench.hypervisor.look(GUEST) is None


@pytest.mark.parametrize("fields", [{"device": OTHER}, {"host": "another"}, {"host": "", "device": ""}])
async def test_a_port_that_is_another_s_by_now_is_not_plugged(bench: Bench, fields: dict[str, str]) -> None:
    await begun(bench, "make_disk", S.MAKING_DISK)
    port = bench.network.read_as(Port, GUEST)
    assert port is not None
    await bench.network.commit([put(GUEST, replace(port, **fields))], "test")
    await bench.open()
    await bench.hear()
    await bench.until(lambda: bench.state() is None)
    assert await bench.fabric.plugged() == frozenset()


async def test_what_the_network_worker_said_before_it_heard_of_this_start_counts_for_nothing(bench: Bench) -> None:
    """What the earlier process told may reach it yet, and have the ports given back."""
    await begun(bench, "make_disk", S.MAKING_DISK)
    await bench.open()
    await bench.until(lambda: bench.state() is S.WIRING)
    await bench.network.commit([put(bench.store.id, Carrier(host=bench.store.id, incarnation="another"))], "test")
    await settled()
    assert bench.state() is S.WIRING and await bench.fabric.plugged() == frozenset()
    await give_back(bench)
    await bench.hear()
    await bench.until(lambda: bench.state() is None)


async def test_a_guest_that_has_run_is_not_refused_for_its_ports(bench: Bench) -> None:
    await begun(bench, "make_disk", S.MAKING_DISK)
    await give_back(bench)
    deed = bench.given[GUEST]
    assert deed is not None
    bench.deeds, bench.intents[GUEST] = [deed], Intent(guest=GUEST, deed=deed, has_run=True)
    await bench.open()
    await bench.hear()
    await bench.clock.advance(VIEW_WAIT_S)  # which knows nothing of the port
    assert bench.state() is S.WIRING and set(bench.lost) == {GUEST}


async def test_a_guest_that_waits_for_word_of_its_ports_can_be_deleted(bench: Bench) -> None:
    await begun(bench, "make_disk", S.MAKING_DISK)
    await bench.open()
    await bench.until(lambda: bench.state() is S.WIRING)
    await bench.ask(delete())
    await bench.until(lambda: bench.state() is None)
    await bench.hear()
    await settled()
    assert bench.refusal().deleted


async def test_a_network_worker_of_an_older_release_is_believed(bench: Bench) -> None:
    """It doesn't say which start it has heard."""
    await begun(bench, "make_disk", S.MAKING_DISK)
    carrier = Carrier(host=bench.store.id, address="192.0.2.1")
    await bench.network.commit([put(carrier.host, carrier)], "an older release")
    await bench.open()
    await bench.until(lambda: bench.state() is S.RUNNING)


async def in_an_old_copy(bench: Bench, like: Guest) -> None:
    """The disk of the host that is down shows a guest that was being made, under deed 1, and has its ports."""
    wiring = a_wiring(GUEST)
    made = replace(like, id=GUEST, state=S.MAKING_DISK, launched=None, power=Power.ABSENT, ports=(wiring,))
    leased = replace(a_port(wiring), host=bench.store.id, device=GUEST)
    await bench.network.commit([put(leased.id, leased)], "test")
    store = await bench._store("host")
    await store.commit([put(GUEST, made)], "an old copy of the disk")
    await store.close()
    bench.given[GUEST] = bench.build(GUEST).deed


async def test_a_guest_whose_room_was_given_to_others_is_refused(bench: Bench) -> None:
    """They came when this one had been refused; then the disk was put back to when it was being made."""
    others = [f"{number}{OTHER[1:]}" for number in range(1, 5)]
    for other in others:
        await bench.running(other)
    await bench.kill()
    await in_an_old_copy(bench, bench.guest(others[0]))
    await bench.open()
    await bench.until(lambda: bench.state() is None)
    assert "room was given to others" in bench.refusal().fault.message
    assert bench.hypervisor.look(GUEST) is None
    assert set(bench.guests().values()) == {S.RUNNING} and len(bench.guests()) == 4


async def test_a_guest_waits_until_it_is_known_what_room_there_is(bench: Bench) -> None:
    """The records of others that are here are lost, and come back."""
    other = await bench.running(OTHER)
    lost = bench.given[OTHER]
    assert lost is not None
    await bench.kill()
    bench.lose_store()
    await in_an_old_copy(bench, other)
    bench.deeds = [lost]
    await bench.open()
    await bench.until(lambda: bench.worker.cleared)
    await settled()
    assert bench.state() is S.WIRING and bench.state(OTHER) is None
    await bench.send(bench.build(OTHER, restore=True))
    await bench.until(lambda: bench.state() is S.RUNNING and bench.state(OTHER) is S.RUNNING)


# --- what has run since, by the registrar's word --------------------------------------------------------------------

EARLIER = "99999999-2222-4333-8444-555555555555"
"""The port that it had in another attempt."""


async def put_back(bench: Bench, state: GuestState, deed: int = 1) -> None:
    """The guest, whose port is its own and which the registrar knows to have run under deed 3, runs on; by the disk it
    is being made under `deed`, with a port that was given back.
    """
    await bench.send(bench.build(deed=3, user_data=Secret("of the guest")))
    await bench.until(lambda: bench.state() is S.RUNNING)
    newest, record = bench.given[GUEST], bench.guest()
    assert newest is not None
    bench.deeds, bench.intents[GUEST] = [newest], Intent(guest=GUEST, deed=newest, has_run=True)
    await bench.kill()
    older = replace(record, state=state, deed=deed, launched=None, power=Power.ABSENT, ports=(a_wiring(EARLIER),))
    store = await bench._store("host")
    await store.commit([put(GUEST, older)], "an old copy of the disk")
    await store.close()


@pytest.mark.parametrize("deed", [1, 3])
@pytest.mark.parametrize("state", sorted(NEVER_RAN))
async def test_nothing_is_done_by_that_record_and_the_guest_is_restored(
    bench: Bench, state: GuestState, deed: int
) -> None:
    await put_back(bench, state, deed)
    await bench.open()
    await bench.until(lambda: bench.worker.cleared)
    await bench.clock.advance(60)
    assert set(bench.lost) == {GUEST}, "the registrar is told"
    assert bench.state() in (state, S.MAKING_DISK, S.WIRING), "no further: a disk that is there is left as it is"
    assert await bench.fabric.plugged() == {GUEST}, "it uses its port"
    await bench.send(bench.build(deed=3, restore=True))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert [wiring.port for wiring in bench.guest().ports] == [GUEST] and bench.guest().deed == 3
    assert bench.worker._records.guest_of_port(EARLIER) is None, "what comes from there isn't the guest's"
    await bench.clock.advance(60)
    assert await bench.fabric.plugged() == {GUEST}
    held = bench.hypervisor.look(GUEST)
    assert held is not None and (held.power, held.boots) == (Power.RUNNING, 1)
    secret = bench.store.read_private(BUILD_SECRET, GUEST)
    assert secret is not None
    assert decode(secret, BuildSecret).user_data == Secret("of the guest"), "what this disk still has of it is kept"
    bench.check()


async def test_one_that_is_off_by_now_stays_off(bench: Bench) -> None:
    await put_back(bench, S.MAKING_DISK)
    bench.hypervisor.power_off(GUEST)
    await bench.open()
    await bench.until(lambda: bool(bench.lost))
    await bench.send(bench.build(deed=3, restore=True))
    await bench.until(lambda: bench.state() is S.STOPPED)
    assert [wiring.port for wiring in bench.guest().ports] == [GUEST]


async def test_it_can_be_deleted_meanwhile(bench: Bench) -> None:
    await put_back(bench, S.MAKING_DISK)
    await bench.open()
    await bench.until(lambda: bool(bench.lost))
    await bench.ask(delete(deed=3))
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().deleted and bench.hypervisor.look(GUEST) is None
    await bench.clock.advance(60)
    assert not await bench.fabric.plugged()
