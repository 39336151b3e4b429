"""What every reader of volumes promises (`freehold/drivers/volumereader/interface.py`)."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from freehold.drivers.volumereader.interface import VolumeReader
from freehold.drivers.volumereader.nbd import NbdVolumeReader
from freehold.drivers.volumereader.simulated import SimulatedVolumeReader
from freehold.drivers.volumestore.interface import VolumePlan, VolumeStore
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.attachment import Export, Opened
from freehold.vocabulary.errors import Conflict, Forbidden, FreeholdError
from freehold.vocabulary.units import GIB
from tests.contract.volume_bench import FilesBench, SimulatedBench

HOST, OTHER, STORE = (str(uuid.uuid4()) for _ in range(3))


class Bench(Protocol):
    """A pool, and machines that may read it."""

    def store(self) -> VolumeStore: ...
    def reader(self, host: str) -> VolumeReader: ...
    async def clean(self) -> None: ...


class Simulated(SimulatedBench):
    def reader(self, host: str) -> VolumeReader:
        return SimulatedVolumeReader(host)

    async def clean(self) -> None:
        """Nothing is left of it."""


class Nbd(FilesBench):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._readers = folder / "readers"

    def reader(self, host: str) -> VolumeReader:
        return NbdVolumeReader(self._readers / host, offload_inline)


@pytest.fixture(params=["simulated", pytest.param("nbd", marks=pytest.mark.live)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made: Bench = Simulated() if request.param == "simulated" else Nbd(tmp_path)
    try:
        yield made
    finally:
        await made.clean()


@pytest.fixture
async def pool(bench: Bench) -> AsyncIterator[VolumeStore]:
    store = bench.store()
    yield store
    await store.close()


async def opened(pool: VolumeStore, reader: VolumeReader, host: str, number: int = 1) -> Opened:
    """A volume that is served to a host."""
    volume = str(uuid.uuid4())
    await pool.make(VolumePlan(volume=volume, size_bytes=GIB))
    served = await pool.export(Export(volume=volume, number=number, reader=host))
    return Opened(served=served, certificate=await pool.certify(host, await reader.key()))


async def test_what_was_promised_is_accepted_and_says_how_to_open_it(bench: Bench, pool: VolumeStore) -> None:
    reader = bench.reader(HOST)
    told = await opened(pool, reader, HOST)
    attachment = str(uuid.uuid4())
    disk = await reader.accept(attachment, STORE, told)
    assert (disk.attachment, disk.volume, disk.size_bytes) == (attachment, told.served.export.volume, GIB)
    assert (disk.host, disk.port, disk.export) == (told.served.host, told.served.port, told.served.name)
    assert await reader.accept(attachment, STORE, told) == disk
    await reader.close()


async def test_the_key_stays_the_same_and_is_each_machines_own(bench: Bench) -> None:
    key = await bench.reader(HOST).key()
    assert len(key) == 32
    assert await bench.reader(HOST).key() == key != await bench.reader(OTHER).key()


async def test_another_export_than_was_promised_is_refused(bench: Bench, pool: VolumeStore) -> None:
    reader = bench.reader(HOST)
    told, other = await opened(pool, reader, HOST), await opened(pool, reader, HOST)
    mixed = replace(told, served=replace(told.served, name=other.served.name, port=other.served.port))
    with pytest.raises(Conflict, match="isn't the one that was promised"):
        await reader.accept(str(uuid.uuid4()), STORE, mixed)


async def test_what_is_anothers_is_not_opened(bench: Bench, pool: VolumeStore) -> None:
    theirs = await opened(pool, bench.reader(OTHER), OTHER)
    reader = bench.reader(HOST)
    certificate = await pool.certify(HOST, await reader.key())
    with pytest.raises((Forbidden, Conflict)):
        await reader.accept(str(uuid.uuid4()), STORE, replace(theirs, certificate=certificate))
    with pytest.raises(FreeholdError):
        await reader.accept(str(uuid.uuid4()), STORE, theirs)
