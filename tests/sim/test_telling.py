"""Readers of an owner: every state is visited, every planted bug is found."""

import pytest

from freehold.sim.telling import Fault, Rules
from freehold.sim.visit import READERS, visit_readers


def test_every_state_keeps_the_promises() -> None:
    explored = visit_readers(READERS)
    assert not explored.violation, explored.story()
    assert explored.states == 27124


@pytest.mark.parametrize("fault", Fault)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    explored = visit_readers(Rules(fault=fault))
    assert explored.violation
    assert explored.story().endswith(explored.violation)
