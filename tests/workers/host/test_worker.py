"""A host, as those who send it builds, ask it, and follow its records see it."""

import asyncio

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.store.database import put
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, NotFound, Unavailable
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
from freehold.vocabulary.request import Intent
from freehold.vocabulary.secret import Secret
from freehold.workers.host.reconciler import PERIOD_S, REFUSAL_HORIZON_S
from tests.workers.host.bench import (
    GUEST,
    IMAGE,
    OTHER,
    PROJECT,
    WEB,
    WEB_GROUP,
    Bench,
    a_port,
    a_spec,
    a_wiring,
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


# --- building


async def test_a_build_comes_to_run(bench: Bench) -> None:
    guest = await bench.running()
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.RUNNING and held.boots == 1 and held.disk_gib == 10
    assert guest.power is Power.RUNNING and guest.launched and not guest.working_for and guest.fault is None
    assert bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 80)
    assert not bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 22)
    action = bench.store.read_as(Action, f"{GUEST}/{guest.urn}")
    assert action is not None and action.action == "create" and action.finished and action.fault is None


async def test_secrets_stay_out_of_the_log(bench: Bench) -> None:
    await bench.send(bench.build(user_data=Secret("c2VjcmV0LWRhdGE="), admin_password=Secret("pass-word")))
    await bench.until(lambda: bench.state() is S.RUNNING)
    told = bench.store.told_about(GUEST).entries
    assert told
    for entry in told:
        for secret in (b"the-image-key", b"c2VjcmV0LWRhdGE=", b"pass-word"):
            assert secret not in (entry.value or b"")


async def test_the_same_build_again_is_the_same_guest(bench: Bench) -> None:
    await bench.running()
    seq = bench.store.position().seq
    await bench.send(bench.build(), told=False)
    held = bench.hypervisor.look(GUEST)
    assert bench.store.position().seq == seq
    assert held is not None and held.boots == 1


async def test_a_higher_deed_that_names_us_is_adopted(bench: Bench) -> None:
    await bench.running()
    await bench.send(bench.build(deed=2), told=False)
    assert (bench.guest().deed, bench.state()) == (2, S.RUNNING)


async def test_no_room_is_refused_on_disk(bench: Bench) -> None:
    await bench.running()
    await bench.send(bench.build(OTHER, spec=a_spec(ram_mib=3073)))
    assert bench.refusal(OTHER).fault.code == "NoRoom"
    assert bench.state(OTHER) is None
    await bench.kill()
    await bench.open()
    await bench.send(bench.build(OTHER), told=False)  # room enough, but under a deed that was refused
    assert bench.refusal(OTHER).deed == 1
    assert bench.state(OTHER) is None
    await bench.send(bench.build(OTHER, deed=2), told=False)
    await bench.until(lambda: bench.state(OTHER) is S.RUNNING)


async def test_what_fits_exactly_fits(bench: Bench) -> None:
    await bench.send(bench.build(spec=a_spec(ram_mib=4096)))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.host().free().ram_mib == 0


@pytest.mark.parametrize("wrong", ["host", "guest", "expired", "no deed", "no id"])
async def test_builds_that_are_not_ours_are_dropped(bench: Bench, wrong: str) -> None:
    build = bench.build()
    deed = build.deed
    assert deed is not None
    match wrong:
        case "host":
            build = replace(build, deed=replace(deed, host="another"))
        case "guest":
            build = replace(build, deed=replace(deed, guest=OTHER))
        case "expired":
            build = replace(build, expires=1)
        case "no deed":
            build = replace(build, deed=None)
        case "no id":
            build = replace(build, guest="../x", deed=replace(deed, guest="../x"))
    await bench.send(build, told=False)
    assert bench.guests() == {}
    assert bench.store.scan(Refusal) == []


@pytest.mark.parametrize("verb", ["make_disk", "launch"])
async def test_a_build_that_fails_is_taken_apart_and_refused(bench: Bench, verb: str) -> None:
    bench.hypervisor.fail(verb, Broken("the disk is on fire"))
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().fault.message == "the disk is on fire" and not bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None
    assert await bench.fabric.plugged() == frozenset()
    assert bench.store.scan(Action) == [] and bench.store.scan_private("build_secret") == []
    bench.check()


async def test_a_port_that_cannot_be_plugged_refuses_the_build(bench: Bench) -> None:
    bench.fabric.fail_plug = Broken("no bridge")
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().fault.message == "no bridge"


async def test_an_image_that_cannot_be_fetched_is_tried_again_with_a_fresh_key_and_then_refused(bench: Bench) -> None:
    bench.images.faults[IMAGE] = Unavailable("no server")
    await bench.send(bench.build())
    await bench.clock.advance(1.5)
    assert bench.state() is S.FETCHING_IMAGE
    await bench.clock.advance(20)
    assert bench.state() is None
    assert bench.refusal().fault.message == "no server"


async def test_an_image_server_that_comes_back_is_waited_for(bench: Bench) -> None:
    bench.images.faults[IMAGE] = Unavailable("no server")
    await bench.send(bench.build())
    del bench.images.faults[IMAGE]
    await bench.clock.advance(2)
    assert bench.state() is S.RUNNING


async def test_a_removal_that_fails_is_tried_again(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.fail("remove", Broken("busy"))
    await bench.ask(delete())
    await settled()
    assert (bench.state(), bench.guest().fault) == (S.DELETING, Broken("busy").fault())
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is None
    assert bench.refusal().deleted


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


# --- a process that ends


@pytest.mark.parametrize(("verb", "state"), BUILDING)
async def test_a_killed_host_goes_on_where_it_was(bench: Bench, verb: str, state: GuestState) -> None:
    bench.hold(verb)
    await bench.send(bench.build())
    assert bench.state() is state
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed)
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.state() is S.RUNNING)
    held = bench.hypervisor.look(GUEST)
    assert list(bench.guests()) == [GUEST]
    assert held is not None and held.boots == 1
    bench.check()


async def test_a_killed_host_finishes_a_delete(bench: Bench) -> None:
    await bench.running()
    bench.hold("remove")
    await bench.ask(delete())
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None


async def test_guests_run_on_and_are_not_started_again(bench: Bench) -> None:
    await bench.running()
    seq = bench.store.position().seq
    await bench.kill()
    await bench.open()
    await bench.clock.advance(PERIOD_S)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    assert bench.state() is S.RUNNING
    assert bench.store.position().seq == seq + 1  # the host's own record


async def test_a_restarted_machine_runs_what_ran(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.kill()
    bench.hypervisor.restart_machine("second boot")
    await bench.open()
    await bench.until(lambda: bench.guest(OTHER).boot_count == 2)
    held = bench.hypervisor.look(OTHER)
    assert held is not None and held.boots == 2 and bench.state(OTHER) is S.RUNNING
    assert bench.state() is S.STOPPED
    assert bench.host().boot == "second boot"


async def test_no_guest_is_started_before_the_registrar_was_asked(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    bench.hypervisor.restart_machine("second boot")
    await bench.open()
    await bench.clock.advance(60)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    assert bench.state() is S.RUNNING, "what it was isn't forgotten while nobody answers"
    asking = asyncio.create_task(bench.ask(start()))
    await settled()
    await bench.clock.advance(4)
    with pytest.raises(Unavailable):
        await asking
    bench.intents[GUEST] = Intent(guest=GUEST, deed=bench.build().deed, delete_urn="delete-9")
    await bench.open_registrar()
    await bench.clock.advance(60)
    assert bench.state() is None
    assert bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None


async def test_a_guest_given_to_another_host_is_stopped_and_its_disk_kept(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    elsewhere = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.intents[GUEST] = Intent(guest=GUEST, deed=elsewhere)
    await bench.open()
    await bench.until(lambda: bench.guest().power is Power.OFF)
    assert bench.state() is S.QUARANTINED
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.OFF and held.disk_gib == 10
    assert await bench.fabric.plugged() == frozenset()
    with pytest.raises(Conflict):
        await bench.ask(start())


async def test_a_guest_unknown_to_the_registrar_is_left(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    await bench.open()
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is S.RUNNING


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


# --- security groups


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


async def test_metadata_is_the_asking_ports_guests(bench: Bench) -> None:
    await bench.running()
    await bench.running(OTHER)
    answer = await bench.fabric.ask_metadata(OTHER, "/latest/meta-data/instance-id")
    assert (answer.status, answer.body) == (200, OTHER.encode())
    await bench.kill()
    await bench.open()
    assert (await bench.fabric.ask_metadata(GUEST, "/latest/meta-data/instance-id")).body == GUEST.encode()


async def test_a_disk_too_small_for_its_image_is_refused(bench: Bench) -> None:
    offer = bench.build().image
    assert offer is not None
    await bench.send(bench.build(image=replace(offer, virtual_bytes=11 << 30)))
    assert bench.refusal().fault.code == BadRequest.__name__
