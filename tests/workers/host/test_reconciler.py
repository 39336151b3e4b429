"""What a look at the machine finds that nobody has told."""

from freehold.drivers.hypervisor.interface import DiskPlan, Nic, Plan
from freehold.store.database import put
from freehold.vocabulary.guest import GuestState, Power
from freehold.vocabulary.host import NOTHING
from freehold.vocabulary.request import Intent
from freehold.workers.host.reconciler import PERIOD_S, TIDY_PERIOD_S
from tests.workers.host.bench import GUEST, IMAGE, OTHER, Bench, a_wiring, delete

S = GuestState


async def made_behind_our_back(bench: Bench, guest: str, *, running: bool) -> None:
    plan = DiskPlan(guest=guest, base=bench.folder / "none", base_format="raw", size_gib=1)
    await bench.hypervisor.make_disk(plan)
    if running:
        nic = Nic(port=guest, mac="fa:16:3e:00:00:01", tap="t", mtu=1450)
        await bench.hypervisor.launch(Plan(guest=guest, name="x", vcpus=1, ram_mib=64, nics=(nic,)))


async def test_a_port_of_nobody_is_unplugged_when_it_was_seen_twice(bench: Bench) -> None:
    await bench.running()
    await bench.fabric.plug(a_wiring(OTHER), "x")
    await bench.clock.advance(PERIOD_S)
    assert await bench.fabric.plugged() == frozenset({GUEST, OTHER})
    await bench.clock.advance(PERIOD_S)
    assert await bench.fabric.plugged() == frozenset({GUEST})


async def test_a_guest_without_a_record_is_never_killed(bench: Bench) -> None:
    await bench.ask(delete(OTHER))  # not even if it was refused here
    await made_behind_our_back(bench, OTHER, running=True)
    await bench.clock.advance(5 * PERIOD_S)
    held = bench.hypervisor.look(OTHER)
    assert held is not None and held.power is Power.RUNNING


async def test_a_disk_without_a_record_is_never_removed_by_inference(bench: Bench) -> None:
    await made_behind_our_back(bench, OTHER, running=False)
    await bench.clock.advance(5 * PERIOD_S)
    assert bench.hypervisor.look(OTHER) is not None


async def test_a_disk_without_a_record_is_removed_when_the_registrar_knows_that_its_guest_has_ended(
    bench: Bench,
) -> None:
    """This host's disk was put back to when the guest was being built, and was then lost."""
    await made_behind_our_back(bench, OTHER, running=False)
    await made_behind_our_back(bench, GUEST, running=False)
    bench.intents[OTHER] = Intent(guest=OTHER, ended=True)
    bench.intents[GUEST] = Intent(guest=GUEST)
    await bench.clock.advance(5 * PERIOD_S)
    assert bench.hypervisor.look(OTHER) is None
    assert bench.hypervisor.look(GUEST) is not None


async def test_files_of_a_guest_that_was_ended_here_are_removed(bench: Bench) -> None:
    await bench.ask(delete(OTHER))
    await made_behind_our_back(bench, OTHER, running=False)
    await bench.clock.advance(3 * PERIOD_S)
    assert bench.hypervisor.look(OTHER) is None


async def test_a_guest_whose_files_are_gone_has_crashed_and_says_so(bench: Bench) -> None:
    await bench.running()
    await bench.hypervisor.remove(GUEST)
    await bench.clock.advance(PERIOD_S)
    fault = bench.guest().fault
    assert bench.state() is S.CRASHED
    assert fault is not None and "disk is gone" in fault.message


async def test_a_use_that_is_not_the_sum_is_corrected(bench: Bench) -> None:
    await bench.running()
    host = bench.host()
    await bench.store.commit([put(host.id, type(host)(id=host.id, name="h", cluster="c", total=host.total))], "bug")
    assert bench.host().used == NOTHING
    await bench.clock.advance(PERIOD_S)
    bench.check()


async def test_images_are_kept_for_a_day_after_their_last_use(bench: Bench) -> None:
    await bench.running()
    await bench.clock.advance(PERIOD_S)
    await bench.ask(delete())
    await bench.until(lambda: bench.state() is None)
    bench.clock.now_s += 2 * TIDY_PERIOD_S
    await bench.clock.advance(PERIOD_S)
    await bench.send(bench.build(OTHER))
    await bench.until(lambda: bench.state(OTHER) is S.RUNNING)
    assert bench.images.fetched == [IMAGE]
    await bench.ask(delete(OTHER))
    bench.clock.now_s += 30 * 3600
    await bench.clock.advance(PERIOD_S)
    third = "77777777-7777-4888-9999-000000000000"
    await bench.running(third)
    assert bench.images.fetched == [IMAGE, IMAGE]
