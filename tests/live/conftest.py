"""A pool of volumes on files, with hosts that may read it, for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.volumestore.files import FileVolumeStore
from tests.contract.test_volumestore import A, Attachments, B
from tests.contract.volume_bench import FilesBench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FilesBench]:
    bench = FilesBench(tmp_path)
    try:
        yield bench
    finally:
        await bench.clean()


@pytest.fixture
async def store(bench: FilesBench) -> AsyncIterator[FileVolumeStore]:
    store = bench.store()
    for host in (A, B):
        await bench.host(store, host)
    yield store
    await store.close()


@pytest.fixture
def attachments(bench: FilesBench, store: FileVolumeStore) -> Attachments:
    return Attachments(bench, store)
