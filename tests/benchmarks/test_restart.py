"""The short form of the benchmark: what it counts holds on any machine."""

from benchmarks import restart


async def test_a_view_that_lacks_the_last_events_asks_for_them_alone() -> None:
    figures = await restart.measured(hosts=3, guests=300, tail=60)
    assert figures["without_view"]["complete_states"] > 3
    for name in ("with_whole_view", "with_view_that_lacks_the_tail"):
        assert figures[name]["complete_states"] == 0, name
    assert figures["with_view_that_lacks_the_tail"]["questions"] > 0
    for name in ("empty", "without_view", "with_whole_view"):  # one that lacks the tail is behind until it has it
        assert figures[name]["wrong_answers"] == 0, name
    assert figures["empty"]["private_bytes"] > 0 and figures["without_view"]["longest_turn_ms"] > 0
