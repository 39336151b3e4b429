"""The search itself: it visits everything, finds the nearest fault, and tells the way there."""

import pytest

from freehold.sim.explore import explore

Jugs = tuple[int, int]


def pour(jugs: Jugs) -> list[tuple[str, Jugs]]:
    """Two jugs of 5 and 3 litres."""
    five, three = jugs
    over, back = min(five, 3 - three), min(three, 5 - five)
    return [
        ("fill 5", (5, three)),
        ("fill 3", (five, 3)),
        ("empty 5", (0, three)),
        ("empty 3", (five, 0)),
        ("5 to 3", (five - over, three + over)),
        ("3 to 5", (five + back, three - back)),
    ]


def test_everything_is_visited() -> None:
    explored = explore((0, 0), pour, lambda jugs: "")
    assert (explored.states, explored.transitions, explored.violation) == (16, 96, "")


def test_the_shortest_way_is_told() -> None:
    explored = explore((0, 0), pour, lambda jugs: "four litres" if 4 in jugs else "")
    assert explored.path == ("fill 5", "5 to 3", "empty 3", "5 to 3", "fill 5", "5 to 3")
    assert explored.story().splitlines()[-1].strip() == "WRONG: four litres"


def test_a_way_is_told_with_the_numbers_of_the_first_state() -> None:
    """Cells are interchangeable and are visited sorted; the way still names the cell that was meant."""

    def raised(cells: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        return [(i, (*cells[:i], cell + 1, *cells[i + 1 :])) for i, cell in enumerate(cells) if cell < 3]

    explored = explore((0, 0), raised, lambda c: "far" if 3 in c else "", lambda c: (min(c), max(c)))
    cells = [0, 0]
    for i in explored.path:
        cells[i] += 1
    assert sorted(cells) == [0, 3]


def test_a_first_state_that_is_wrong_is_found() -> None:
    assert explore((4, 0), pour, lambda jugs: "four litres" if 4 in jugs else "").path == ()
    assert explore((4, 0), pour, lambda jugs: "four litres" if 4 in jugs else "").violation


def test_too_many_states_are_an_error() -> None:
    with pytest.raises(OverflowError):
        explore((0, 0), pour, lambda jugs: "", states_max=10)
