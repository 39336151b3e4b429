"""What owners say and what is kept of it: in one transaction, and no more than a fallen host should be able to fill."""

import pytest

from freehold.vocabulary.guest import GuestState
from freehold.workers.notifier import gathering
from tests.workers.notifier.bench import URL, Bench

S = GuestState


async def test_a_host_fills_no_disk_with_guests_that_arent_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "HELD_MAX", 3)
    monkeypatch.setattr(gathering, "HELD_OF_GUEST_MAX", 2)
    await bench.hook()
    for number in range(10):
        await bench.run(f"stranger-{number}", S.RUNNING, S.STOPPED, S.RUNNING, S.STOPPED)
    await bench.idle()
    assert len(bench.store.scan_private("held")) <= 8


async def test_of_projects_that_tell_nobody_only_the_last_record_is_kept(bench: Bench) -> None:
    await bench.hook(project="q")
    await bench.admit("g", "p")
    await bench.run("g", S.RUNNING, S.STOPPED, project="p")
    await bench.idle()
    written = bench.store.commits
    assert bench.store.scan_private("seen_guest") == [], "nobody is told: it needn't be on disk yet"
    await bench.later()
    assert len(bench.store.scan_private("seen_guest")) == 1
    assert bench.store.scan_private("waiting") == bench.store.scan_private("held") == []
    await bench.later()
    assert bench.store.commits == written + 1, "nothing new was seen"


async def test_what_was_not_written_yet_is_read_again_after_a_crash(bench: Bench) -> None:
    """Who subscribes after it isn't told of it; who does in time misses nothing."""
    await bench.hook(project="q")
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    assert bench.store.scan_private("seen_guest") == []
    await bench.hook(types=("freehold.guest.*",))
    await bench.restart(killed=True)
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.stopped"]


async def test_where_it_stands_is_on_disk_with_what_follows(bench: Bench) -> None:
    """Every prefix of its commits is one after which a new process tells what is left, and nothing twice."""
    await bench.hook(types=("freehold.guest.*",))
    await bench.admit("g")
    for state in (S.RUNNING, S.STOPPED, S.RUNNING, S.STOPPED):
        await bench.run("g", state)
        await bench.restart(killed=True)
        await bench.idle()
    told = [body["id"] for body in bench.receivers[URL].bodies()]
    types = list(dict.fromkeys(zip(told, bench.receivers[URL].types(), strict=True)))
    assert [kind for _, kind in types] == ["guest.active", "guest.stopped"] * 2


async def test_an_old_copy_of_a_guest_holds_up_nothing_of_the_guest(bench: Bench) -> None:
    """It was evacuated, and the host that it had left came back; then it is on that host again."""
    await bench.hook(types=("freehold.guest.*",))
    await bench.admit("g", host="another host")
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert bench.store.scan_private("held") == []
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.active"]


async def test_what_was_held_and_turns_out_to_be_of_an_old_copy_is_let_go_of(bench: Bench) -> None:
    """It was read before the ledger, which had given the guest to another host meanwhile."""
    await bench.hook(types=("freehold.guest.*",))
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert len(bench.store.scan_private("held")) == 1
    await bench.admit("g", host="another host")
    await bench.idle()
    assert bench.store.scan_private("held") == []
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.active"]
