"""Volumes of a host's guests: asked of their owners, given to guests that run, and taken from them again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.drivers.volumereader.simulated import SimulatedVolumeReader
from freehold.vocabulary.attachment import (
    AttachmentNotice,
    Certificate,
    ClaimVolume,
    Export,
    GuestVolume,
    Opened,
    OpenVolume,
    PlugVolume,
    ReleaseVolume,
    RemoteDisk,
    Served,
    UnplugVolume,
)
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Broken, Conflict, Forbidden, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.guest import Action, Power
from freehold.vocabulary.units import GIB
from freehold.vocabulary.word import Word
from freehold.workers.host.messages import HigherDeedKnown
from freehold.workers.host.plugging import AUDIT_S, LAUNCH_S, OWED_S, STRANGE_S
from freehold.workers.host.worker import HostWorker
from tests.workers.host.bench import GUEST, OTHER, PROJECT, Bench, S, a_spec, delete, settled, start, stop

POOL = "00000000-0000-4000-8000-000000000001"
ATTACHMENT, SECOND = "00000000-0000-4000-8000-000000000301", "00000000-0000-4000-8000-000000000302"
VOLUME, SECOND_VOLUME = "00000000-0000-4000-8000-000000000201", "00000000-0000-4000-8000-000000000202"


def a_disk(**fields: Any) -> GuestVolume:
    given: dict[str, Any] = {"attachment": ATTACHMENT, "volume": VOLUME, "urn": "urn:attach", "size_gib": 1}
    return GuestVolume(store=POOL, cluster="c", device="/dev/vdb", **{**given, **fields})


class Plugging(Bench):
    """A host, and a pool's worker. `refuses`: what that answers instead; `number`: what it serves under."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.refuses: dict[type[Word], FreeholdError] = {}
        self.asked: list[Word] = []
        self.number, self.size_gib = 1, 1
        self.reader = SimulatedVolumeReader("")

    async def begin(self) -> None:
        await talk.serve(self.bus, subjects.ask_openings(POOL), AttachmentNotice, self._pool, "volume")
        await super().begin()

    async def open(self) -> None:
        self.store = await self._store("host")
        self.reader = SimulatedVolumeReader(self.store.id)
        drivers = self.hypervisor, self.fabric, self.images
        self.worker = HostWorker(self.means, self.store, "h", *drivers, volumes=self.reader)
        await self.worker.open()
        await self.hear()

    async def _pool(self, question: ClaimVolume | OpenVolume | ReleaseVolume) -> Word:
        self.asked.append(question)
        if type(question) in self.refuses:
            raise self.refuses[type(question)]
        if not isinstance(question, OpenVolume):
            return Done(store=POOL, position=Position(epoch="v"))
        certificate = Certificate(reader=question.host, certificate_pem="", authority_pem="")
        return Opened(served=self.served(question.disk, question.host), certificate=certificate)

    def served(self, disk: GuestVolume, host: str) -> Served:
        export = Export(volume=disk.volume, number=self.number, reader=host)
        return Served(
            export=export,
            host="pool",
            port=10809,
            name=f"{export.volume}.{export.number}",
            description="",
            size_bytes=self.size_gib * GIB,
            server_name="pool",
        )

    async def plug(self, disk: GuestVolume | None = None, guest: str = GUEST, project: str = PROJECT) -> Done:
        question = PlugVolume(guest=guest, project=project, user="u", disk=disk or a_disk())
        return await talk.ask(self.bus, subjects.ask_disk(self.store.id), question, Done)

    async def unplug(self, attachment: str = ATTACHMENT, guest: str = GUEST) -> Done:
        question = UnplugVolume(guest=guest, attachment=attachment, urn="urn:detach", user="u")
        return await talk.ask(self.bus, subjects.ask_disk(self.store.id), question, Done)

    def disks(self, guest: str = GUEST) -> tuple[RemoteDisk, ...]:
        """What the guest itself has."""
        look = self.hypervisor.look(guest)
        return () if look is None else look.disks

    def has(self, guest: str = GUEST) -> dict[str, str]:
        """The same: exports by attachment."""
        return {disk.attachment: disk.export for disk in self.disks(guest)}

    def questions(self, shape: type[Word]) -> list[Any]:
        return [question for question in self.asked if isinstance(question, shape)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Plugging]:
    bench = Plugging(tmp_path)
    await bench.begin()
    try:
        yield bench
        bench.check()
    finally:
        await bench.end()


async def test_a_guest_that_runs_is_given_its_volume_and_shows_it(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bench.has() == {ATTACHMENT: f"{VOLUME}.1"})
    (asked,) = bench.questions(OpenVolume)
    assert (asked.host, asked.guest, asked.deed, asked.project) == (bench.store.id, GUEST, 1, PROJECT)
    assert bench.guest().volumes == (a_disk(),)
    assert bench.store.read_as(Action, f"{GUEST}/urn:attach") is not None
    await bench.plug()
    await settled()
    assert len(bench.questions(OpenVolume)) == 1 and len(bench.guest().volumes) == 1


async def test_an_owner_that_is_away_is_asked_again_until_it_answers(bench: Plugging) -> None:
    await bench.running()
    bench.refuses[OpenVolume] = Unavailable("It is away.")
    await bench.plug()
    await bench.clock.advance(20)
    assert bench.has() == {} and len(bench.questions(OpenVolume)) > 1
    bench.refuses.clear()
    await bench.clock.advance(40)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"}


@pytest.mark.parametrize("error", [NotFound("It has ended."), Forbidden("It is another's."), Conflict("It is taken.")])
async def test_a_volume_that_the_guest_may_not_have_is_dropped_and_its_owner_told(
    bench: Plugging, error: FreeholdError
) -> None:
    await bench.running()
    bench.refuses[OpenVolume] = error
    await bench.plug()
    await bench.until(lambda: not bench.guest().volumes and bool(bench.questions(ReleaseVolume)))
    (released,) = bench.questions(ReleaseVolume)
    assert not released.gone and released.fault.message == error.message and bench.has() == {}
    with pytest.raises(Conflict, match="has let go of it"):
        await bench.plug()


async def test_an_export_that_is_not_what_was_promised_is_seen_by_no_guest_until_it_is(bench: Plugging) -> None:
    await bench.running()
    bench.reader.fail(Conflict("The export isn't the one that was promised."))
    await bench.plug()
    await settled()
    assert bench.has() == {} and bench.guest().volumes == (a_disk(),) and not bench.questions(ReleaseVolume)
    await bench.clock.advance(10)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"}


async def test_a_volume_that_is_taken_is_answered_when_the_guest_has_let_go(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.hypervisor.clinging.add(GUEST)
    asking = talk.ask(
        bench.bus,
        subjects.ask_disk(bench.store.id),
        UnplugVolume(guest=GUEST, attachment=ATTACHMENT, urn="urn:detach", user="u"),
        Done,
    )
    asked = asyncio.create_task(asking)
    await settled()
    assert bench.guest().volumes[0].leaving and bench.has()
    await bench.clock.advance(4)
    with pytest.raises(Unavailable, match="hasn't let go"):
        await asked
    bench.hypervisor.clinging.clear()
    await bench.clock.advance(40)
    assert bench.has() == {} and bench.guest().volumes == ()
    await bench.unplug()
    assert bench.store.read_as(Action, f"{GUEST}/urn:detach") is not None


async def test_a_guest_that_is_off_gets_its_volume_when_it_starts_and_loses_it_at_once(bench: Plugging) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.plug()
    await bench.plug(a_disk(attachment=SECOND, volume=SECOND_VOLUME, urn="urn:second"))
    await settled()
    assert not bench.questions(OpenVolume)
    await bench.unplug(SECOND)
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"}


async def test_a_guest_that_is_started_waits_for_its_volumes_and_gives_up_some_time(bench: Plugging) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.plug()
    bench.refuses[OpenVolume] = Unavailable("It is away.")
    await bench.ask(start())
    await bench.clock.advance(LAUNCH_S / 2)
    assert bench.state() is S.LAUNCHING
    bench.refuses.clear()
    await bench.clock.advance(40)
    assert bench.state() is S.RUNNING and bench.has()
    await bench.ask(stop("stop-2", grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    bench.refuses[OpenVolume] = Broken("Nothing goes.")
    await bench.ask(start("start-2"))
    await bench.clock.advance(LAUNCH_S + 60)
    fault = bench.guest().fault
    assert bench.state() is S.STOPPED and fault is not None and "volumes can't be had" in fault.message


async def test_what_was_served_once_opens_a_volume_whose_owner_is_away(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    bench.refuses[OpenVolume] = Unavailable("It is away.")
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"}


async def test_the_next_process_goes_on_with_what_was_begun(bench: Plugging) -> None:
    await bench.running()
    bench.hold("attach_disk")
    await bench.plug()
    await settled()
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.has() == {ATTACHMENT: f"{VOLUME}.1"})


async def test_a_guest_that_is_deleted_gives_its_volumes_back_when_nothing_of_it_runs(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.hold("remove")
    await bench.ask(delete())
    await settled()
    assert not bench.questions(ReleaseVolume)
    bench.release("remove")
    await bench.until(lambda: bench.state() is None)
    (released,) = bench.questions(ReleaseVolume)
    assert released.gone and (released.volume, released.deed) == (VOLUME, 1)


async def test_a_delete_does_not_wait_for_an_owner_that_is_away(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.refuses[ReleaseVolume] = Unavailable("It is away.")
    await bench.ask(delete())
    await bench.until(lambda: bench.state() is None)
    await bench.kill()
    await bench.open()
    bench.refuses.clear()
    bench.asked.clear()
    await bench.clock.advance(2 * OWED_S)
    assert [asked.gone for asked in bench.questions(ReleaseVolume)] == [True], "the owner is told when it is back"
    await bench.clock.advance(3 * OWED_S)
    assert len(bench.questions(ReleaseVolume)) == 1


async def test_a_volume_that_has_grown_is_shown_so(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    await bench.plug(a_disk(size_gib=3))
    await bench.until(lambda: [disk.size_bytes for disk in bench.disks()] == [3 * GIB])


async def test_each_volume_is_asked_for_now_and_then_and_taken_if_its_owner_does_not_know_it(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    await bench.clock.advance(AUDIT_S + 1)
    assert bench.questions(OpenVolume)[-1].number == 1 and bench.has()
    bench.refuses[OpenVolume] = NotFound("It has ended.")
    await bench.clock.advance(AUDIT_S + 1)
    await bench.until(lambda: not bench.has() and not bench.guest().volumes)


async def test_who_has_no_such_guest_says_so(bench: Plugging) -> None:
    await bench.running()
    for asked in (bench.plug(guest=OTHER), bench.plug(project="another"), bench.unplug(guest=OTHER)):
        with pytest.raises(NotFound):
            await asked
    higher = Deed(guest=GUEST, project=PROJECT, number=2, host="another", cluster="c", urn="u")
    bench.worker._actors.take(GUEST, HigherDeedKnown(higher))
    assert bench.state() is S.QUARANTINED
    with pytest.raises(NotFound):
        await bench.plug()


async def test_a_guest_keeps_its_volume_over_a_crash(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.hypervisor.crash(GUEST)
    await bench.until(lambda: bench.state() is S.CRASHED)
    assert bench.has() == {} and bench.guest().volumes == (a_disk(),)
    await bench.ask(start())
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"} and bench.guest().power is Power.RUNNING


async def test_what_is_served_otherwise_than_the_guest_has_it_is_plugged_anew(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.number = 2
    await bench.clock.advance(AUDIT_S + 1)
    await bench.until(lambda: bench.has() == {ATTACHMENT: f"{VOLUME}.2"})
    assert bench.questions(OpenVolume)[-1].number == 1


async def test_a_guest_that_is_off_has_its_volume_claimed_and_one_that_has_ended_is_let_go(bench: Plugging) -> None:
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.plug()
    await bench.clock.advance(AUDIT_S + 1)
    (claimed,) = bench.questions(ClaimVolume)
    assert claimed.disk == a_disk() and not bench.questions(OpenVolume)
    bench.refuses[ClaimVolume] = NotFound("It has ended.")
    await bench.clock.advance(AUDIT_S + 1)
    await bench.until(lambda: bench.guest().volumes == ())


async def test_a_volume_of_which_there_is_no_record_is_taken_from_its_guest_after_long(bench: Plugging) -> None:
    await bench.running()
    stranger = Opened(
        served=bench.served(a_disk(), bench.store.id),
        certificate=Certificate(reader=bench.store.id, certificate_pem="", authority_pem=""),
    )
    await bench.hypervisor.attach_disk(GUEST, stranger.disk(ATTACHMENT, "/keys"))
    await bench.clock.advance(STRANGE_S - AUDIT_S)
    assert bench.has(), "its owner may say that the guest is to have it"
    await bench.clock.advance(3 * AUDIT_S + 1)
    assert not bench.has()


async def test_a_guest_made_with_volumes_boots_from_one_and_is_refused_without(bench: Plugging) -> None:
    spec = replace(a_spec(), image="", volumes=(a_disk(boot=True),))
    await bench.send(bench.build(spec=spec, image=None))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.has() == {ATTACHMENT: f"{VOLUME}.1"} and [disk.boot for disk in bench.disks()] == [True]
    await bench.kill()
    await bench.open()
    assert bench.state() is S.RUNNING
    bench.refuses[OpenVolume] = Conflict("Another server has it.")
    await bench.send(bench.build(OTHER, spec=spec, image=None))
    await bench.until(lambda: bench.state(OTHER) is None)
    assert "is to start with" in bench.refusal(OTHER).fault.message


async def test_a_guest_that_is_made_waits_for_its_volume_as_long_as_it_is_wanted(bench: Plugging) -> None:
    bench.refuses[OpenVolume] = Unavailable("It isn't there yet.")
    spec = replace(a_spec(), image="", volumes=(a_disk(boot=True),))
    await bench.send(bench.build(spec=spec, image=None))
    await bench.clock.advance(2 * LAUNCH_S)
    assert bench.state() is S.LAUNCHING
    await bench.ask(delete())
    await bench.clock.advance(60)
    assert bench.state() is None


async def test_a_volume_of_another_cluster_is_refused(bench: Plugging) -> None:
    spec = replace(a_spec(), image="", volumes=(replace(a_disk(boot=True), cluster="another"),))
    await bench.send(bench.build(spec=spec, image=None))
    assert "zone another" in bench.refusal().fault.message


async def test_a_guest_that_is_still_shutting_down_has_not_let_go(bench: Plugging) -> None:
    await bench.running()
    await bench.plug()
    await bench.until(lambda: bool(bench.has()))
    bench.hypervisor.deaf.add(GUEST)
    await bench.ask(stop(grace_s=20))
    await bench.until(lambda: bench.state() is S.SHUTTING_DOWN)
    asked = asyncio.create_task(bench.unplug())
    await settled()
    await bench.clock.advance(4)
    with pytest.raises(Unavailable, match="hasn't let go"):
        await asked
    assert bench.has() and bench.guest().volumes[0].leaving, "it may write until it is off"
    await bench.clock.advance(20)
    await bench.until(lambda: bench.state() is S.STOPPED and bench.guest().volumes == ())
