"""A short form of `make bench-outage`: the bus goes away under load; when it is back, every reader has everything."""

from benchmarks import outage
from freehold.bus.ears import BACKLOG_MAX
from freehold.bus.nats import OUTBOUND_BYTES_MAX
from freehold.views.follower import ASKED_MAX


async def test_what_was_written_while_the_bus_was_away_is_read_and_nothing_else() -> None:
    found = await outage.main(hosts=40, clusters=2, guests=2, rate=80, down_s=4.0, before_s=1.0)
    assert found["events meanwhile"] > 80, "each host has written something that nobody heard"
    assert found["complete states taken"] == found["complete states taken by hosts"] == 0
    assert found["messages lost to full queues"] == 0
    assert found["guests that the API shows otherwise than they are"] == 0
    queues = found["longest queues of the centre"]
    assert queues["asked at once"] <= ASKED_MAX
    assert queues["backlog"] <= BACKLOG_MAX and queues["outbound bytes"] <= OUTBOUND_BYTES_MAX
