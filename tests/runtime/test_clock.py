"""Clock times never go back, whatever the machine's clock does and whatever others say."""

from hypothesis import given
from hypothesis import strategies as st

from freehold.runtime.clock import HybridClock, SystemClock
from freehold.vocabulary.units import clock_time, unix_ms
from tests.owners import HandClock

HOUR_S = 3600.0
JUMP_S = st.floats(-2 * HOUR_S, 2 * HOUR_S)


@given(jumps=st.lists(JUMP_S | st.just(0.0), max_size=20))
def test_times_only_go_forward_whatever_the_wall_clock_does(jumps: list[float]) -> None:
    wall = HandClock()
    clock, last = HybridClock(wall), 0
    for jump in jumps:
        wall.now_s += jump
        now = clock.now()
        assert now > last and unix_ms(now) >= wall.unix_ms()
        last = now


@given(steps=st.lists(st.tuples(JUMP_S, st.integers(-7_200_000, 7_200_000)), max_size=20))
def test_times_are_after_everything_heard_unless_it_is_absurd(steps: list[tuple[float, int]]) -> None:
    wall = HandClock()
    clock, last = HybridClock(wall), 0
    for jump, ahead_ms in steps:
        wall.now_s += jump
        heard = clock_time(wall.unix_ms() + ahead_ms, 7)
        clock.heard(heard)
        now = clock.now()
        assert now > last
        assert now > heard or ahead_ms >= 60_000
        last = now


def test_the_wall_clock_is_followed_when_it_is_ahead() -> None:
    wall = HandClock()
    clock = HybridClock(wall)
    first = clock.now()
    assert first == clock_time(wall.unix_ms())
    assert clock.now() == first + 1, "within one millisecond it counts"
    wall.move(0.5)
    assert clock.now() == clock_time(wall.unix_ms())


def test_a_clock_set_back_is_counted_on_from() -> None:
    wall = HandClock()
    clock = HybridClock(wall)
    before = clock.now()
    wall.now_s -= HOUR_S
    assert [clock.now() for _ in range(3)] == [before + 1, before + 2, before + 3]
    wall.now_s += HOUR_S + 1
    assert clock.now() == clock_time(wall.unix_ms())


def test_a_clock_that_must_be_wrong_takes_nobody_along() -> None:
    wall = HandClock()
    clock = HybridClock(wall)
    clock.heard(clock_time(wall.unix_ms() + 60_001))
    assert clock.now() == clock_time(wall.unix_ms())
    clock.heard(clock_time(wall.unix_ms() + 60_000))
    assert clock.now() == clock_time(wall.unix_ms() + 60_000) + 1
    clock.heard(clock_time(wall.unix_ms() + 120_000), ahead_ms_max=120_000)
    assert unix_ms(clock.now()) == wall.unix_ms() + 120_000


def test_an_old_time_changes_nothing() -> None:
    clock = HybridClock(HandClock())
    before = clock.now()
    clock.heard(before - 1000)
    assert clock.now() == before + 1


async def test_the_machines_clock() -> None:
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.unix_ms() < 10_000_000_000_000
    before = clock.monotonic_s()
    await clock.sleep(0.01)
    assert clock.monotonic_s() - before >= 0.009
