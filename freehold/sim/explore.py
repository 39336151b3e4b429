"""Visits every state of a model, nearest first, and tells the shortest way to one that must not be."""

from collections.abc import Callable, Iterable
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
    """The steps that lead to the violation."""


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
    came: dict[S, tuple[S, T] | None] = {same(first): None}
    ring, depth, transitions = list(came), 0, 0
    while ring:
        following: list[S] = []
        for state in ring:
            for step, raw in moves(state):
                transitions += 1
                after = same(raw)
                if after in came:
                    continue
                came[after] = (state, step)
                following.append(after)
                violation = wrong(after)
                if violation:
                    return Explored(len(came), transitions, depth + 1, violation, _path(came, after))
                if len(came) > states_max:
                    raise OverflowError(f"more than {states_max} states")
        ring, depth = following, depth + 1
    return Explored(len(came), transitions, depth - 1)


def _path(came: dict[S, tuple[S, T] | None], last: S) -> tuple[T, ...]:
    steps: list[T] = []
    before = came[last]
    while before is not None:
        state, step = before
        steps.append(step)
        before = came[state]
    return tuple(reversed(steps))
