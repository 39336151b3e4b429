"""The simulated cache: what is its own."""

from pathlib import Path

import pytest

from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import Unavailable
from tests.contract.test_imagefetch import IMAGE, offer


async def test_without_a_folder_it_touches_nothing() -> None:
    path = await SimulatedImageCache(SystemClock()).fetch(offer(IMAGE))
    assert not path.exists()


async def test_planted_faults_last_until_they_are_taken_away(tmp_path: Path) -> None:
    cache = SimulatedImageCache(SystemClock(), tmp_path)
    cache.faults[IMAGE] = Unavailable("the server sleeps.")
    with pytest.raises(Unavailable):
        await cache.fetch(offer(IMAGE))
    del cache.faults[IMAGE]
    assert (await cache.fetch(offer(IMAGE))).is_file()
    assert cache.fetched == [IMAGE]
