"""Makes the plan of a failing run small: what is left still fails, and without any one part of it nothing does.

The delta debugging of Zeller and Hildebrandt ("Simplifying and Isolating Failure-Inducing Input", 2002), over what
clients ask, what goes wrong, and the weather.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from freehold.sim.network import Weather
from freehold.sim.plan import Ask, Plan, Trouble

TRIES_MAX: Final = 400
"""Runs that one shrinking may take."""
FAIR: Final = Weather(lost=0.0, doubled=0.0, late=0.0, late_s_max=0.0)

T = TypeVar("T")


class _Enough(Exception):
    """All tries are used up."""


def shrunk(plan: Plan, fails: Callable[[Plan], bool], tries_max: int = TRIES_MAX) -> Plan:
    """The smallest plan found, in `tries_max` runs, of which `fails` is still true; `plan` itself must fail."""
    smallest, tries = plan, 0

    def still_fails(smaller: Plan) -> bool:
        nonlocal smallest, tries
        if tries >= tries_max:
            raise _Enough
        tries += 1
        failed = fails(smaller)
        if failed:
            smallest = smaller
        return failed

    try:
        still_fails(replace(plan, weather=FAIR))
        before = None
        while before != smallest:
            before = smallest
            few(smallest.troubles, lambda kept: still_fails(replace(smallest, troubles=kept)))
            few(smallest.asks, lambda kept: still_fails(replace(smallest, asks=kept)))
    except _Enough:
        pass
    return smallest


def few(parts: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """The parts, in order, of which `fails` is true, and of no fewer by one. All of them must fail."""
    kept, size = tuple(parts), len(parts)
    while kept and size:
        fewer = _without_some(kept, size, fails)
        if fewer == kept and size == 1:
            return kept
        if fewer == kept:
            size = (size + 1) // 2
        kept = fewer
        size = min(size, len(kept))
    return kept


def _without_some(kept: tuple[T, ...], size: int, fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """One pass: what is left when every piece of `size` parts that isn't needed is taken out."""
    at = 0
    while at < len(kept):
        fewer = kept[:at] + kept[at + size :]
        if fails(fewer):
            kept = fewer
        else:
            at += size
    return kept


def told(plan: Plan) -> list[str]:
    """A plan as lines, in the order in which it happens."""
    parts: list[Ask | Trouble] = sorted((*plan.asks, *plan.troubles), key=lambda part: part.at_s)
    return [f"{part.at_s:10.3f}  {_line(part)}" for part in parts]


def _line(part: Ask | Trouble) -> str:
    if isinstance(part, Ask):
        return f"a client of project {part.project} asks: {part.what}"
    sites = " and ".join(site for site in (part.site, part.other) if site)
    return f"trouble: {part.kind}, {sites or 'anywhere'}, for {part.for_s:.1f} s"
