"""What every place for backups promises (see freehold/drivers/backup/interface.py)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.leased import LeasedBackups
from freehold.drivers.backup.pick import backups_at
from freehold.drivers.backup.sealed import Keys, SealedBackups, new_key
from freehold.drivers.backup.simulated import Shelf, SimulatedBackups
from freehold.drivers.places.secrets import read_secrets
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.place import Place, place_of
from tests.servers import SERVERS, Server

STORE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"

Process = Callable[[], Backups]


MEMBERS = ("folder", "simulated", "sealed", *SERVERS)


@pytest.fixture(params=MEMBERS)
def process(request: pytest.FixtureRequest, tmp_path: Path, started: Callable[[str], Server]) -> Process:
    """Makes one more process's door to the same place."""
    shelf, keys, numbers = Shelf(), Keys([new_key()]), count()
    if request.param == "simulated":
        return lambda: SimulatedBackups(shelf)
    if request.param == "sealed":
        return lambda: SealedBackups(SimulatedBackups(shelf), keys)
    place, secrets = Place(kind="folder", path=str(tmp_path / "deep" / "backup")), {}
    if request.param in SERVERS:
        server = started(request.param)
        found = place_of(apart(server.url, request.node.name))
        assert found is not None
        place, secrets = found, read_secrets(found, server.secrets)
    return lambda: backups_at(place, secrets, SystemClock(), offload_inline, f"process {next(numbers)}")


def apart(url: str, name: str) -> str:
    """A part of a server for one test alone. Databases have one table: their tests clear up."""
    name = "".join(letter if letter.isalnum() else "-" for letter in name)
    if url.startswith("s3://"):
        return url.replace("/cloud?", f"/{name}?")
    return f"{url}?prefix={name}" if url.startswith("redis") else url


@pytest.fixture(autouse=True)
async def cleared(process: Process) -> AsyncIterator[None]:
    yield
    backups = process()
    if isinstance(backups, LeasedBackups):
        for folder in await backups._objects.folders():
            for name in await backups._objects.names(folder):
                await backups._objects.delete(folder, name)
    await backups.close()


@pytest.fixture
def backups(process: Process) -> Backups:
    return process()


async def test_what_was_written_is_read_back_by_another_process(process: Process) -> None:
    writer = process()
    await writer.hold(STORE)
    await writer.write(STORE, 1, b"one")
    await writer.write(STORE, 2, bytes(range(256)) * 5000)
    await writer.write(STORE, 3, b"")
    reader = process()
    assert await reader.stores() == [STORE]
    assert await reader.numbers(STORE) == [1, 2, 3]
    assert [await reader.read(STORE, number) for number in (1, 2, 3)] == [b"one", bytes(range(256)) * 5000, b""]
    await writer.close()
    await reader.close()


async def test_a_segment_stands_on_the_one_before_it(backups: Backups) -> None:
    """A place that was emptied or put back, and one that forgets, is noticed before more is written there."""
    await backups.hold(STORE)
    with pytest.raises(Conflict, match="no longer has the segment before 2"):
        await backups.write(STORE, 2, b"two")
    for number in range(1, 12):
        await backups.write(STORE, number, b"x")
    await backups.delete(STORE, 1)
    await backups.delete(STORE, 11)
    with pytest.raises(Conflict, match="before 12"):
        await backups.write(STORE, 12, b"x")
    assert await backups.numbers(STORE) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    await backups.close()


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
    again = process()
    assert await again.numbers(STORE) == [1]
    with pytest.raises(Conflict):
        await again.delete(STORE, 1)
    with pytest.raises(Conflict):
        await again.write(STORE, 2, b"nobody's")
    assert await again.numbers(STORE) == [1]
    await again.close()
    await second.close()


async def test_of_two_at_once_one_holds_it(process: Process) -> None:
    for _ in range(5):
        rivals = [process() for _ in range(4)]
        ended = await asyncio.gather(*(rival.hold(STORE) for rival in rivals), return_exceptions=True)
        assert sorted(one is None for one in ended) == [False, False, False, True], ended
        assert all(one is None or isinstance(one, Conflict) for one in ended)
        for rival in rivals:
            await rival.close()


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
