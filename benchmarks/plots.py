"""Draws the curves of docs/performance.md from what measurements found: charts that a page's reader draws itself.

python -m benchmarks.plots            draws them anew
python -m benchmarks.plots --check    fails if they aren't those of the results
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.record import RESULTS

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance.md"
_PLACE: Final = "<!-- plot {name} -->\n(.*?)<!-- end -->\n"


class Plot(NamedTuple):
    """A chart of a figure's curve: what is on its axes, and the lines in it, each a field of the curve's points."""

    figure: str
    title: str
    x: str
    x_title: str
    y_title: str
    lines: Sequence[str]


PLOTS: Final = {
    "boots": Plot("boots", "CPU of a boot", "guests_there", "guests there", "ms", ("cpu_ms", "cpu_ms_of_commits")),
    "pages": Plot("pages", "A page of 1,000 servers", "guests", "servers in the view", "ms", ("page_ms_p50",)),
    "one": Plot("pages", "One server", "guests", "servers in the view", "ms", ("one_ms_p50", "one_ms_p99")),
    "decisions": Plot(
        "decisions", "A decision", "hosts", "hosts", "us", ("decision_us_p50", "decision_us_p99", "of_a_cluster_us_p99")
    ),
}
"""By the name that their places in the page have."""


def drawn(plot: Plot, curve: Sequence[dict[str, Any]]) -> str:
    """The chart, in Mermaid's words."""
    xs = ", ".join(f'"{point[plot.x]:,}"' for point in curve)
    lines = [
        "```mermaid",
        "xychart-beta",
        f'    title "{plot.title}: {", ".join(plot.lines)}"',
        f'    x-axis "{plot.x_title}" [{xs}]',
        f'    y-axis "{plot.y_title}" 0 --> {max(point[line] for point in curve for line in plot.lines) * 1.1:.3g}',
        *(f"    line [{', '.join(str(point[line]) for point in curve)}]" for line in plot.lines),
        "```",
    ]
    return "\n".join(lines) + "\n"


def redrawn(page: str, result: Callable[[str], dict[str, Any]]) -> str:
    """The page with its charts as the results are. Raises ValueError if a place names no plot."""
    for name in re.findall(r"<!-- plot (\w+) -->", page):
        if name not in PLOTS:
            raise ValueError(f"there is no plot {name}")
        plot = PLOTS[name]
        chart = drawn(plot, result(plot.figure)["curve"])
        placed = f"<!-- plot {name} -->\n{chart}<!-- end -->\n"
        page = re.sub(_PLACE.format(name=name), placed.replace("\\", r"\\"), page, flags=re.DOTALL)
    return page


def kept(figure: str) -> dict[str, Any]:
    """A result that is kept. Raises FileNotFoundError."""
    found: dict[str, Any] = json.loads((RESULTS / f"{figure}.json").read_text())
    return found


def main() -> None:
    """Draws them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    page = PAGE.read_text()
    after = redrawn(page, kept)
    if asked.check and after != page:
        raise SystemExit("the plots aren't those of the results: python -m benchmarks.plots")
    PAGE.write_text(after)


if __name__ == "__main__":
    main()
