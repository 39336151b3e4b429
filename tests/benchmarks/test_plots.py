"""The charts of the page, and what they are made of."""

import pytest

from benchmarks import plots

CURVE = {"curve": [{"hosts": 1000, "decision_us_p50": 5.5, "decision_us_p99": 9.0, "of_a_cluster_us_p99": 8.0}]}


def test_the_page_shows_what_was_measured() -> None:
    page = plots.PAGE.read_text()
    assert plots.redrawn(page, plots.kept) == page, "python -m benchmarks.plots draws it anew"


def test_a_chart_has_each_point_of_each_line() -> None:
    page = "before\n<!-- plot decisions -->\nan old chart\n<!-- end -->\nafter\n"
    drawn = plots.redrawn(page, lambda _figure: CURVE)
    assert "an old chart" not in drawn and drawn.startswith("before\n") and drawn.endswith("after\n")
    assert [line.strip() for line in drawn.splitlines() if "line [" in line] == [
        "line [5.5]",
        "line [9.0]",
        "line [8.0]",
    ]
    assert plots.redrawn(drawn, lambda _figure: CURVE) == drawn


def test_a_place_for_what_nobody_draws_is_told() -> None:
    with pytest.raises(ValueError, match="no plot nothing"):
        plots.redrawn("<!-- plot nothing -->\n<!-- end -->\n", lambda _figure: CURVE)
