"""States: which are the same, and how a step reads."""

from freehold.sim.states import Cell, Held, Host, Ledger, Life, Limits, Stage, Step, same, start


def test_a_step_reads_as_a_line() -> None:
    assert str(Step("admit", 0)) == "admit, guest 0"
    assert str(Step("record", 0, 1, 2)) == "record, guest 0, host 1, deed 2"
    assert str(Step("fence", host=2)) == "fence, host 2"


def test_states_that_differ_in_numbers_only_are_the_same() -> None:
    limits = Limits(hosts=2, guests=2)
    empty = start(limits)
    here, there = Cell(held=Held.BUILDING, deed=1), Cell()
    ledger = Ledger(Stage.OPEN, deed=1, host=0)
    one = empty._replace(
        guests=(ledger, Ledger()), hosts=(Host(Life.DOWN, (here, there)), Host(Life.CLEARED, (there, there)))
    )
    other = empty._replace(
        guests=(Ledger(), ledger._replace(host=1)),
        hosts=(Host(Life.CLEARED, (there, there)), Host(Life.DOWN, (there, here))),
    )
    assert same(one) == same(other)
    assert same(one) != same(one._replace(guests=(ledger._replace(host=1), Ledger())))
