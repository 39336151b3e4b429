"""The short form of the benchmark: that it measures decisions as they are made, and all of them."""

from pathlib import Path

from benchmarks import decisions


def test_a_decision_is_what_looking_at_one_host_after_the_other_would_find(tmp_path: Path) -> None:
    fleet = decisions.fleet_of(200, 3, tmp_path)
    found, best = fleet.choose(decisions.WANTED), decisions.plain(fleet.hosts())
    assert found is not None and best is not None
    assert found.free().ram_mib == best.free().ram_mib
    assert len(fleet.choose_many(decisions.WANTED, decisions.BATCH)) == decisions.BATCH


def test_the_figures_are_of_each_size() -> None:
    figures = decisions.measured(100, 50)
    assert figures["hosts"] == 100
    assert 0 < figures["decision_us_p50"] <= figures["decision_us_p99"]
    assert 0 < figures["with_traits_us_p50"] <= figures["with_traits_us_p99"]
    assert figures["batched_per_s"] > 0
