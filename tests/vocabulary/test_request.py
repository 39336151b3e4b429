"""When a build is too late to be worked on: only when neither a delay nor a wrong clock can explain it."""

import pytest

from freehold.vocabulary.request import FORGOTTEN_S, is_forgotten
from freehold.vocabulary.units import clock_time
from tests.owners import a_build

DEADLINE_MS = 1_000_000


@pytest.mark.parametrize(
    ("late_s", "forgotten"), [(-60, False), (0, False), (3600, False), (FORGOTTEN_S - 1, False), (FORGOTTEN_S, True)]
)
def test_a_clock_that_is_an_hour_wrong_forgets_nothing(late_s: int, forgotten: bool) -> None:
    build = a_build(expires=clock_time(DEADLINE_MS))
    assert is_forgotten(build, clock_time(DEADLINE_MS + late_s * 1000)) == forgotten
