"""Times: one integer that orders, and the forms that clients read."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.vocabulary.units import GIB, KIB, MIB, clock_time, iso_micros, iso_millis, iso_seconds, unix_ms

UNTIL_2200_MS = 7_258_118_400_000
MS = st.integers(0, UNTIL_2200_MS)
COUNTER = st.integers(0, 2**16 - 1)


@given(ms=MS, counter=COUNTER)
def test_a_clock_time_holds_its_milliseconds(ms: int, counter: int) -> None:
    assert unix_ms(clock_time(ms, counter)) == ms


@given(one=st.tuples(MS, COUNTER), other=st.tuples(MS, COUNTER))
def test_clock_times_order_as_milliseconds_then_counters(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (clock_time(*one) < clock_time(*other)) == (one < other)
    assert clock_time(*one) < 2**63, "it fits where a database keeps it"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (iso_seconds, "2026-11-23T22:41:06Z"),
        (iso_millis, "2026-11-23T22:41:06.123Z"),
        (iso_micros, "2026-11-23T22:41:06.123000"),
    ],
)
def test_the_forms_that_clients_read(form: Callable[[int], str], text: str) -> None:
    assert form(clock_time(1795473666123, 77)) == text


@given(ms=MS)
def test_every_form_is_the_same_moment(ms: int) -> None:
    time = clock_time(ms)
    millis = datetime.strptime(iso_millis(time), "%Y-%m-%dT%H:%M:%S.%f%z")
    micros = datetime.strptime(iso_micros(time), "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
    assert millis == micros and round(millis.timestamp() * 1000) == ms
    assert datetime.strptime(iso_seconds(time), "%Y-%m-%dT%H:%M:%S%z") == millis.replace(microsecond=0)


def test_sizes() -> None:
    assert (KIB, MIB, GIB) == (2**10, 2**20, 2**30)
