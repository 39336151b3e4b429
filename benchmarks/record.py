"""What a measurement found, printed and kept as JSON: with the machine, its load, and the commit that was measured."""

import json
import os
import platform
import subprocess
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


def machine() -> dict[str, Any]:
    """Where it was measured, and what else went on there."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    return {
        "cores": os.cpu_count(),
        "processor": model.partition(": ")[2],
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _commit() -> str:
    command = ("git", "describe", "--always", "--dirty")
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return done.stdout.strip() or "unknown"
