"""Plays one plan to its end, or to the first violation."""

import asyncio
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from freehold.sim.calls import Caller
from freehold.sim.loop import SimLoop, Stuck
from freehold.sim.people import Client
from freehold.sim.plan import Ask, Plan, Scale
from freehold.sim.settling import settle
from freehold.sim.troubles import happen
from freehold.sim.world import CALLERS_PLACE, World
from freehold.store import database
from freehold.workers import base
from freehold.workers.notifier import lifecycle

LOG_TAIL_ENTRIES: Final = 40
COMPACT_GROWTH_MIN: Final = 25
PAGE_ENTRIES_MAX: Final = 8
FRAME_ENTRIES_MAX: Final = 3
PAUSE_S_MAX: Final = 60.0
_SUSPECT: Final = ("task failed", "answering failed", "request broke", "effect broke")
_SILENT: Final = object()
"""Where logs would be written to; `look` lets none through."""


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    violation: str
    digest: str
    faults: Counter[str]
    checks: int
    steps: int
    cpu_s: float
    lines: list[str] = field(default_factory=list)


def play(plan: Plan, *, keep: bool = False) -> Outcome:
    """Runs a plan to its end, or to the first violation."""
    return play_in(plan.seed, plan.scale, lambda world: _play(world, plan), keep=keep)


def play_in(
    seed: int, scale: Scale, story: Callable[[World], Coroutine[Any, Any, None]], *, keep: bool = False
) -> Outcome:
    """Runs a story in a world of its own, of which nothing is left when it is told."""
    began_s = time.process_time()
    try:
        with _made_small():
            outcome = _play_in(seed, scale, story, keep=keep)
    finally:
        _collect()
    outcome.cpu_s = time.process_time() - began_s
    return outcome


def _play_in(
    seed: int, scale: Scale, story: Callable[[World], Coroutine[Any, Any, None]], *, keep: bool = False
) -> Outcome:
    gc.disable()
    gc.freeze()  # what is there before the run needn't be looked at after it; the loop, which holds all of it, must be
    folder = Path(tempfile.mkdtemp(prefix="freehold-sim-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    loop = SimLoop(seed)
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    world = World(seed, scale, loop, folder, keep=keep)
    _listen_to_logs(world)
    main = loop.create_task(story(world))
    try:
        loop.run_until_complete(main)
    except Stuck as error:
        world.checkers.violated(str(error))
    except AssertionError as error:
        world.checkers.violated(f"assertion: {error}")
    except Exception as error:  # noqa: BLE001 - a run that breaks has failed, and the next seed is played all the same
        world.checkers.violated(f"the run broke: {type(error).__name__}: {error}")
    finally:
        for reader in (*world.apis, *world.schedulers):
            reader.let_go()
        if loop.unclosed:
            world.checkers.violated(f"not closed but left to the garbage collector: {loop.unclosed[0]}")
        outcome = Outcome(
            seed,
            world.checkers.found,
            world.transcript.digest(),
            world.faults,
            world.checkers.checks,
            loop.steps,
            0.0,
            world.transcript.lines,
        )
        _put_away(loop, world, folder)
    return outcome


@contextmanager
def _made_small() -> Iterator[None]:
    """Logs, frames and pages as short as a run: what takes a hundred thousand entries elsewhere happens here."""
    sizes: dict[tuple[Any, str], float] = {
        (database, "LOG_TAIL_ENTRIES"): LOG_TAIL_ENTRIES,
        (base, "COMPACT_GROWTH_MIN"): COMPACT_GROWTH_MIN,
        (base, "PAGE_ENTRIES_MAX"): PAGE_ENTRIES_MAX,
        (base, "FRAME_ENTRIES_MAX"): FRAME_ENTRIES_MAX,
        (lifecycle, "PAUSE_S_MAX"): PAUSE_S_MAX,
    }
    usual = {(room, name): getattr(room, name) for room, name in sizes}
    for (room, name), size in sizes.items():
        setattr(room, name, size)
    try:
        yield
    finally:
        for (room, name), size in usual.items():
            setattr(room, name, size)


def _put_away(loop: SimLoop, world: World, folder: Path) -> None:
    for site in world.sites.values():
        site.kill()
    world.people.kill()
    sys.unraisablehook = lambda _: None
    loop.close()
    asyncio.set_event_loop(None)
    _log_to(_drop)  # what listened to the logs has hold of the world; what is finalized now says nothing
    shutil.rmtree(folder, ignore_errors=True)


def _collect() -> None:
    """When nobody has hold of the world any more. What is still there when the next run begins is never looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that their process's death left unstarted
        gc.collect()  # here, where what is finalized finds nothing to do
    gc.enable()


async def _play(world: World, plan: Plan) -> None:
    await world.begin()
    world.faults.clear()
    world.network.weather = plan.weather
    clients = [
        Client(world, number, project, Caller(world, world.people, CALLERS_PLACE, project["token"]))
        for number, project in enumerate(world.projects)
    ]
    began = world.loop.time()
    tasks: list[asyncio.Task[None]] = []

    def begin(ask: Ask) -> None:
        tasks.append(world.people.start(clients[ask.project].ask(ask)))

    for ask in plan.asks:
        world.loop.call_at(began + ask.at_s, begin, ask)
    for trouble in plan.troubles:
        world.loop.call_at(began + trouble.at_s, happen, world, trouble)
    world.people.start(world.old_disks.copies())
    end = began + plan.storm_s
    while world.loop.time() < end and not world.checkers.found:
        await asyncio.sleep(min(0.5, end - world.loop.time()))
    if world.checkers.found:
        return
    world.heal()
    while not all(task.done() for task in tasks) and not world.checkers.found:
        await asyncio.sleep(0.5)
    for task in tasks:
        if task.done() and task.exception() is not None:
            raise AssertionError(f"a client failed: {task.exception()!r}")
    if not world.checkers.found:
        await settle(world, clients)


def _listen_to_logs(world: World) -> None:
    """Whatever the code logs as an error of its own is looked at."""

    def look(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        if event.get("event") in _SUSPECT:
            error = event.get("exc_info")
            excused = isinstance(error, BaseException) and world.checkers.excused(error)
            if not excused:
                world.checkers.violated(f"{event.get('event')}: {error!r} {event.get('task', event.get('path', ''))}")
        raise structlog.DropEvent

    _log_to(look)


def _drop(_logger: object, _method: str, _event: structlog.typing.EventDict) -> str:
    raise structlog.DropEvent


def _log_to(look: structlog.typing.Processor) -> None:
    structlog.configure(
        processors=[look],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda: _SILENT,
        cache_logger_on_first_use=False,
    )
