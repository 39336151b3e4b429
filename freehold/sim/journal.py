"""What a long run has played so far, in a file: it can be broken off at any moment and goes on where it was.

One line of JSON for each seed, the first names the code that plays. A run of one code isn't gone on with by another.
"""

import json
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any

from freehold.sim.run import Outcome

SOURCES = Path(__file__).parents[1]


def code_digest(folder: Path = SOURCES) -> str:
    """A digest of all source files below a folder."""
    digest = blake2b(digest_size=8)
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Journal:
    """The outcomes of the seeds played. Raises ValueError if the file is of a run of other code."""

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        self.played: dict[int, Outcome] = {}
        if not path.exists():
            path.write_text(json.dumps({"code": code}) + "\n")
            return
        first, *lines = path.read_text().splitlines(keepends=True)
        if json.loads(first) != {"code": code}:
            raise ValueError(f"{path} is of a run of other code; name another file to begin a new run")
        for line in lines:
            if line.endswith("\n"):  # the last may have been broken off
                self._take(json.loads(line))
        path.write_text(first + "".join(line for line in lines if line.endswith("\n")))

    def _take(self, row: dict[str, Any]) -> None:
        self.played[row["seed"]] = Outcome(
            row["seed"],
            row["violation"],
            row["digest"],
            Counter(row["faults"]),
            row["checks"],
            row["steps"],
            row["cpu_s"],
        )

    def add(self, outcome: Outcome) -> None:
        """Keeps an outcome, without its story."""
        self.played[outcome.seed] = outcome
        row = {name: getattr(outcome, name) for name in ("seed", "violation", "digest", "checks", "steps", "cpu_s")}
        with self._path.open("a") as file:
            file.write(json.dumps(row | {"faults": dict(outcome.faults)}) + "\n")
