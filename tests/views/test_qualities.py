"""What hosts are and have, as bits: what is set, changed and let go of is what was given last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.views import qualities as qualities_module
from freehold.views.qualities import WORD_BITS, Qualities
from freehold.vocabulary.choice import Filter, Need

ROWS = 8
NAMES = [f"Q{number}" for number in range(3 * WORD_BITS)]


def having(qualities: Qualities, name: str, rows: int = ROWS) -> set[int]:
    """The rows that have a name, as both ways of asking say."""
    need, fits = Need(Filter.TRAITS, every=frozenset([name])), np.ones(rows, bool)
    qualities.narrow(need, fits)
    found = set(np.flatnonzero(fits).tolist())
    assert found == {row for row in range(rows) if qualities.meets(row, need)}
    return found


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.frozensets(st.sampled_from(NAMES), max_size=90)), max_size=12))
def test_a_row_has_what_it_was_given_last(given_: list[tuple[int, frozenset[str]]]) -> None:
    qualities, last = Qualities(ROWS), dict[int, frozenset[str]]()
    for row, names in given_:
        qualities.put(row, names)
        last[row] = names
    for name in NAMES:
        assert having(qualities, name) == {row for row, names in last.items() if name in names}


@given(
    st.lists(st.frozensets(st.sampled_from(NAMES), max_size=90), max_size=ROWS), st.frozensets(st.sampled_from(NAMES))
)
def test_many_at_once_are_as_one_after_the_other(every: list[frozenset[str]], then: frozenset[str]) -> None:
    at_once, one_by_one = Qualities(ROWS), Qualities(ROWS)
    at_once.put_many(0, every)
    for row, names in enumerate(every):
        one_by_one.put(row, names)
    for qualities in (at_once, one_by_one):
        qualities.put(0, then)
    for name in NAMES:
        assert having(at_once, name) == having(one_by_one, name)


def test_names_that_come_and_go_take_no_more_room() -> None:
    qualities = Qualities(ROWS)
    for number in range(1000):
        qualities.put(0, frozenset([f"Q{number}", f"R{number}"]))
    assert having(qualities, "Q999") == {0} and having(qualities, "Q998") == set()
    assert qualities._columns.shape == (1, ROWS)


def test_hosts_that_make_up_traits_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qualities_module, "NAMES_MAX", 10)
    qualities = Qualities(ROWS)
    for row in range(4):
        qualities.put(row, frozenset(f"CUSTOM_{row}_{number}" for number in range(100)))
    qualities.put(4, frozenset(["in an-aggregate"]))
    assert len(qualities._bits) == 11 and having(qualities, "in an-aggregate") == {4}
    qualities.put(0, frozenset())
    qualities.put(1, frozenset(["CUSTOM_NEW"]))
    assert having(qualities, "CUSTOM_NEW") == {1}


def test_rows_that_are_more_keep_what_they_had() -> None:
    qualities = Qualities(2)
    qualities.put(1, frozenset("a"))
    qualities.grow()
    qualities.put(3, frozenset("ab"))
    assert having(qualities, "a", 4) == {1, 3} and having(qualities, "b", 4) == {3}


@pytest.mark.parametrize(
    ("need", "rows"),
    [
        (Need(Filter.TRAITS), {0, 1, 2}),
        (Need(Filter.TRAITS, every=frozenset("a"), none=frozenset("b")), {0}),
        (Need(Filter.TRAITS, every=frozenset(["a", "unheard of"])), set()),
        (Need(Filter.TRAITS, none=frozenset(["unheard of"])), {0, 1, 2}),
        (Need(Filter.TRAITS, some=(frozenset("ab"), frozenset("bc"))), {1}),
        (Need(Filter.TRAITS, some=(frozenset(["c", "unheard of"]),)), {2}),
        (Need(Filter.TRAITS, some=(frozenset(["unheard of"]),)), set()),
        (Need(Filter.TRAITS, some=(frozenset(),)), set()),
    ],
    ids=lambda given: f"{len(given)} of three" if isinstance(given, set) else "",
)
def test_needs(need: Need, rows: set[int]) -> None:
    qualities = Qualities(3)
    qualities.put_many(0, [frozenset("a"), frozenset("ab"), frozenset("c")])
    fits = np.ones(3, bool)
    qualities.narrow(need, fits)
    assert set(np.flatnonzero(fits).tolist()) == rows == {row for row in range(3) if qualities.meets(row, need)}
