"""A role that ends is started again, a few times, with pauses that grow; anything else ends the process."""

import asyncio

import pytest

from freehold.assemble.running import RoleFailed
from freehold.cli.run import FIRST_PAUSE_S, RESTARTS_MAX, RESTARTS_WITHIN_S, supervised
from freehold.vocabulary.errors import BadRequest


class Pauses:
    """A clock on which pauses pass at once, and are kept."""

    def __init__(self) -> None:
        self.now_s, self.slept = 0.0, list[float]()

    def unix_ms(self) -> int:
        return round(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


async def test_a_stuck_role_is_opened_again_and_the_next_life_ends_in_order() -> None:
    clock, lives = Pauses(), list[int]()

    async def live() -> None:
        lives.append(len(lives))
        if len(lives) < 3:
            raise RoleFailed("stuck")

    await supervised(asyncio.Event(), live, clock)
    assert (len(lives), clock.slept) == (3, [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S])


async def test_too_many_restarts_end_the_process_and_old_ones_don_t_count() -> None:
    clock, lives = Pauses(), list[float]()

    async def live() -> None:
        lives.append(clock.now_s)
        clock.now_s += RESTARTS_WITHIN_S if len(lives) <= 3 else 0.0
        raise RoleFailed("stuck")

    with pytest.raises(RoleFailed):
        await supervised(asyncio.Event(), live, clock)
    assert len(lives) == 3 + RESTARTS_MAX


async def test_what_a_restart_can_t_mend_isn_t_tried_again_and_a_stop_ends_the_pause() -> None:
    clock, stop = Pauses(), asyncio.Event()

    async def wrong() -> None:
        raise BadRequest("the settings are wrong")

    with pytest.raises(BadRequest):
        await supervised(stop, wrong, clock)
    assert not clock.slept

    async def fails_while_stopping() -> None:
        stop.set()
        raise RoleFailed("stuck")

    await asyncio.wait_for(supervised(stop, fails_while_stopping, clock), 5)
