"""The notifier's bench."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workers.notifier.bench import Bench, benched


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(tmp_path) as made:
        yield made
