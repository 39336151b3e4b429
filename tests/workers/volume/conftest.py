"""The bench, for every test of the role."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workers.volume.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.open()
    yield made
    await made.end()
