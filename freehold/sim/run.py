"""Plays seeds: `python -m freehold.sim.run --seeds 100 --first 1`. A seed that fails is told as a story."""

import asyncio
import gc
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from freehold.sim.loop import SimLoop, Stuck
from freehold.sim.people import Client
from freehold.sim.calls import Caller
from freehold.sim.plan import Plan, Trouble, planned
from freehold.sim.settling import settle
from freehold.sim.site import ApiSite, HostSite
from freehold.sim.world import CALLERS_PLACE, World
from freehold.vocabulary.guest import Power

STEPS_MAX: Final = 20_000_000
_SUSPECT: Final = ("task failed", "answering failed", "request broke", "effect broke")


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    violation: str
    digest: str
    faults: Counter[str]
    checks: int
    steps: int
    lines: list[str] = field(default_factory=list)


def play(plan: Plan, *, keep: bool = False) -> Outcome:
    """Runs a plan to its end, or to the first violation."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-sim-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    loop = SimLoop(plan.seed)
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    gc.disable()
    world = World(plan.seed, plan.scale, loop, folder, keep=keep)
    _listen_to_logs(world)
    main = loop.create_task(_play(world, plan))
    try:
        loop.run_until_complete(main)
    except Stuck as error:
        world.checkers.violated(str(error))
    except AssertionError as error:
        world.checkers.violated(f"assertion: {error}")
    finally:
        for api in world.apis:
            api.let_go()
        outcome = Outcome(
            plan.seed,
            world.checkers.found,
            world.transcript.digest(),
            world.faults,
            world.checkers.checks,
            loop.steps,
            world.transcript.lines,
        )
        _put_away(loop, world, folder)
    return outcome


def _put_away(loop: SimLoop, world: World, folder: Path) -> None:
    for site in world.sites.values():
        site.kill()
    world.people.kill()
    sys.unraisablehook = lambda _: None
    loop.close()
    asyncio.set_event_loop(None)
    gc.enable()
    shutil.rmtree(folder, ignore_errors=True)


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
    for ask in plan.asks:
        world.loop.call_at(began + ask.at_s, lambda ask=ask: tasks.append(world.people.start(clients[ask.project].ask(ask))))
    for trouble in plan.troubles:
        world.loop.call_at(began + trouble.at_s, happen, world, trouble)
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


def happen(world: World, trouble: Trouble) -> None:
    """Makes a trouble of the plan happen."""
    if world.calm:
        return
    site = world.sites[trouble.site]
    host = site if isinstance(site, HostSite) else None
    match trouble.kind:
        case "kill":
            world.kill(site, trouble.for_s)
        case "pause":
            world.pause(site, trouble.for_s)
        case "isolate":
            world.isolate(site, trouble.for_s)
        case "cut" if trouble.other != trouble.site:
            world.cut(trouble.site, trouble.other, trouble.for_s)
        case "clock":
            world.move_clock(site, trouble.amount)
        case "disk":
            world.fail_disk(site, trouble.for_s, trouble.amount)
        case "power cut" if host is not None:
            world.cut_power(host, trouble.for_s)
        case "guest powers off" if host is not None:
            world.change_guest(host, trouble.amount, Power.OFF)
        case "guest crashes" if host is not None:
            world.change_guest(host, trouble.amount, Power.CRASHED)
        case "guest hangs" if host is not None:
            world.change_guest(host, trouble.amount, Power.PAUSED)
        case "guest vanishes" if host is not None:
            world.change_guest(host, trouble.amount, None)
        case "start twice":
            site.start()
        case "view deleted" if isinstance(site, ApiSite):
            world.delete_view(site)


def _listen_to_logs(world: World) -> None:
    """Whatever the code logs as an error of its own is looked at."""

    def look(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        if event.get("event") in _SUSPECT:
            error = event.get("exc_info")
            excused = isinstance(error, BaseException) and world.checkers.excused(error)
            if not excused:
                world.checkers.violated(f"{event.get('event')}: {error!r} {event.get('task', event.get('path', ''))}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[look],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )


def main() -> int:
    """Plays the seeds that the command line names."""
    import argparse

    parser = argparse.ArgumentParser(description="Plays seeds.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--story", action="store_true", help="print the transcript of every seed")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "freehold.sim.run", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})
    failed, faults, steps = 0, Counter[str](), 0
    for seed in range(given.first, given.first + given.seeds):
        outcome = play(planned(seed), keep=given.story)
        faults += outcome.faults
        steps += outcome.steps
        for line in outcome.lines:
            print(line)
        if outcome.violation:
            failed += 1
        print(f"seed {seed}: {outcome.violation or 'passed'} ({outcome.faults.total()} faults, {outcome.steps} steps, {outcome.digest})", flush=True)
    print(dict(faults.most_common()))
    print(f"{faults.total()} faults, {steps} steps")
    print(f"{given.seeds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
