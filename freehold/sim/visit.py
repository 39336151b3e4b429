"""Visits all states of the models, in the sizes that are kept, and says how many there were: `make model`."""

import sys
import time
from typing import Final

from freehold.sim import model, states, telling
from freehold.sim.explore import Explored, explore
from freehold.sim.promises import broken
from freehold.sim.states import Fault, Limits, Rules

SMALL: Final[tuple[Rules, ...]] = (
    Rules(Limits(hosts=3, deeds=3), Fault.BUILD_OUTLIVES_START),
    Rules(Limits(hosts=3, guests=2, deeds=1, kills=0, power=False)),
    Rules(Limits(hosts=2, guests=2, deeds=1, kills=1, power=False)),
    Rules(Limits(hosts=3, deeds=2, fences=1, kills=1, power=False)),
    Rules(Limits(hosts=2, deeds=3, fences=1, conveys=1, kills=1)),
    Rules(Limits(hosts=2, deeds=2, rollbacks=1, kills=1)),
)
"""What the tests visit. In the first, builds are late for ever: where no host forgets or is fenced, that harms none."""

LARGE: Final[tuple[Rules, ...]] = (
    Rules(Limits(hosts=2, deeds=2, rollbacks=1)),
    Rules(Limits(hosts=3, deeds=3, fences=1, conveys=1, kills=1)),
    Rules(Limits(hosts=3, deeds=2, rollbacks=1, kills=1, power=False)),
    Rules(Limits(hosts=2, deeds=2, rollbacks=1, fences=1, kills=2, power=False)),
    Rules(Limits(hosts=3, guests=2, deeds=2, kills=0, power=False)),
)

READERS: Final = telling.Rules(writes=4, rollbacks=2)


def visit_deeds(rules: Rules) -> Explored[states.Step]:
    """All states of the model of deeds within the limits of `rules`."""
    return explore(states.start(rules.limits), lambda state: model.moves(state, rules), broken, states.same)


def visit_readers(rules: telling.Rules) -> Explored[telling.Step]:
    """All states of the model of readers within the limits of `rules`."""
    first = telling.Watched(telling.start(rules))
    return explore(first, lambda state: telling.watched_moves(state, rules), lambda state: telling.broken(state, rules))


def main() -> None:
    """Visits the small and the large sizes. Exits 1 with the shortest story if a promise is broken."""
    wrong = _say(str(READERS), visit_readers(READERS))
    for rules in (*SMALL, *LARGE):
        wrong |= _say(str(rules), visit_deeds(rules))
    sys.exit(1 if wrong else 0)


def _say(what: str, explored: Explored[states.Step] | Explored[telling.Step]) -> bool:
    sys.stdout.write(
        f"{what}\n    {explored.states} states, {explored.transitions} transitions, depth {explored.depth}"
    )
    sys.stdout.write(f", {time.process_time():.0f} s of CPU so far\n")
    if explored.violation:
        sys.stdout.write(explored.story() + "\n")
    sys.stdout.flush()
    return bool(explored.violation)


if __name__ == "__main__":
    main()
