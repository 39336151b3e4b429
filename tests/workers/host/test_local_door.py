"""What the operator of a machine sees and may do, with the registrar there and without."""

import asyncio
from typing import TypeVar

import pytest

from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, NotFound, raised_from
from freehold.vocabulary.guest import (
    Action,
    ConsoleLog,
    ConsoleOutput,
    GuestState,
    Power,
    Reboot,
    RebootKind,
    Start,
    Stop,
)
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.ids import request_urn
from freehold.vocabulary.local import GuestAwaited, GuestHere, GuestsHere, HostHere, HostStands, LocalAnswer, LocalOrder
from freehold.vocabulary.request import Intent
from freehold.vocabulary.word import Word
from freehold.workers.host.reconciler import PERIOD_S
from tests.workers.host.bench import GUEST, OTHER, PROJECT, Bench, settled

W = TypeVar("W", bound=Word)
S = GuestState
UNKNOWN = "99999999-2222-4333-8444-555555555555"
URN = request_urn("aaaaaaaa-0000-4000-8000-000000000001")
URN_2 = request_urn("aaaaaaaa-0000-4000-8000-000000000002")
URN_3 = request_urn("aaaaaaaa-0000-4000-8000-000000000003")


async def ask(bench: Bench, question: Word, answer: type[W]) -> W:
    reply = decode(await bench.worker.local.answer("root", encode(question)), LocalAnswer)
    if reply.fault is not None:
        raise raised_from(reply.fault)
    return decode(reply.body, answer)


async def order(bench: Bench, command: Start | Stop | Reboot, *, alone: bool = False) -> GuestHere:
    return await ask(bench, LocalOrder(command=command, without_registrar=alone), GuestHere)


def a_start(urn: str = URN, guest: str = GUEST) -> Start:
    return Start(urn=urn, guest=guest, user="mallory", project="not-mine")


def a_stop(urn: str = URN, grace_s: float = 0.0, guest: str = GUEST) -> Stop:
    return Stop(urn=urn, guest=guest, user="mallory", project="not-mine", grace_s=grace_s)


def a_reboot(urn: str = URN, how: RebootKind = RebootKind.HARD) -> Reboot:
    return Reboot(urn=urn, guest=GUEST, user="mallory", project="not-mine", how=how)


async def cut_off(bench: Bench, boot: str = "") -> None:
    """The process ends and starts again, with nobody above it; the machine as well where it has another `boot`."""
    await bench.kill()
    if bench.registrar is not None:
        await bench.registrar.close()
    bench.registrar = None
    if boot:
        bench.hypervisor.restart_machine(boot)
    await bench.open()
    await settled()


async def registrar_returns(bench: Bench) -> None:
    await bench.open_registrar()
    await bench.clock.advance(60)


async def stopped_and_cut_off(bench: Bench) -> None:
    await bench.running()
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await order(bench, a_stop(URN_2))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await cut_off(bench)


def action(bench: Bench, urn: str = URN) -> Action:
    found = bench.store.read_as(Action, f"{GUEST}/{urn}")
    assert found is not None
    return found


def boots(bench: Bench, guest: str = GUEST) -> int:
    held = bench.hypervisor.look(guest)
    assert held is not None
    return held.boots


# --- looking


async def test_all_guests_are_listed(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    here = await ask(bench, GuestsHere(), HostHere)
    assert (here.name, here.heard) == ("h", True)
    assert [guest.id for guest in here.guests] == [GUEST, OTHER]
    first = here.guests[0]
    assert (first.name, first.state, first.power, first.deed) == ("web", S.RUNNING, Power.RUNNING, 1)
    assert (first.project, len(first.addresses)) == (PROJECT, 1)
    assert [guest.id for guest in (await ask(bench, GuestsHere(after=GUEST), HostHere)).guests] == [OTHER]


async def test_a_guest_is_waited_for_until_its_next_move(bench: Bench) -> None:
    await bench.running()
    before = await ask(bench, GuestAwaited(guest=GUEST), GuestHere)
    waiting = asyncio.create_task(ask(bench, GuestAwaited(guest=GUEST, since=before.since, wait_s=20), GuestHere))
    await settled()
    await bench.clock.advance(15)
    assert not waiting.done()
    bench.hypervisor.crash(GUEST)
    await bench.until(waiting.done)
    assert (await waiting).state is S.CRASHED
    after = (await waiting).since
    waiting = asyncio.create_task(ask(bench, GuestAwaited(guest=GUEST, since=after, wait_s=20), GuestHere))
    await settled()
    await bench.clock.advance(21)
    assert waiting.done() and (await waiting).since == after


async def test_the_console_is_read(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.print(GUEST, "one\ntwo\n")
    assert (await ask(bench, ConsoleLog(guest=GUEST, project="any", lines=1), ConsoleOutput)).text == "two\n"


@pytest.mark.parametrize(
    "question",
    [
        GuestAwaited(guest=UNKNOWN),
        GuestAwaited(guest="../../etc/passwd"),
        LocalOrder(command=a_start(guest=UNKNOWN)),
        ConsoleLog(guest=UNKNOWN, project=""),
    ],
)
async def test_a_guest_that_is_not_here(bench: Bench, question: Word) -> None:
    with pytest.raises(NotFound):
        await ask(bench, question, GuestHere)


@pytest.mark.parametrize(
    "question",
    [
        LocalOrder(command=a_start(urn="urn:freehold:request:../x")),
        LocalOrder(command=a_stop(grace_s=float("nan"))),
        LocalOrder(command=a_stop(grace_s=1e9)),
        GuestAwaited(guest=GUEST, wait_s=1e9),
        Action(guest=GUEST, project="", urn="", action="", user="", started=0),
    ],
)
async def test_a_question_that_makes_no_sense(bench: Bench, question: Word) -> None:
    await bench.running()
    with pytest.raises(BadRequest):
        await ask(bench, question, GuestHere)
    assert bench.state() is S.RUNNING


async def test_bytes_that_are_no_question(bench: Bench) -> None:
    reply = decode(await bench.worker.local.answer("root", b"\xff\x00"), LocalAnswer)
    assert reply.fault is not None and reply.fault.code == "BadRequest"


# --- orders


async def test_orders_are_actions_of_the_local_user(bench: Bench) -> None:
    await bench.running()
    await order(bench, a_stop())
    await bench.until(lambda: bench.state() is S.STOPPED)
    assert (action(bench).action, action(bench).user, action(bench).project) == ("stop", "local:root", PROJECT)
    assert action(bench).finished and action(bench).fault is None
    await order(bench, a_start(URN_2))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert (action(bench, URN_2).action, action(bench, URN_2).user) == ("start", "local:root")


async def test_an_order_is_on_disk_when_it_is_answered(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.deaf.add(GUEST)
    before = bench.store.position().seq
    await order(bench, a_stop(grace_s=60))
    durable = bench.store.position().seq
    await settled()
    assert before < durable == bench.store.position().seq
    await bench.kill()
    await bench.open()
    assert bench.state() is S.SHUTTING_DOWN
    assert action(bench).user == "local:root"


@pytest.mark.parametrize("urn", [URN, URN_2])
async def test_an_order_for_what_is_so_changes_nothing(bench: Bench, urn: str) -> None:
    await bench.running()
    await order(bench, a_stop())
    await bench.until(lambda: bench.state() is S.STOPPED)
    seq = bench.store.position().seq
    assert (await order(bench, a_stop(urn))).state is S.STOPPED
    assert bench.store.position().seq == seq


async def test_an_order_repeated_is_done_once(bench: Bench) -> None:
    await bench.running()
    for _ in range(2):
        await order(bench, a_reboot())
        await bench.until(lambda: bench.state() is S.RUNNING)
    assert boots(bench) == 2


async def test_a_stop_without_grace_ends_one_with(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.deaf.add(GUEST)
    await order(bench, a_stop(grace_s=60))
    assert (await order(bench, a_stop(URN_2, grace_s=60))).state is S.SHUTTING_DOWN
    await order(bench, a_stop(URN_2))
    await bench.until(lambda: bench.state() is S.STOPPED)


async def test_what_a_state_does_not_allow_is_refused(bench: Bench) -> None:
    bench.hold("make_disk")
    await bench.send(bench.build())
    with pytest.raises(Conflict, match="making disk"):
        await order(bench, a_start())
    bench.release("make_disk")
    await bench.until(lambda: bench.state() is S.RUNNING)


# --- without the registrar


async def test_a_start_needs_the_operators_word_until_the_registrar_is_heard(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    assert not (await ask(bench, GuestsHere(), HostHere)).heard
    asking = asyncio.create_task(order(bench, a_start()))
    await settled()
    await bench.clock.advance(4)
    with pytest.raises(Conflict, match="--without-registrar"):
        await asking
    assert (bench.state(), boots(bench)) == (S.STOPPED, 1)
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert boots(bench) == 2
    assert action(bench).finished and action(bench).user == "local:root"


async def test_a_start_waits_a_moment_for_a_registrar_that_is_coming(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    asking = asyncio.create_task(order(bench, a_start()))
    await settled()
    await bench.open_registrar()
    await bench.clock.advance(2)
    await asking
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_stop_needs_no_word(bench: Bench) -> None:
    await bench.running()
    await cut_off(bench)
    await order(bench, a_stop())
    await bench.until(lambda: bench.state() is S.STOPPED)
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await registrar_returns(bench)
    assert bench.state() is S.STOPPED


async def test_a_local_start_lets_that_guest_alone_through(bench: Bench) -> None:
    await bench.running(OTHER)
    bench.hold("launch")
    await bench.send(bench.build())
    await cut_off(bench)
    await bench.clock.advance(60)
    assert bench.state() is S.LAUNCHING
    await order(bench, a_stop(guest=OTHER))
    await bench.until(lambda: bench.state(OTHER) is S.STOPPED)
    await order(bench, a_start(URN_2, OTHER), alone=True)
    await bench.until(lambda: bench.state(OTHER) is S.RUNNING)
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is S.LAUNCHING
    await order(bench, a_start(), alone=True)  # on its way, and held up by the gate alone
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_a_start_that_fails_says_why(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    bench.hypervisor.fail("launch", Broken("no memory"))
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.STOPPED)
    here = await ask(bench, GuestAwaited(guest=GUEST), GuestHere)
    assert here.fault == Broken("no memory").fault() == action(bench).fault


# --- when the registrar returns


async def test_what_was_started_here_is_left_running(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING)
    await registrar_returns(bench)
    assert (bench.state(), boots(bench), bench.guest().boot_count) == (S.RUNNING, 2, 2)


async def test_what_was_deleted_meanwhile_is_deleted(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING)
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed, delete_urn="delete-9")
    await registrar_returns(bench)
    assert bench.state() is None
    assert bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None


async def test_what_was_given_away_meanwhile_is_quarantined(bench: Bench) -> None:
    await stopped_and_cut_off(bench)
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING)
    elsewhere = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere)
    await registrar_returns(bench)
    assert (bench.state(), bench.guest().power) == (S.QUARANTINED, Power.OFF)
    with pytest.raises(Conflict):
        await order(bench, a_start(URN_3), alone=True)


# --- after a power cut


async def both_ran_when_the_power_went(bench: Bench) -> None:
    for guest in (GUEST, OTHER):
        await bench.running(guest)
        deed = Deed(guest=guest, project=PROJECT, number=1, host=bench.store.id, cluster="c", urn="u")
        bench.intents[guest] = Intent(guest=guest, deed=deed)
    await cut_off(bench, boot="second boot")
    await bench.clock.advance(PERIOD_S)


async def test_after_a_power_cut_the_list_shows_what_is(bench: Bench) -> None:
    await both_ran_when_the_power_went(bench)
    here = await ask(bench, GuestsHere(), HostHere)
    assert {(guest.state, guest.power) for guest in here.guests} == {(S.RUNNING, Power.CRASHED)}


@pytest.mark.parametrize(
    ("command", "name"), [(a_start(), "start"), (a_reboot(), "reboot"), (a_reboot(how=RebootKind.SOFT), "reboot")]
)
async def test_after_a_power_cut_a_guest_is_started_here_and_the_others_later(
    bench: Bench, command: Start | Reboot, name: str
) -> None:
    await both_ran_when_the_power_went(bench)
    await order(bench, command, alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING and boots(bench) == 2)
    assert (action(bench).action, action(bench).fault) == (name, None)
    assert boots(bench, OTHER) == 1
    await registrar_returns(bench)
    assert (boots(bench), bench.guest().boot_count) == (2, 2)
    assert (boots(bench, OTHER), bench.state(OTHER)) == (2, S.RUNNING)


async def test_after_a_power_cut_a_guest_that_was_stopped_here_stays_off(bench: Bench) -> None:
    await both_ran_when_the_power_went(bench)
    await order(bench, a_stop(grace_s=60))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await registrar_returns(bench)
    assert (bench.state(), boots(bench)) == (S.STOPPED, 1)
    assert (bench.state(OTHER), boots(bench, OTHER)) == (S.RUNNING, 2)


async def test_a_guest_started_after_a_power_cut_is_known_to_run_by_the_next_process(bench: Bench) -> None:
    await both_ran_when_the_power_went(bench)
    await order(bench, a_start(), alone=True)
    await bench.until(lambda: bench.state() is S.RUNNING and boots(bench) == 2)
    await bench.kill()
    await bench.open()
    await bench.clock.advance(PERIOD_S)
    bench.hypervisor.crash(GUEST)
    await bench.until(lambda: bench.state() is S.CRASHED)
    assert bench.state(OTHER) is S.RUNNING, "the registrar hasn't been heard about it"
    await registrar_returns(bench)
    assert bench.state() is S.CRASHED
    assert (bench.state(OTHER), boots(bench, OTHER)) == (S.RUNNING, 2)


# --- the host itself


async def test_the_host_is_drained_at_its_own_machine_with_nobody_above(bench: Bench) -> None:
    await bench.running()
    await cut_off(bench)
    stands = await ask(bench, Drain(urn=URN, host="another", user="mallory", reason="fans"), HostStands)
    assert stands == HostStands(name="h", enabled=False, reason="fans", guests=1)
    assert not bench.host().enabled
    (entry,) = [e for e in bench.store.told_about(URN).entries if e.kind == "host"]
    assert entry.cause == URN
    stands = await ask(bench, Undrain(urn=URN_2, host="", user=""), HostStands)
    assert stands.enabled and bench.host().disabled_reason == ""


async def test_an_order_to_the_host_has_a_urn(bench: Bench) -> None:
    with pytest.raises(BadRequest, match="URN"):
        await ask(bench, Drain(urn="x", host="", user=""), HostStands)
    assert bench.host().enabled
