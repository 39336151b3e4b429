"""Attachments pursued: hosts are told until they know, what they open is proved, and what has ended is cut off."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.vocabulary.attachment import (
    Attached,
    AttachmentState,
    AttachVolume,
    ClaimVolume,
    DetachVolume,
    DiskQuestion,
    Export,
    Opened,
    OpenVolume,
    PlugVolume,
    ReleaseVolume,
    UnplugVolume,
)
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, Forbidden, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.request import Intent, IntentList, Intents, VolumeNotice
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import Volume
from freehold.vocabulary.word import Word
from freehold.workers.volume.worker import RECONCILE_PERIOD_S
from tests.workers.volume.bench import CAPACITY_GIB, OTHER, VOLUME, Bench, a_grow, a_make, a_remove
from tests.workers.volume.test_attachments import (
    GUEST,
    HOST,
    OTHER_GUEST,
    OTHER_HOST,
    A,
    B,
    a_disk,
    an_attachment,
    an_opening,
)

S = AttachmentState


class Attaching(Bench):
    """A volume worker, two hosts of its cluster, and the registrar. `refuses`: what a host answers instead."""

    async def begin(self) -> None:
        await self.open()
        self.told: list[tuple[str, Word]] = []
        self.refuses: dict[type[Word], FreeholdError] = {}
        self.deeds: dict[str, Deed] = {GUEST: self.deed(), OTHER_GUEST: self.deed(guest=OTHER_GUEST)}
        self.ended: set[str] = set()
        for host in (HOST, OTHER_HOST):
            await talk.serve(self.means.bus, subjects.ask_disk(host), DiskQuestion, self._host(host), "host")
        await talk.serve(self.means.bus, subjects.ask_ledger(0, "volume"), VolumeNotice, self._registrar, "registrar")
        await self.made()

    def deed(self, host: str = HOST, number: int = 1, guest: str = GUEST) -> Deed:
        return Deed(guest=guest, project="p", number=number, host=host, cluster="c", urn="u")

    def _host(self, host: str) -> Any:
        async def answer(question: PlugVolume | UnplugVolume) -> Done:
            self.told.append((host, question))
            if type(question) in self.refuses:
                raise self.refuses[type(question)]
            return Done(store=host, position=Position(epoch="h", seq=len(self.told)))

        return answer

    async def _registrar(self, asked: Intents) -> IntentList:
        intents = (Intent(guest=guest, deed=self.deeds.get(guest), ended=guest in self.ended) for guest in asked.guests)
        return IntentList(intents=tuple(intents))

    # --- what is asked
    async def attach(self, identifier: str = A, guest: str = GUEST, **fields: Any) -> Attached:
        attachment = an_attachment(identifier, guest, **{"cluster": self.store.owner.cluster, **fields})
        question = AttachVolume(volume=VOLUME, project="p", attachment=attachment)
        return await talk.ask(self.means.bus, subjects.ask_volume(self.store.id), question, Attached)

    async def detach(self, identifier: str = A, *, force: bool = False) -> Attached:
        question = DetachVolume(volume=VOLUME, attachment=identifier, urn="urn:end", force=force)
        return await talk.ask(self.means.bus, subjects.ask_volume(self.store.id), question, Attached)

    async def opens(self, question: OpenVolume) -> Opened:
        subject = subjects.ask_opening(self.store.id, question.host)
        return await talk.ask(self.means.bus, subject, question, Opened)

    async def releases(self, *, gone: bool = False, host: str = HOST, deed: int = 1) -> Done:
        question = ReleaseVolume(host=host, guest=GUEST, deed=deed, volume=VOLUME, attachment=A, store="s", gone=gone)
        return await talk.ask(self.means.bus, subjects.ask_opening(self.store.id, host), question, Done)

    # --- what is
    def states(self) -> list[AttachmentState]:
        return [one.state for one in self.volume().attachments]

    def served(self) -> list[tuple[int, str]]:
        return sorted((one.export.number, one.export.reader) for one in self.pool.exports.values())

    def questions(self, shape: type[Word]) -> list[Any]:
        return [question for _, question in self.told if isinstance(question, shape)]

    async def until(self, holds: Any) -> None:
        await self.moving(holds)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Attaching]:
    bench = Attaching(tmp_path)
    await bench.begin()
    try:
        yield bench
    finally:
        await bench.end()


async def test_a_volume_is_attached_when_the_guests_host_has_it_on_its_disk(bench: Attaching) -> None:
    attached = await bench.attach()
    assert bench.states() == [S.ATTACHED] and attached.host is not None and attached.host.store == HOST
    (plug,) = bench.questions(PlugVolume)
    assert (plug.guest, plug.project, plug.disk.volume, plug.disk.size_gib) == (GUEST, "p", VOLUME, 1)
    assert bench.served() == [], "nobody has asked to open it"
    again = await bench.attach()
    assert again.done.key == VOLUME and len(bench.volume().attachments) == 1


async def test_a_host_that_is_not_heard_is_asked_on_also_by_the_next_process(bench: Attaching) -> None:
    bench.refuses[PlugVolume] = Unavailable("It is away.")
    assert (await bench.attach()).host is None
    await bench.until(lambda: len(bench.questions(PlugVolume)) >= 3)
    assert bench.states() == [S.ATTACHING]
    await bench.reopen()
    bench.refuses.clear()
    await bench.until(lambda: bench.states() == [S.ATTACHED])


async def test_what_a_host_refuses_is_over_and_never_made_again(bench: Attaching) -> None:
    bench.refuses[PlugVolume] = Conflict("It has as many as it may.")
    with pytest.raises(Conflict, match="as many"):
        await bench.attach()
    bench.refuses.clear()
    assert bench.states() == []
    with pytest.raises(Conflict, match="has ended"):
        await bench.attach()
    await bench.attach(B)


async def test_a_request_that_was_refused_is_refused_when_it_comes_late(bench: Attaching) -> None:
    await bench.attach()
    with pytest.raises(Conflict, match="another server"):
        await bench.attach(B, OTHER_GUEST)
    await bench.detach()
    assert bench.states() == []
    with pytest.raises(Conflict, match="has ended"):
        await bench.attach(B, OTHER_GUEST)


async def test_a_guest_in_another_zone_gets_none(bench: Attaching) -> None:
    with pytest.raises(Conflict, match="availability zone"):
        await bench.attach(cluster="another")


async def test_the_host_that_holds_the_deed_opens_it_and_nobody_else(bench: Attaching) -> None:
    await bench.attach()
    opened = await bench.opens(an_opening())
    assert (opened.served.export.number, opened.certificate.reader) == (1, HOST)
    assert bench.served() == [(1, HOST)]
    assert (await bench.opens(an_opening())).served == opened.served, "it may be asked again"
    with pytest.raises(Forbidden, match="isn't this host's"):
        await bench.opens(an_opening(host=OTHER_HOST))
    with pytest.raises(Forbidden, match="another's name"):
        asked = replace(an_opening(), host=OTHER_HOST)
        await talk.ask(bench.means.bus, subjects.ask_opening(bench.store.id, HOST), asked, Opened)
    assert bench.served() == [(1, HOST)]


async def test_a_higher_deed_takes_it_over_and_the_old_host_is_cut_off(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    bench.deeds[GUEST] = bench.deed(OTHER_HOST, 2)
    opened = await bench.opens(an_opening(host=OTHER_HOST, deed=2))
    assert opened.served.export.number == 2 and bench.served() == [(2, OTHER_HOST)]
    with pytest.raises(Forbidden, match="higher deed"):
        await bench.opens(an_opening())
    assert bench.served() == [(2, OTHER_HOST)]


async def test_a_crash_between_the_record_and_the_cut_leaves_no_second_reader(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    bench.deeds[GUEST] = bench.deed(OTHER_HOST, 2)
    bench.volumes.fail("withdraw", Unavailable("Not now."))
    with pytest.raises(Unavailable):
        await bench.opens(an_opening(host=OTHER_HOST, deed=2))
    assert bench.volume().cut_off == (1,) and bench.served() == [(1, HOST)]
    await bench.reopen()
    await bench.until(lambda: bench.served() == [])
    await bench.opens(an_opening(host=OTHER_HOST, deed=2))
    assert bench.served() == [(2, OTHER_HOST)] and not bench.volume().cut_off


async def test_what_is_detached_is_free_when_the_guest_has_let_go_and_is_cut_off(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    bench.refuses[UnplugVolume] = Unavailable("The guest is busy.")
    await bench.detach()
    assert bench.states() == [S.DETACHING] and bench.served() == [(1, HOST)]
    with pytest.raises(Conflict, match="being detached"):
        await bench.opens(an_opening())
    bench.refuses.clear()
    await bench.until(lambda: not bench.volume().attachments and not bench.served())
    assert {asked.urn for asked in bench.questions(UnplugVolume)} == {"urn:end"}
    assert (await bench.detach()).done.key == VOLUME, "it may be asked again"
    with pytest.raises(NotFound, match="has ended"):
        await bench.opens(an_opening())


async def test_by_force_it_is_cut_off_whatever_the_host_says(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    bench.refuses[UnplugVolume] = Unavailable("It is away.")
    await bench.detach(force=True)
    await bench.until(lambda: not bench.served())
    assert bench.states() == [] and not bench.questions(UnplugVolume)


async def test_a_guest_that_was_deleted_gives_its_volumes_back(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    for wrong in ({"host": OTHER_HOST}, {"deed": 0}):
        await bench.releases(**wrong)
        assert bench.states() == [S.ATTACHED]
    await bench.releases(gone=True)
    await bench.until(lambda: not bench.served())
    assert bench.states() == [] and bench.volume().spec.size_gib == 1


@pytest.mark.parametrize("told", [True, False])
async def test_a_volume_goes_with_its_guest_if_it_is_to(bench: Attaching, told: bool) -> None:
    await bench.attach(delete_on_termination=True)
    await bench.opens(an_opening())
    if told:
        await bench.releases(gone=True)
    else:  # its host can't be heard any more, and the registrar knows
        bench.ended, bench.deeds = {GUEST}, {}
        bench.refuses[PlugVolume] = NotFound("There is no such guest.")
        bench.clock.move(RECONCILE_PERIOD_S)
    await bench.until(bench.gone)
    assert not bench.served()


async def test_a_guest_that_is_elsewhere_by_now_is_found_there(bench: Attaching) -> None:
    bench.refuses[PlugVolume] = NotFound("There is no such guest.")
    bench.deeds[GUEST] = bench.deed(OTHER_HOST, 2)
    await bench.attach()
    await bench.until(lambda: (OTHER_HOST, "PlugVolume") in [(host, type(q).__name__) for host, q in bench.told])
    bench.refuses.clear()
    await bench.until(lambda: bench.states() == [S.ATTACHED])
    assert bench.volume().attachments[0].host == OTHER_HOST


async def test_a_guest_whose_host_is_dead_is_found_where_it_was_evacuated_to(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    bench.refuses[PlugVolume] = Unavailable("It is dead.")
    bench.deeds[GUEST] = bench.deed(OTHER_HOST, 2)
    bench.clock.move(RECONCILE_PERIOD_S)
    await bench.until(lambda: (OTHER_HOST, "PlugVolume") in [(host, type(q).__name__) for host, q in bench.told])


async def test_what_the_host_has_let_go_of_is_found_to_have_ended(bench: Attaching) -> None:
    """This store was put back to before a detach."""
    await bench.attach()
    await bench.opens(an_opening())
    bench.refuses[PlugVolume] = Conflict("It had it, and let go of it.")
    bench.clock.move(RECONCILE_PERIOD_S)
    await bench.until(lambda: not bench.volume().attachments and not bench.served())


async def test_what_was_lost_here_is_taken_up_by_its_hosts_word(bench: Attaching) -> None:
    """This store was put back to before the volume was attached."""
    await bench.volumes.export(Export(volume=VOLUME, number=4, reader=HOST))
    opened = await bench.opens(an_opening(number=4))
    assert opened.served.export.number == 4 and bench.states() == [S.ATTACHED]
    with pytest.raises(Conflict, match="another server"):
        await bench.attach(B, OTHER_GUEST)


async def test_what_a_host_says_that_its_guest_is_to_have_is_taken_up_and_not_served(bench: Attaching) -> None:
    def a_claim(host: str = HOST) -> ClaimVolume:
        disk = a_disk()
        return ClaimVolume(host=host, cluster="c", guest=GUEST, project="p", deed=1, user="u", disk=disk)

    async def claims(question: ClaimVolume) -> Done:
        subject = subjects.ask_opening(bench.store.id, question.host)
        return await talk.ask(bench.means.bus, subject, question, Done)

    with pytest.raises(Forbidden, match="isn't this host's"):
        await claims(a_claim(OTHER_HOST))
    await claims(a_claim())
    await claims(a_claim())
    assert bench.states() == [S.ATTACHED] and bench.served() == [] and bench.volume().attachments[0].number == 0
    assert (await bench.opens(an_opening())).served.export.number == 1
    await bench.detach()
    with pytest.raises(NotFound, match="has ended"):
        await claims(a_claim())


async def test_a_volume_that_is_not_there_yet_is_waited_for_and_one_that_was_refused_is_not(bench: Attaching) -> None:
    elsewhere = replace(an_opening(), disk=replace(a_disk(), volume=OTHER))
    with pytest.raises(Unavailable, match="isn't there yet"):
        await bench.opens(elsewhere)
    await bench.ask(a_make(OTHER, CAPACITY_GIB + 1))
    with pytest.raises(NotFound, match="has ended"):
        await bench.opens(elsewhere)


async def test_what_nobody_claims_is_cut_off_at_the_second_look(bench: Attaching) -> None:
    await bench.volumes.export(Export(volume=VOLUME, number=4, reader=HOST))
    bench.clock.move(RECONCILE_PERIOD_S)
    await bench.moving(lambda: bench.clock.monotonic_s() > 0)
    assert bench.served() == [(4, HOST)]
    await bench.until(lambda: not bench.served())
    await bench.attach()
    assert (await bench.opens(an_opening())).served.export.number > 4


async def test_what_is_served_to_who_is_not_known_makes_the_next_one_wait(bench: Attaching) -> None:
    await bench.volumes.export(Export(volume=VOLUME, number=4, reader=OTHER_HOST))
    await bench.attach()
    with pytest.raises(Unavailable, match="still served to another"):
        await bench.opens(an_opening())
    assert bench.states() == [S.ATTACHED] and bench.served() == [(4, OTHER_HOST)]
    await bench.until(lambda: not bench.served())
    assert (await bench.opens(an_opening())).served.export.number > 4


async def test_a_volume_in_use_is_not_removed_but_by_force(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    with pytest.raises(Conflict, match="Detach it first"):
        await bench.ask(a_remove(urn="urn:1"))
    await bench.ask(a_remove(urn="urn:2", force=True))
    await bench.until(bench.gone)
    assert not bench.served()
    with pytest.raises(NotFound):
        await bench.opens(an_opening())


async def test_whoever_has_it_learns_that_it_is_larger(bench: Attaching) -> None:
    await bench.attach()
    await bench.opens(an_opening())
    await bench.ask(a_grow(3))
    await bench.until(lambda: bench.questions(PlugVolume)[-1].disk.size_gib == 3)
    assert (await bench.opens(an_opening())).served.size_bytes == 3 * GIB


async def test_another_projects_volume_is_not_found(bench: Attaching) -> None:
    question = AttachVolume(volume=VOLUME, project="another", attachment=an_attachment())
    with pytest.raises(NotFound):
        await talk.ask(bench.means.bus, subjects.ask_volume(bench.store.id), question, Attached)


async def test_bytes_that_are_away_end_no_attachment(bench: Attaching) -> None:
    await bench.attach()
    bench.pool.volumes.pop(VOLUME)
    with pytest.raises(Unavailable, match="aren't in its pool"):
        await bench.opens(an_opening())
    await bench.volumes.make(VolumePlan(volume=VOLUME, size_bytes=GIB))
    assert (await bench.opens(an_opening())).served.export.reader == HOST


async def test_the_record_of_a_volume_says_who_has_it(bench: Attaching) -> None:
    await bench.attach(device="/dev/vdc", tag="data")
    shown = bench.store.read_as(Volume, VOLUME)
    assert shown is not None
    assert (shown.attachments[0].device, shown.attachments[0].tag) == ("/dev/vdc", "data")
