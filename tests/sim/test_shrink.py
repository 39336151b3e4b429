"""A failing plan made small."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.sim.plan import Plan, planned
from freehold.sim.shrink import FAIR, few, shrunk, told


@given(st.integers(0, 40), st.sets(st.integers(0, 39), max_size=5))
def test_what_is_needed_is_left_and_nothing_else(count: int, needed: set[int]) -> None:
    needed = {part for part in needed if part < count}
    assert few(range(count), lambda kept: needed <= set(kept)) == tuple(sorted(needed))


def test_a_plan_keeps_the_trouble_and_the_ask_that_make_it_fail() -> None:
    plan = planned(9)
    ask, trouble = plan.asks[11], plan.troubles[5]
    small = shrunk(plan, lambda tried: ask in tried.asks and trouble in tried.troubles)
    assert small == replace(plan, asks=(ask,), troubles=(trouble,), weather=FAIR)
    lines = told(small)
    assert len(lines) == 2 and any(trouble.kind in line for line in lines) and any(ask.what in line for line in lines)


def test_weather_that_is_needed_stays() -> None:
    plan = planned(7)
    assert shrunk(plan, lambda tried: tried.weather == plan.weather).weather == plan.weather


@pytest.mark.parametrize("tries", [0, 1, 10])
def test_it_ends_after_so_many_tries_with_what_fails(tries: int) -> None:
    plan, tried = planned(7), list[Plan]()

    def fails(smaller: Plan) -> bool:
        tried.append(smaller)
        return len(smaller.asks) > 3

    assert len(shrunk(plan, fails, tries).asks) > 3 and len(tried) <= tries
