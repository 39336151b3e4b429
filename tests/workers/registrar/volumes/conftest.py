"""The bench, for every test of this part; the registrar's own is another's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workers.registrar.volumes.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.begin()
    yield made
    await made.end()
