"""Which shards aren't asked for more builds, and for how long."""

import pytest

from freehold.api.backlog import PAUSE_S, Backlog
from freehold.vocabulary.errors import Busy
from tests.owners import HandClock


def test_a_shard_that_is_busy_is_left_alone_for_a_moment_and_others_are_not() -> None:
    clock = HandClock()
    made = Backlog(clock)
    made.check(0)
    made.said(0, Busy("not now"))
    with pytest.raises(Busy, match="not now"):
        made.check(0)
    made.check(1)
    clock.now_s += PAUSE_S
    made.check(0)
