"""What a measurement found, printed and kept as JSON: with the machine, its load, and the commit that was measured."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def record(figure: str, figures: dict[str, Any], *, keep: bool = True) -> None:
    """Prints the figures; keeps them under the figure's name, over those of before, unless it was a short form."""
    whole = {"figure": figure, "commit": _commit(), "machine": machine()} | figures
    print(json.dumps(whole))
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{figure}.json").write_text(json.dumps(whole, indent=1) + "\n")


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """How a cost grows with a size: cost ~ size ** exponent."""
    points = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs, strict=True)]
    if len(points) < 2:
        return 0.0
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return round(slope, 3)


def machine() -> dict[str, Any]:
    """Where it was measured, and what else went on there."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    return {
        "cores": os.cpu_count(),
        "processor": model.partition(": ")[2],
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _commit(root: Path = RESULTS.parent) -> str:
    """The commit, and whether anything else was measured than that: results of others don't count."""
    changed = _git(root, "status", "--porcelain", "--", ":/", f":(exclude,top){RESULTS.parent.name}/{RESULTS.name}")
    commit = _git(root, "describe", "--always")
    return f"{commit}{'-dirty' * bool(changed)}" if commit else "unknown"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(("git", *words), capture_output=True, text=True, cwd=folder, check=False)
    return done.stdout.strip()
