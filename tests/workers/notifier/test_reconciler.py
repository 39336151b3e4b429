"""What is over is let go of: leases, what was never given, and what was remembered of guests that are gone."""

from freehold.vocabulary.guest import GuestState
from freehold.workers.notifier.lifecycle import LATE_S
from freehold.workers.notifier.reconciler import COMPACT_EVERY
from tests.owners import until
from tests.workers.notifier.bench import OTHER_URL, URL, Bench

S = GuestState


async def a_day(bench: Bench) -> None:
    """A day passes, with the looks that fall into it."""
    bench.clock.move(LATE_S + 60.0)
    for _ in range(COMPACT_EVERY + 1):
        await bench.worker._reconciler.look()


async def test_what_the_ledger_never_gave_is_dropped_after_a_day(bench: Bench) -> None:
    await bench.hook()
    await bench.run("stranger", S.RUNNING)
    await bench.idle()
    assert len(bench.store.scan_private("held")) == 1
    await bench.worker._reconciler.look()
    assert len(bench.store.scan_private("held")) == 1
    await a_day(bench)
    assert bench.store.scan_private("held") == [] and bench.worker._records.held == {}
    await bench.admit("stranger")
    await bench.idle()
    assert [one for one in bench.receivers[URL].types() if one.startswith("guest")] == []


async def test_a_host_that_tells_late_of_a_guest_that_is_gone_is_believed_for_a_day(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.stopped", "freehold.guest.active"))
    for guest in ("g", "h"):
        await bench.admit(guest)
        await bench.idle()
        await bench.drop_admission(guest)
        await bench.idle()
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.stopped"]
    await a_day(bench)
    assert bench.store.scan_private("gone") == []
    await bench.run("h", S.STOPPED)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.stopped"]


async def test_a_lease_that_has_run_out_is_gone_from_the_disk(bench: Bench) -> None:
    feed = await bench.feed()
    await bench.subscribe(feed, OTHER_URL, lease_s=3600)
    await until(lambda: bench.store.scan_private("lease"))
    bench.clock.move(3599.0)
    await bench.worker._reconciler.look()
    assert bench.store.scan_private("lease")
    bench.clock.move(2.0)
    await bench.worker._reconciler.look()
    assert bench.store.scan_private("lease") == []


async def test_what_was_delivered_leaves_nothing_waiting(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    await bench.admit("g")
    await bench.run("g", S.RUNNING, S.STOPPED)
    await bench.idle()
    await until(lambda: bench.worker.queues.targets() == [])
    assert bench.store.scan_private("waiting") == [] and len(bench.store.scan_private("tried")) == 2
    await bench.store.durable()
    await bench.store.compact(tail=1)
    left = bench.store.moment().execute("SELECT count(*) FROM private WHERE value IS NULL").fetchone()
    assert left[0] <= 1
