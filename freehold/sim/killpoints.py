"""kill -9 at every durable step: before it, in its middle, after it and before anybody hears of it; one kill, and two.

What is a step comes from the code as it runs: every commit of every store, and every call of a host's driver that
changes the world. A run without kills lists its points; then it is played again with a kill at each of them, of the
process that makes the step and of every other one in turn, and everything must come to the same end.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from freehold.sim.process import Process
from freehold.sim.reached import LOOKS
from freehold.sim.site import Site
from freehold.sim.world import World

DOWN_S: Final = 2.0
"""How long a killed process stays away."""


@dataclass(frozen=True, slots=True)
class Kill:
    """At a moment of a step, counted from the beginning, a process is killed: `site`'s, or the step's own."""

    step: int
    moment: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a step that a run came to. `site` makes the step; `up`: the sites whose processes lived then."""

    step: int
    moment: str
    site: str
    up: tuple[str, ...]


@dataclass(slots=True)
class Steps:
    """Counts durable steps, and kills where it is told to."""

    kills: tuple[Kill, ...] = ()
    seen: list[str] = field(default_factory=list)
    """Every step, in order: the site, and what it did."""
    points: list[Point] = field(default_factory=list)
    """Every point since the last kill, or since the beginning: where the next kill may be."""
    killed: int = 0
    callers: set[str] = field(default_factory=set)
    """The functions of workers that asked for a durable step, and those that called them."""
    numbers: dict[str, int] = field(default_factory=dict)
    """The number of the step that a call, or a store's commit, is in."""

    def at(self, world: World, site: Site, what: str, moment: str, call: str) -> bool:
        """A moment of the step that `call` makes. True: the process that makes it has been killed here."""
        if world.calm:
            return False
        if moment == "before":
            self.numbers[call] = len(self.seen)
            self.seen.append(f"{site.name} {what}")
        number = self.numbers.get(call)
        if number is None:
            return False  # it began before anybody counted
        self.points.append(Point(number, moment, site.name, tuple(name for name in world.sites if _lives(world, name))))
        kill = self.kills[self.killed] if self.killed < len(self.kills) else None
        if kill is None or (kill.step, kill.moment) != (number, moment):
            return False
        self.killed += 1
        self.points.clear()
        victim = kill.site or site.name
        world.kill(world.sites[victim], DOWN_S)
        return victim == site.name


def _lives(world: World, name: str) -> bool:
    process = world.sites[name].process
    return process is not None and process.alive


def watch(world: World, steps: Steps) -> None:
    """Has a world's stores and drivers tell of their steps."""
    for site in world.sites.values():
        if site.store is not None:

            def at_commit(moment: str, process: Process, site: Site = site) -> bool:
                return process is site.process and steps.at(world, site, "commit", moment, site.name)

            site.store.at_commit = at_commit
            site.store.staged = lambda: steps.callers.update(_callers())
    world.around_verb = lambda site, verb, moment, call: (
        verb not in LOOKS and steps.at(world, site, verb, moment, f"{site.name} {verb} {call}")
    )
    world.asked_by = lambda: steps.callers.update(_callers())


def _callers() -> Iterator[str]:
    """The functions of workers that ask for a step, one by way of another, as ``module:function``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("freehold.workers."):
            yield f"{module}:{frame.f_code.co_name}"
        frame = frame.f_back


def own(points: tuple[Point, ...]) -> Iterator[Kill]:
    """At each point, the process that makes the step is killed."""
    for point in points:
        yield Kill(point.step, point.moment)


def others(points: tuple[Point, ...]) -> Iterator[Kill]:
    """At each point, each other process that lives is killed in turn."""
    for point in points:
        for site in point.up:
            if site != point.site:
                yield Kill(point.step, point.moment, site)
