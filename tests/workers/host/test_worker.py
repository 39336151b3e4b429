"""A host, as those who ask it things and follow its records see it."""

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.errors import Broken, Conflict, NotFound
from freehold.vocabulary.guest import (
    Action,
    ConsoleLog,
    ConsoleOutput,
    GuestState,
    Labels,
    Power,
    RebootKind,
    Refusal,
    Relabel,
)
from freehold.workers.host.reconciler import PERIOD_S, REFUSAL_HORIZON_S
from tests.workers.host.bench import (
    GUEST,
    OTHER,
    PROJECT,
    Bench,
    delete,
    reboot,
    settled,
    start,
    stop,
)

S = GuestState

BUILDING = [
    ("fetch", S.FETCHING_IMAGE),
    ("make_disk", S.MAKING_DISK),
    ("plug", S.WIRING),
    ("launch", S.LAUNCHING),
]


# --- deleting


@pytest.mark.parametrize(("verb", "state"), BUILDING)
async def test_a_delete_ends_a_build_wherever_it_is(bench: Bench, verb: str, state: GuestState) -> None:
    bench.hold(verb)
    await bench.send(bench.build())
    assert bench.state() is state
    await bench.ask(delete(deed=3))
    if verb == "fetch":
        await bench.until(lambda: bench.state() is None)  # it doesn't wait for the image
    bench.release(verb)
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().deleted and bench.refusal().deed == 3
    assert bench.hypervisor.look(GUEST) is None
    assert await bench.fabric.plugged() == frozenset()
    await bench.send(bench.build(deed=4), told=False)  # a build that comes late
    assert bench.state() is None


async def test_a_delete_removes_everything(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    await bench.ask(delete())
    await bench.ask(delete())
    await bench.until(lambda: bench.state() is None)
    assert bench.guests() == {OTHER: S.RUNNING}
    assert await bench.fabric.plugged() == frozenset({OTHER})
    assert {action.guest for action in bench.store.scan(Action)} == {OTHER}
    assert bench.host().guests == 1
    bench.check()


async def test_deleting_what_is_not_here_keeps_a_late_build_away(bench: Bench) -> None:
    await bench.ask(delete(deed=2))
    seq = bench.store.position().seq
    await bench.ask(delete(deed=2))
    assert bench.store.position().seq == seq
    await bench.send(bench.build(deed=2), told=False)
    assert bench.guests() == {}
    assert bench.refusal().deleted


async def test_refusals_are_forgotten_after_their_horizon(bench: Bench) -> None:
    await bench.ask(delete())
    bench.clock.now_s += REFUSAL_HORIZON_S - 60
    await bench.clock.advance(PERIOD_S)
    assert bench.refusal().deleted
    bench.clock.now_s += 7200
    await bench.clock.advance(PERIOD_S)
    assert bench.store.scan(Refusal) == []


# --- commands and power


async def test_stop_asks_first_and_start_runs_it_again(bench: Bench) -> None:
    await bench.running()
    done = await bench.ask(stop())
    assert done.store == bench.store.id and done.position.seq <= bench.store.position().seq
    await bench.until(lambda: bench.state() is S.STOPPED)
    assert bench.guest().power is Power.OFF and bench.guest().deadline is None
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.guest().boot_count == 2
    actions = {action.action: action for action in bench.store.scan(Action, f"{GUEST}/")}
    assert set(actions) == {"create", "stop", "start"}
    assert all(action.finished and action.fault is None for action in actions.values())


async def test_stop_pulls_the_plug_of_a_deaf_guest_after_its_grace(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.deaf.add(GUEST)
    await bench.ask(stop(grace_s=60))
    await bench.clock.advance(59)
    assert bench.state() is S.SHUTTING_DOWN
    await bench.clock.advance(2)
    assert bench.state() is S.STOPPED


async def test_the_grace_of_a_stop_outlives_the_process(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.deaf.add(GUEST)
    await bench.ask(stop(grace_s=60))
    await bench.kill()
    await bench.clock.advance(61)
    await bench.open()
    await bench.until(lambda: bench.state() is S.STOPPED)


async def test_a_soft_reboot_lets_the_guest_shut_down(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.shutdown_s = 5
    await bench.ask(reboot(RebootKind.SOFT))
    assert bench.state() is S.REBOOTING_SOFT
    await bench.clock.advance(6)
    assert (bench.state(), bench.guest().boot_count) == (S.RUNNING, 2)


async def test_a_soft_reboot_of_a_deaf_guest_becomes_a_hard_one(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.deaf.add(GUEST)
    await bench.ask(reboot(RebootKind.SOFT))
    await bench.clock.advance(29)
    assert bench.state() is S.REBOOTING_SOFT
    await bench.clock.advance(2)
    assert (bench.state(), bench.guest().boot_count) == (S.RUNNING, 2)


async def test_a_command_asked_twice_is_done_once(bench: Bench) -> None:
    await bench.running()
    await bench.ask(reboot(RebootKind.HARD))
    await bench.until(lambda: bench.state() is S.RUNNING)
    await bench.ask(reboot(RebootKind.HARD))
    await settled()
    assert bench.guest().boot_count == 2


async def test_a_start_that_fails_keeps_the_guest_and_says_why(bench: Bench) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    bench.hypervisor.fail("launch", Broken("no memory"))
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.STOPPED)
    assert bench.guest().fault == Broken("no memory").fault()
    action = bench.store.read_as(Action, f"{GUEST}/start-1")
    assert action is not None and action.fault == Broken("no memory").fault()
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.disk_gib == 10


async def test_power_is_seen(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.power_off(GUEST)
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)
    bench.hypervisor.crash(GUEST)
    await bench.until(lambda: bench.state() is S.CRASHED)
    assert bench.guest().fault is not None
    await bench.ask(start("start-2"))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.guest().fault is None


async def test_power_that_changed_unseen_is_found(bench: Bench) -> None:
    await bench.running()
    await bench.hypervisor.stop(GUEST)  # tells nobody
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is S.STOPPED


async def test_commands_are_for_the_guest_and_its_project_only(bench: Bench) -> None:
    await bench.running()
    with pytest.raises(NotFound):
        await bench.ask(start(project="another-project"))
    with pytest.raises(NotFound):
        await bench.ask(start(guest=OTHER))
    with pytest.raises(NotFound):
        await bench.ask(replace(delete(), project="another-project"))
    with pytest.raises(Conflict, match="running"):
        await bench.ask(start())
    await bench.ask(replace(stop(), project=""))
    assert bench.state() is S.STOPPED


async def test_labels_are_replaced(bench: Bench) -> None:
    await bench.running()
    labels = Labels(name="db", metadata={"a": "b"})
    await bench.ask(Relabel(urn="r", guest=GUEST, user="u", project=PROJECT, labels=labels))
    assert (bench.guest().labels, bench.state()) == (labels, S.RUNNING)


async def test_the_console_is_read_from_its_end(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.print(GUEST, "one\ntwo\nthree\n")

    async def console(lines: int | None, project: str = PROJECT) -> str:
        question = ConsoleLog(guest=GUEST, project=project, lines=lines)
        return (await talk.ask(bench.bus, subjects.ask_host(bench.store.id), question, ConsoleOutput)).text

    assert await console(2) == "two\nthree\n"
    assert await console(0) == ""
    assert (await console(None)).endswith("one\ntwo\nthree\n")
    with pytest.raises(NotFound):
        await console(1, "another-project")


async def test_metadata_is_the_asking_ports_guests(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    answer = await bench.fabric.ask_metadata(OTHER, "/latest/meta-data/instance-id")
    assert (answer.status, answer.body) == (200, OTHER.encode())
    await bench.kill()
    await bench.open()
    assert (await bench.fabric.ask_metadata(GUEST, "/latest/meta-data/instance-id")).body == GUEST.encode()
