"""What hasn't ended is pursued: with pauses that grow, at once when something happened, and never too much at once."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.runtime.tasks import Tasks
from freehold.runtime.watchdog import Watchdog
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Fault, Unavailable
from freehold.vocabulary.guest import Delete
from freehold.vocabulary.request import Admission, Build, Idempotency, Request, Stage
from freehold.vocabulary.units import clock_time
from freehold.workers.registrar.due import FIRST_RETRY_S, RETRY_S_MAX, Due
from freehold.workers.registrar.fences import Fences
from freehold.workers.registrar.reconciler import CARRIED_AT_ONCE_MAX, Reconciler
from freehold.workers.registrar.records import Records
from tests.owners import HandClock, a_build, a_deed, means_of, store_at, turns, until

STEP_S = 0.25
FAULT = Fault(code="NoRoom", message="full")


class Attentive(Due):
    """It looks at the clock whenever the loop turns, not a few times in a real second."""

    async def wait(self) -> None:
        await asyncio.sleep(0)


class Pursuit:
    """A reconciler over records that are written by hand; time moves in steps. (when, what) it sent is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, HandClock()
        self.means = means_of(clock=self.clock)
        self.began_s = self.clock.now_s
        self.builds: list[tuple[float, Build]] = []
        self.deletes: list[tuple[float, str]] = []
        self.asked_at_once = self.asked_at_once_most = 0
        self.host = asyncio.Event()
        self.host.set()
        self.host_well = True

    async def open(self) -> None:
        self.store = await store_at(self.folder / "s.db", self.means)
        self.records, self.tasks = Records(self.store), Tasks("t")
        fences = Fences(self.records, self.clock)
        self.reconciler = Reconciler(self.means, self.records, self.tasks, Watchdog("registrar", self.clock), fences)
        self.reconciler._due = Attentive(self.clock, self.means.chance)

        async def image_worker(build: Build) -> None:
            self.builds.append((self.now(), build))

        await talk.hear(self.means.bus, subjects.BUILD_IMAGE, Build, image_worker)
        await talk.serve(self.means.bus, subjects.ask_host("h1"), Delete, self._delete, "host")
        self.tasks.start("reconciler", self.reconciler.run())

    async def _delete(self, delete: Delete) -> Done:
        self.deletes.append((self.now(), delete.guest))
        self.asked_at_once += 1
        self.asked_at_once_most = max(self.asked_at_once_most, self.asked_at_once)
        await self.host.wait()
        self.asked_at_once -= 1
        if not self.host_well:
            raise Unavailable("no")
        return Done(store="h1", position=Position(epoch="e"))

    async def close(self) -> None:
        self.host.set()
        await self.tasks.close()
        await self.store.close()
        await self.means.bus.close()

    def now(self) -> float:
        return self.clock.now_s - self.began_s

    def admit(self, guest: str, deadline_s: float = 3600, **fields: Any) -> Admission:
        expires = clock_time(self.clock.unix_ms() + round(deadline_s * 1000))
        build = a_build(guest=guest, urn=f"urn:{guest}", expires=expires)
        line = Request(urn=build.urn, project="p", user="u", action="create", guest=guest, created=1, expires=expires)
        self.records.admit([build], [line], "", Idempotency(body_digest="", guests=(guest,), urn=build.urn))
        return self.change(guest, **fields) if fields else self.admission(guest)

    def admission(self, guest: str) -> Admission:
        found = self.records.admission(guest)
        assert found is not None
        return found

    def change(self, guest: str, **fields: Any) -> Admission:
        before = self.admission(guest)
        self.records.moved(before, replace(before, **fields), "t", 1)
        return self.admission(guest)

    def doomed(self, guest: str) -> None:
        self.admit(guest, deed=a_deed(guest, 1, "h1", f"urn:{guest}"), delete_urn="urn:d", stage=Stage.ACTIVE)

    async def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.move(STEP_S)
            await turns(12)
        assert self.tasks.failed is None


@pytest.fixture
async def pursuit(tmp_path: Path) -> AsyncIterator[Pursuit]:
    made = Pursuit(tmp_path)
    await made.open()
    yield made
    await made.close()


def check_pauses(times: list[float]) -> None:
    """The first soon; then pauses that double, with jitter, up to the longest."""
    assert times[0] <= 2 * STEP_S
    for tries, (before, after) in enumerate(pairwise(times)):
        pause = min(FIRST_RETRY_S * 2**tries, RETRY_S_MAX)
        assert 0.8 * pause - STEP_S <= after - before <= 1.2 * pause + STEP_S, (tries, times)


async def test_the_pauses_between_builds_grow_up_to_a_bound(pursuit: Pursuit) -> None:
    pursuit.admit("g")
    pursuit.reconciler.wake("g")
    await pursuit.pass_s(400)
    times = [when for when, _ in pursuit.builds]
    check_pauses(times)
    assert 8 <= len(times) <= 14


async def test_the_pauses_between_deletes_grow_too(pursuit: Pursuit) -> None:
    pursuit.host_well = False
    pursuit.doomed("g")
    pursuit.reconciler.wake("g")
    await pursuit.pass_s(400)
    check_pauses([when for when, _ in pursuit.deletes])


async def test_a_wake_is_at_once_and_starts_the_pauses_anew(pursuit: Pursuit) -> None:
    pursuit.admit("g")
    pursuit.reconciler.wake("g")
    await pursuit.pass_s(100)
    pursuit.builds.clear()
    pursuit.reconciler.wake("g")
    woken = pursuit.now()
    await pursuit.pass_s(60)
    check_pauses([when - woken for when, _ in pursuit.builds])


async def test_many_wakes_are_one_try(pursuit: Pursuit) -> None:
    pursuit.admit("g")
    for _ in range(10):
        pursuit.reconciler.wake("g")
    await pursuit.pass_s(STEP_S)
    assert len(pursuit.builds) == 1


async def test_pauses_differ_so_that_many_guests_dont_come_at_once(pursuit: Pursuit) -> None:
    for number in range(20):
        pursuit.admit(f"g{number}")
        pursuit.reconciler.wake(f"g{number}")
    await pursuit.pass_s(STEP_S)
    pursuit.builds.clear()
    await pursuit.pass_s(7)
    assert len({when for when, _ in pursuit.builds}) >= 4


async def test_what_has_ended_is_left_alone(pursuit: Pursuit) -> None:
    deed = a_deed("g", 1, "h1")
    pursuit.admit("running", deed=deed, stage=Stage.ACTIVE)
    pursuit.admit("failed before a deed", stage=Stage.FAILED, fault=FAULT)
    pursuit.admit("failed and refused", stage=Stage.FAILED, fault=FAULT, deed=deed, refused_deed=1)
    for guest in ("running", "failed before a deed", "failed and refused", "unknown"):
        pursuit.reconciler.wake(guest)
    await pursuit.pass_s(100)
    assert not pursuit.builds and not pursuit.deletes


async def test_it_ends_when_the_evidence_is_there(pursuit: Pursuit) -> None:
    pursuit.admit("g")
    pursuit.doomed("d")
    pursuit.reconciler.wake_all()
    await pursuit.pass_s(10)
    pursuit.change("g", stage=Stage.ACTIVE, deed=a_deed("g"))
    pursuit.records.moved(pursuit.admission("d"), None, "t", 1)
    sent = len(pursuit.builds), len(pursuit.deletes)
    assert min(sent) >= 2
    await pursuit.pass_s(200)
    assert (len(pursuit.builds), len(pursuit.deletes)) == sent


async def test_a_failed_build_is_refused_for_good_by_the_host_that_may_have_it(pursuit: Pursuit) -> None:
    pursuit.admit("g", stage=Stage.FAILED, fault=FAULT, deed=a_deed("g", 1, "h1"))
    pursuit.reconciler.wake_all()
    await pursuit.pass_s(1)
    assert [guest for _, guest in pursuit.deletes] == ["g"]


async def test_a_build_says_what_its_ledger_knows(pursuit: Pursuit) -> None:
    pursuit.admit("new")
    pursuit.admit("placed", deed=a_deed("placed", 1, "h1"), stage=Stage.SCHEDULED)
    pursuit.admit("refused", deed=a_deed("refused", 1, "h1"), refused_deed=1, attempts=2, refused_hosts=("h1",))
    pursuit.reconciler.wake_all()
    await pursuit.pass_s(1)
    sent = {build.guest: build for _, build in pursuit.builds}
    assert (sent["new"].attempt, sent["new"].deed, sent["new"].refused) == (1, None, ())
    assert sent["placed"].deed == a_deed("placed", 1, "h1")
    assert (sent["refused"].attempt, sent["refused"].deed, sent["refused"].refused) == (2, None, ("h1",))


async def test_a_deadline_ends_a_build_and_its_host_is_told(pursuit: Pursuit) -> None:
    pursuit.admit("waiting", deadline_s=20)
    pursuit.admit("placed", deadline_s=20, deed=a_deed("placed", 1, "h1"), stage=Stage.SCHEDULED)
    pursuit.reconciler.wake_all()
    await pursuit.pass_s(19)
    assert {pursuit.admission(guest).fault for guest in ("waiting", "placed")} == {None}
    await pursuit.pass_s(40)
    assert {pursuit.admission(guest).stage for guest in ("waiting", "placed")} == {Stage.FAILED}
    assert {guest for _, guest in pursuit.deletes} == {"placed"}
    assert all(when <= 20 for when, _ in pursuit.builds)


async def test_what_is_seen_to_run_while_the_disk_is_waited_for_has_not_failed(
    pursuit: Pursuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    pursuit.admit("g", deadline_s=-1, deed=a_deed("g", 1, "h1"), stage=Stage.BUILDING)
    waits, disk, durable = asyncio.Event(), asyncio.Event(), pursuit.store.durable

    async def slow(position: Position | None = None) -> None:
        waits.set()
        await disk.wait()
        await durable(position)

    monkeypatch.setattr(pursuit.store, "durable", slow)
    pursuing = asyncio.create_task(pursuit.reconciler.pursue("g"))
    await waits.wait()
    pursuit.change("g", stage=Stage.ACTIVE)
    disk.set()
    await pursuing
    assert pursuit.admission("g").stage is Stage.ACTIVE


async def test_after_a_start_everything_is_looked_at(pursuit: Pursuit) -> None:
    pursuit.admit("g")
    pursuit.doomed("d")
    await pursuit.pass_s(5)
    assert not pursuit.builds
    pursuit.reconciler.wake_all()
    await pursuit.pass_s(STEP_S)
    assert [build.guest for _, build in pursuit.builds] == ["g"]
    assert [guest for _, guest in pursuit.deletes] == ["d"]


async def test_so_many_deletes_are_carried_at_once_and_no_more(pursuit: Pursuit) -> None:
    count = CARRIED_AT_ONCE_MAX + 40
    pursuit.host.clear()
    for number in range(count):
        pursuit.doomed(f"d{number:03}")
        pursuit.reconciler.wake(f"d{number:03}")
    await pursuit.pass_s(1)
    assert len(pursuit.deletes) == pursuit.asked_at_once_most == CARRIED_AT_ONCE_MAX
    await pursuit.pass_s(4)
    assert len(pursuit.deletes) == CARRIED_AT_ONCE_MAX, "one that is on its way isn't sent a second time"
    pursuit.host.set()
    await pursuit.pass_s(2)
    assert {guest for _, guest in pursuit.deletes} == {f"d{number:03}" for number in range(count)}
    assert pursuit.asked_at_once_most == CARRIED_AT_ONCE_MAX


async def test_waiting_for_a_turn_is_no_try(pursuit: Pursuit) -> None:
    pursuit.host.clear()
    for number in range(CARRIED_AT_ONCE_MAX):
        pursuit.doomed(f"d{number:03}")
        pursuit.reconciler.wake(f"d{number:03}")
    await pursuit.pass_s(1)
    pursuit.doomed("last")
    pursuit.reconciler.wake("last")
    await pursuit.pass_s(50)
    pursuit.host_well = False
    pursuit.host.set()
    began = pursuit.now()
    await pursuit.pass_s(40)
    times = [when - began for when, guest in pursuit.deletes if guest == "last"]
    check_pauses(times)
    assert len(times) >= 3, "its turns were counted as tries"


async def test_a_host_that_is_away_for_weeks_is_asked_to_the_end(pursuit: Pursuit) -> None:
    pursuit.host_well = False
    pursuit.doomed("g")
    for _ in range(2000):
        await pursuit.reconciler.pursue("g")
        await turns(12)
    asked = len(pursuit.deletes)
    assert asked >= 2000
    await pursuit.pass_s(1.2 * RETRY_S_MAX + 1)
    assert asked < len(pursuit.deletes) <= asked + 2
    await until(lambda: pursuit.asked_at_once == 0)
