"""What people call volumes and snapshots, and what an operator says of their state."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.volume import LabelSnapshot, LabelVolume, ResetState, VolumeLabels, VolumeState
from freehold.workers.volume.labels import labelled
from freehold.workers.volume.records import Records
from tests.owners import means_of, store_at
from tests.workers.volume.bench import OTHER, SNAPSHOT, VOLUME, a_snapshot, a_volume

S = VolumeState
NEW = VolumeLabels(name="new", description="about it", metadata={"a": "b"})


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    store = await store_at(tmp_path / "v.db", means_of(), role="volume")
    made = Records(store, lambda: 7)
    made.keep(a_volume(size_gib=3), "test")
    made.keep(a_snapshot(), "test")
    yield made
    await store.close()


@pytest.mark.parametrize("bootable", [False, True])
async def test_a_volume_is_called_otherwise_and_nothing_else_of_it_changes(records: Records, bootable: bool) -> None:
    assert labelled(records, LabelVolume(volume=VOLUME, labels=NEW, bootable=bootable), 9) == VOLUME
    spec = replace(a_volume(size_gib=3).spec, bootable=bootable)
    assert records.volume(VOLUME) == a_volume(size_gib=3, labels=NEW, spec=spec, updated=9)


async def test_a_snapshot_is_called_otherwise(records: Records) -> None:
    assert labelled(records, LabelSnapshot(snapshot=SNAPSHOT, labels=NEW), 9) == SNAPSHOT
    assert records.snapshot(SNAPSHOT) == a_snapshot(labels=NEW, updated=9)


@pytest.mark.parametrize("identifier", [VOLUME, SNAPSHOT])
async def test_an_operator_says_that_it_is_in_error_and_available_again(records: Records, identifier: str) -> None:
    for state in (S.ERROR, S.AVAILABLE):
        assert labelled(records, ResetState(id=identifier, state=state), 9) == identifier
        found = records.volume(identifier) or records.snapshot(identifier)
        assert found is not None and found.state is state


async def test_what_may_not_be_said_changes_nothing(records: Records) -> None:
    records.keep(a_volume(OTHER, state=S.DELETING), "test")
    with pytest.raises(Conflict):
        labelled(records, ResetState(id=OTHER, state=S.AVAILABLE), 9)
    with pytest.raises(BadRequest):
        labelled(records, ResetState(id=VOLUME, state=S.DELETING), 9)
    assert records.volume(OTHER) == a_volume(OTHER, state=S.DELETING)
    assert records.volume(VOLUME) == a_volume(size_gib=3)


async def test_what_is_not_there_is_not_found(records: Records) -> None:
    for asked in (
        LabelVolume(volume=SNAPSHOT, labels=NEW, bootable=False),
        LabelSnapshot(snapshot=VOLUME, labels=NEW),
        ResetState(id=OTHER, state=S.ERROR),
    ):
        with pytest.raises(NotFound):
            labelled(records, asked, 9)
