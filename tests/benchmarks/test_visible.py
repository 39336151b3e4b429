"""The short form of the benchmark: what it counts holds on any machine."""

from benchmarks import visible


async def test_whatever_hosts_commit_is_shown() -> None:
    figures = await visible.measured(hosts=4, clusters=2, rates=[40], for_s=2.0)
    (at_rate,) = figures["curve"]
    assert at_rate["commits"] > 40
    assert at_rate["missing"] == 0


def test_what_is_shown_late_is_counted_from_its_commit() -> None:
    landed = {"a": [[1, 0], [2, 1_000_000], [4, 2_000_000]]}
    shown = {"a": [[2, 3_000_000], [5, 9_000_000]]}
    assert visible.delays_ms(landed, shown) == [3.0, 2.0, 7.0]
    assert visible.missing(landed, shown) == 0
    assert visible.missing({"a": [[6, 0]], "b": [[1, 0]]}, shown) == 2
