"""The part as a whole: it follows volume workers over the bus, and its registrar asks it and tidies it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, NotFound
from freehold.vocabulary.volume import Volume, VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import (
    AdmitVolume,
    DeleteVolume,
    ExtendVolume,
    VolumeAdmission,
    VolumeAdmitted,
    VolumeStage,
)
from freehold.workers.refused import KEPT_MS
from freehold.workers.registrar.volumes.lifecycle import is_unfinished
from freehold.workers.registrar.worker import ENDED_HORIZON_MS, TIDY_PERIOD_S
from tests.owners import turns, until
from tests.workers.registrar.bench import Bench as Registrar
from tests.workers.registrar.volumes.bench import a_place, an_admission, at_once
from tests.workers.volume.bench import Bench as Pool
from tests.workers.volume.bench import a_take

ASKED = AdmitVolume(project="p", user="u", spec=VolumeSpec(size_gib=2), labels=VolumeLabels(name="disk"))
S = VolumeStage


class Both:
    """A registrar and a volume worker on one bus; no scheduler, whose choice is written by hand."""

    def __init__(self, folder: Path) -> None:
        self.registrar, self.pool = Registrar(folder), Pool(folder)
        self.pool.means, self.pool.clock = self.registrar.means, self.registrar.clock

    async def open(self) -> None:
        await self.registrar.begin()
        self.registrar.worker.volumes._reconciler._due.wait = at_once  # type: ignore[method-assign]
        await self.pool.open()

    async def close(self) -> None:
        await self.pool.close()
        await self.registrar.end()

    async def ask(self, question: AdmitVolume | DeleteVolume | ExtendVolume, answer: type = Done) -> object:
        return await talk.ask(self.registrar.bus, subjects.ask_shard(0), question, answer)

    def admission(self, identifier: str) -> VolumeAdmission | None:
        return self.registrar.store.read_as(VolumeAdmission, identifier)

    def is_pursued(self, identifier: str) -> bool:
        found = self.admission(identifier)
        return found is not None and is_unfinished(found)

    async def active(self) -> str:
        """A volume that was made in the pool."""
        answer = await self.ask(ASKED, VolumeAdmitted)
        assert isinstance(answer, VolumeAdmitted)
        records, before = self.registrar.worker.volumes.records, self.admission(answer.id)
        assert before is not None
        place = replace(a_place(), store=self.pool.store.id)
        records.moved(before, replace(before, place=place, stage=S.PLACED), "a choice", 1)
        self.registrar.worker.volumes._reconciler.wake(answer.id)
        await until(lambda: (found := self.admission(answer.id)) is not None and found.stage is S.ACTIVE)
        return answer.id


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    made = Both(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_volume_from_its_admission_to_its_end(both: Both) -> None:
    identifier = await both.active()
    assert both.pool.volume(identifier).spec.size_gib == 2
    await both.ask(ExtendVolume(id=identifier, project="p", urn="urn:g", size_gib=5))
    await until(lambda: (found := both.admission(identifier)) is not None and not found.grow_urn)
    assert both.pool.volume(identifier).spec.size_gib == 5
    await both.ask(DeleteVolume(id=identifier, project="p", urn="urn:d"))
    await until(lambda: both.admission(identifier) is None)
    assert both.pool.gone(identifier) and not both.registrar.worker.volumes.records.used("p").total()


async def test_what_was_told_while_the_registrar_was_away_is_read(both: Both) -> None:
    identifier = await both.active()
    await both.registrar.close()
    held = both.pool.volume(identifier)
    both.pool.worker._records.keep(replace(held, spec=VolumeSpec(size_gib=9)), "grown")
    await both.registrar.open()
    await both.registrar.moving(lambda: (found := both.admission(identifier)) is not None and found.spec.size_gib == 9)


async def test_a_pool_whose_store_is_an_old_copy_takes_up_what_it_has(both: Both, tmp_path: Path) -> None:
    await both.pool.close()
    copies = {path: path.read_bytes() for path in tmp_path.glob("volume.db*") if path.is_file()}
    await both.pool.open()
    identifier = await both.active()
    both.pool.write(identifier, 0, b"kept")
    await both.pool.close()
    for path in tmp_path.glob("volume.db*"):
        path.unlink()
    for path, content in copies.items():
        path.write_bytes(content)
    await both.pool.open()
    assert both.pool.store.read_as(Volume, identifier) is None
    await both.registrar.moving(lambda: both.pool.store.read_as(Volume, identifier))
    assert both.pool.volume(identifier).state is VolumeState.AVAILABLE
    await both.registrar.moving(lambda: not both.is_pursued(identifier))
    assert both.pool.pool.volumes[identifier].now() == {0: b"kept"}


async def test_what_is_refused_reaches_who_asks(both: Both) -> None:
    with pytest.raises(NotFound):
        await both.ask(DeleteVolume(id="unknown", project="p", urn="urn:d"))
    identifier = await both.active()
    await both.pool.ask(a_take(volume=identifier))
    with pytest.raises(Conflict, match="snapshots"):
        await both.ask(DeleteVolume(id=identifier, project="p", urn="urn:e"))


async def test_what_has_ended_and_what_was_refused_are_let_go_of(both: Both) -> None:
    records = both.registrar.worker.volumes.records
    records.moved(an_admission(), None, "test", 1)
    with pytest.raises(NotFound):
        await both.ask(DeleteVolume(id="unknown", project="p", urn="urn:d"))
    assert records.has_ended("v") and both.registrar.store.scan_private("refused_request")
    await turns()
    both.registrar.clock.now_s += (KEPT_MS + ENDED_HORIZON_MS) / 1000
    both.registrar.clock.move(TIDY_PERIOD_S)
    await until(lambda: not both.registrar.store.scan_private("refused_request"))
    assert not records.has_ended("v")
