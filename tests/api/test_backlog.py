"""How often a shard is asked for guests that has little room, or none."""

import pytest

from freehold.api.backlog import AMPLE, PAUSE_S, PAUSES_KNOWN, Backlog
from freehold.vocabulary.errors import Busy
from tests.owners import HandClock


def refused(backlog: Backlog, shard: int) -> str:
    with pytest.raises(Busy) as told:
        backlog.enter(shard)
    return told.value.message


def test_a_shard_that_is_busy_is_left_alone_for_a_moment_and_others_are_not() -> None:
    clock = HandClock()
    made = Backlog(clock)
    made.enter(0)
    with pytest.raises(Busy), made.asking(0):
        raise Busy("not now")
    assert refused(made, 0) == "not now"
    made.enter(1)
    clock.now_s += PAUSE_S
    made.enter(0)


def test_after_the_moment_one_request_is_let_through_and_the_next_a_moment_later() -> None:
    clock = HandClock()
    made = Backlog(clock)
    made.has_room(0, 0)
    for _ in range(3):
        clock.now_s += PAUSE_S
        made.enter(0)
        assert refused(made, 0)


@pytest.mark.parametrize("room", [0, 2])
def test_what_was_said_long_ago_keeps_nobody_away(room: int) -> None:
    clock = HandClock()
    made = Backlog(clock)
    made.has_room(0, room)
    clock.now_s += PAUSES_KNOWN * PAUSE_S
    for _ in range(2 * AMPLE):
        made.enter(0)


def test_as_many_are_let_through_as_the_shard_has_said() -> None:
    made = Backlog(HandClock())
    made.has_room(0, 2)
    made.enter(0)
    made.enter(0)
    assert refused(made, 0)
    made.has_room(0, 1)
    made.enter(0)
    assert refused(made, 0)


def test_what_was_asked_and_isnt_answered_takes_of_the_room_that_is_told() -> None:
    made = Backlog(HandClock())
    with made.asking(0), made.asking(0):
        made.has_room(0, 3)
        made.enter(0)
        assert refused(made, 0)
        with made.asking(0):
            made.has_room(0, 2)
        assert refused(made, 0)
    made.has_room(0, 1)
    made.enter(0)
    assert refused(made, 0)


def test_a_question_that_failed_isnt_open_any_more() -> None:
    made = Backlog(HandClock())
    with pytest.raises(RuntimeError), made.asking(0):
        raise RuntimeError
    made.has_room(0, 1)
    made.enter(0)


def test_a_shard_with_room_for_all_isnt_counted() -> None:
    made = Backlog(HandClock())
    made.has_room(0, 1)
    made.has_room(0, AMPLE)
    for _ in range(2 * AMPLE):
        made.enter(0)
