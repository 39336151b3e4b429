"""The short form of the benchmark: what it counts holds on any machine."""

from benchmarks import idle


async def test_hosts_that_have_nothing_to_say_are_asked_nothing() -> None:
    figures = await idle.measured(hosts=4, clusters=2, for_s=8.0)
    assert (figures["questions"], figures["resyncs"]) == (0, 0)
    assert figures["heartbeats_a_second"] > 0
