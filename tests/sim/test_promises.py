"""Each promise sees what breaks it, and nothing else."""

import pytest

from freehold.sim.promises import (
    broken,
    never_lost,
    never_resurrected,
    never_taken_apart,
    one_host_per_number,
    run_by_the_highest_deed,
    run_once,
)
from freehold.sim.states import Cell, Held, Host, Ledger, Life, Stage, State

RUNS = Cell(held=Held.RUNNING, deed=1, on=True)
HOLDS = Cell(held=Held.STOPPED, deed=1)
OPEN = Ledger(Stage.OPEN, deed=1, host=0)


def state(ledger: Ledger, *cells: Cell) -> State:
    return State((ledger,), tuple(Host(Life.CLEARED, (cell,)) for cell in cells), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("ledger", "cells", "said"),
    [
        (OPEN, (RUNS, Cell()), ""),
        (OPEN, (RUNS, RUNS._replace(held=Held.QUARANTINED)), run_once),
        (OPEN._replace(deed=2, host=1), (RUNS, Cell()), run_by_the_highest_deed),
        (OPEN._replace(deed=2, host=1), (RUNS._replace(held=Held.QUARANTINED), Cell()), ""),
        (OPEN, (RUNS, HOLDS), one_host_per_number),
        (OPEN, (RUNS, HOLDS._replace(held=Held.CONVEYED)), ""),
        (OPEN._replace(stage=Stage.GONE, asked=True), (RUNS, Cell()), never_resurrected),
        (OPEN._replace(deleting=True, tomb=True, asked=True), (RUNS, Cell()), never_resurrected),
        (OPEN._replace(stage=Stage.GONE, asked=True), (Cell(), Cell()), ""),
        (OPEN._replace(stage=Stage.GONE), (Cell(), Cell()), never_lost),
        (OPEN._replace(shown=True), (RUNS._replace(held=Held.DELETING), Cell()), never_taken_apart),
        (OPEN._replace(shown=True, asked=True), (RUNS._replace(held=Held.DELETING), Cell()), ""),
        (OPEN._replace(shown=True, refused=True), (RUNS._replace(held=Held.REFUSING), Cell()), ""),
        (OPEN, (RUNS._replace(held=Held.REFUSING), Cell()), ""),
    ],
)
def test_a_promise_sees_what_breaks_it(ledger: Ledger, cells: tuple[Cell, ...], said: object) -> None:
    found = state(ledger, *cells)
    assert broken(found) == (said(found) if callable(said) else "")
    assert bool(broken(found)) is callable(said)
