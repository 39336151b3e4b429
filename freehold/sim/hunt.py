"""Plays seeds with one bug planted until it is found: `python -m freehold.sim.hunt NUMBER`. Prints JSON."""

import json
import sys

from freehold.sim.bugs import BUGS
from freehold.sim.planted import plant

FAULTS_MAX = 1_000_000
FIRST_SEED = 1


def main() -> int:
    """Hunts the bug of that number in the table."""
    bug = BUGS[int(sys.argv[1])]
    faults_max = int(sys.argv[2]) if len(sys.argv) > 2 else FAULTS_MAX
    plant(bug)
    from freehold.sim.plan import planned  # only now: the bug must be there before its module is imported
    from freehold.sim.run import play

    faults, seed = 0, FIRST_SEED
    while faults < faults_max:
        outcome = play(planned(seed))
        faults += outcome.faults.total()
        if outcome.violation:
            print(json.dumps({"bug": bug.name, "faults": faults, "seed": seed, "found": outcome.violation[:200]}))
            return 0
        seed += 1
    print(json.dumps({"bug": bug.name, "faults": faults, "seed": seed, "found": ""}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
