"""The model of deeds: every state within the limits is visited and keeps the promises; every planted bug is found."""

import pytest

from freehold.sim.model import moves
from freehold.sim.states import Fault, Limits, Rules, start
from freehold.sim.visit import SMALL, visit_deeds

STATES = (6952, 5406, 57201, 41063, 184599, 41850)
"""How many states there are in each of `SMALL`: fewer would mean that something isn't visited any more."""

NEEDED: dict[Fault, Limits] = {
    Fault.START_UNCLEARED: Limits(hosts=2, deeds=2, fences=1),
    Fault.DEED_COMPARED_WRONG: Limits(hosts=2, deeds=2, fences=1),
    Fault.EVACUATED_UNFENCED: Limits(hosts=2, deeds=2, fences=1),
    Fault.LET_IN_UNTOLD: Limits(hosts=2, deeds=2, fences=1),
    Fault.QUARANTINE_OPENED: Limits(hosts=2, deeds=2, fences=1),
    Fault.CONVEYED_LATE: Limits(hosts=2, deeds=2, conveys=1),
    Fault.ENDED_FORGOTTEN: Limits(hosts=2, deeds=2, rollbacks=1),
    Fault.BUILD_OUTLIVES_START: Limits(hosts=2, deeds=2, rollbacks=1),
    Fault.REFUSED_UNREMOVED: Limits(hosts=2, deeds=2, rollbacks=1),
    Fault.REFUSED_UNTOLD: Limits(hosts=2, deeds=2, rollbacks=1),
}
"""What has to happen for a fault to show. The others show without any of it."""


@pytest.mark.parametrize(("rules", "states"), tuple(zip(SMALL, STATES, strict=True)), ids=str)
def test_every_state_keeps_the_promises(rules: Rules, states: int) -> None:
    explored = visit_deeds(rules)
    assert not explored.violation, explored.story()
    assert explored.states == states


@pytest.mark.parametrize("fault", Fault)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    explored = visit_deeds(Rules(NEEDED.get(fault, Limits(hosts=2, deeds=2)), fault))
    assert explored.violation
    assert explored.story().endswith(explored.violation)


def test_a_build_that_is_late_by_a_fence_is_found() -> None:
    """A host that comes back knows nothing of a guest that it never had and that has ended by the fence, and would
    build it.
    """
    explored = visit_deeds(Rules(Limits(hosts=2, deeds=2, fences=1), Fault.BUILD_OUTLIVES_START))
    assert "was deleted, and host 1 runs it" in explored.violation


def test_a_story_can_be_walked() -> None:
    """Each step of the way is a move from where the one before has led, without renumbering."""
    rules = Rules(Limits(hosts=3, deeds=2, conveys=1), Fault.CONVEYED_LATE)
    state = start(rules.limits)
    for step in visit_deeds(rules).path:
        state = dict(moves(state, rules))[step]
    assert sum(host.cells[0].on for host in state.hosts) > 0
