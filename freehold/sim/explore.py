"""Visits every state of a model, nearest first, and tells the shortest way to one that must not be."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Explored(Generic[T]):
    """What a search gave. `violation` empty: all states were visited, and none is wrong."""

    states: int
    transitions: int
    depth: int
    """Steps to the farthest state."""
    violation: str = ""
    path: tuple[T, ...] = ()
    """The steps that lead to the violation, with the numbers that hosts and guests had from the first."""

    def story(self) -> str:
        """The path and what is wrong at its end, a step a line."""
        return "\n".join([*(f"{n:3} {step}" for n, step in enumerate(self.path, 1)), f"    WRONG: {self.violation}"])


def explore(
    first: S,
    moves: Callable[[S], Iterable[tuple[T, S]]],
    wrong: Callable[[S], str],
    same: Callable[[S], S] = lambda state: state,
    states_max: int = 10_000_000,
) -> Explored[T]:
    """Searches breadth-first from `first`. `wrong` says what is wrong with a state, or nothing; `same` gives the state
    that stands for all its like. Raises OverflowError after `states_max` states.
    """
    came: dict[S, S | None] = {same(first): None}
    if wrong(first):
        return Explored(1, 0, 0, wrong(first))
    ring, depth, transitions = list(came), 0, 0
    while ring:
        following: list[S] = []
        for state in ring:
            for _, raw in moves(state):
                transitions += 1
                after = same(raw)
                if after in came:
                    continue
                came[after] = state
                following.append(after)
                violation = wrong(after)
                if violation:
                    path = tuple(_retold(first, _way(came, after), moves, same))
                    return Explored(len(came), transitions, depth + 1, violation, path)
                if len(came) > states_max:
                    raise OverflowError(f"more than {states_max} states")
        ring, depth = following, depth + 1
    return Explored(len(came), transitions, depth - 1)


def _way(came: dict[S, S | None], last: S) -> list[S]:
    """The states from the first, which is left out, to `last`."""
    way: list[S] = []
    before = came[last]
    while before is not None:
        way.append(last)
        last, before = before, came[before]
    return way[::-1]


def _retold(state: S, way: list[S], moves: Callable[[S], Iterable[tuple[T, S]]], same: Callable[[S], S]) -> Iterator[T]:
    """The steps of a way, walked once more without renumbering, so that its hosts keep their numbers."""
    for stand_in in way:
        step, state = next((step, after) for step, after in moves(state) if same(after) == stand_in)
        yield step
