"""Tells how fast planted bugs were found: bug_table.py FILE, a line of JSON for each. Fails if one wasn't."""

import json
import statistics
import sys
from pathlib import Path


def main(path: Path) -> int:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in sorted(rows, key=lambda row: (not row["found"], row["faults"])):
        print(f"{row['faults']:>9,}  {row['bug']}: {row['found'] or 'NOT FOUND'}")
    missed = [row["bug"] for row in rows if not row["found"]]
    faults = [row["faults"] for row in rows if row["found"]]
    median = statistics.median(faults)
    print(f"{len(faults)} of {len(rows)} bugs found; faults: median {median:,.0f}, most {max(faults):,}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
