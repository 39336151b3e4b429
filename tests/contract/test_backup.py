"""What every place for backups promises (see freehold/drivers/backup/interface.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.simulated import Shelf, SimulatedBackups
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound

STORE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"

Process = Callable[[], Backups]


@pytest.fixture(params=["folder", "simulated"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Process:
    """Makes one more process's door to the same place."""
    shelf = Shelf()
    if request.param == "simulated":
        return lambda: SimulatedBackups(shelf)
    return lambda: FolderBackups(tmp_path / "deep" / "backup", offload_inline)


@pytest.fixture
def backups(process: Process) -> Backups:
    return process()


async def test_what_was_written_is_read_back_by_another_process(process: Process) -> None:
    writer = process()
    await writer.hold(STORE)
    await writer.write(STORE, 1, b"one")
    await writer.write(STORE, 2, bytes(range(256)) * 5000)
    await writer.write(STORE, 10, b"")
    reader = process()
    assert await reader.stores() == [STORE]
    assert await reader.numbers(STORE) == [1, 2, 10]
    assert [await reader.read(STORE, number) for number in (1, 2, 10)] == [b"one", bytes(range(256)) * 5000, b""]
    await writer.close()


async def test_there_is_nothing_at_first(backups: Backups) -> None:
    assert await backups.stores() == [] and await backups.numbers(STORE) == []
    with pytest.raises(NotFound, match="no segment 1"):
        await backups.read(STORE, 1)
    await backups.hold(STORE)
    assert await backups.stores() == [], "holding is not writing"
    await backups.close()


async def test_a_segment_is_never_written_over(backups: Backups) -> None:
    await backups.hold(STORE)
    await backups.write(STORE, 1, b"first")
    with pytest.raises(Conflict, match="already"):
        await backups.write(STORE, 1, b"second")
    assert await backups.read(STORE, 1) == b"first"
    await backups.close()


async def test_one_process_at_a_time_writes_a_store(process: Process) -> None:
    first, second = process(), process()
    await first.hold(STORE)
    await first.hold(STORE)
    with pytest.raises(Conflict, match="written by its owner"):
        await second.hold(STORE)
    await second.hold(OTHER)
    with pytest.raises(Conflict):
        await second.write(STORE, 1, b"")
    await first.close()
    await second.hold(STORE)
    await second.write(STORE, 1, b"mine")
    with pytest.raises(Conflict):
        await first.delete(STORE, 1)
    assert await first.numbers(STORE) == [1]
    await second.close()


async def test_deleting_takes_one_segment_of_one_store(backups: Backups) -> None:
    for store in (STORE, OTHER):
        await backups.hold(store)
        for number in (1, 2):
            await backups.write(store, number, b"x")
    await backups.delete(STORE, 1)
    await backups.delete(STORE, 1)
    assert await backups.numbers(STORE) == [2] and await backups.numbers(OTHER) == [1, 2]
    await backups.close()


@pytest.mark.parametrize("store", ["../elsewhere", "", STORE.upper().replace("1", "A"), f"{STORE}/..", "registrar"])
async def test_an_id_that_is_none_is_refused(backups: Backups, store: str) -> None:
    for refused in (backups.hold, backups.numbers):
        with pytest.raises(BadRequest):
            await refused(store)
    with pytest.raises(BadRequest):
        await backups.write(store, 1, b"")
    with pytest.raises(BadRequest):
        await backups.read(store, 1)
    with pytest.raises(BadRequest):
        await backups.delete(store, 1)
