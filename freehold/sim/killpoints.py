"""kill -9 at every durable step: before it, in its middle, after it and before anybody hears of it; one kill, and two.

What is a step comes from the code as it runs: every commit of every store, and every call of a host's driver that
changes the world. A run without kills counts them; then each is played again with its kill, and everything must come to
the same end.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from freehold.sim.calls import Caller, Reply, Unanswered
from freehold.sim.people import SERVERS, Client, Known
from freehold.sim.plan import Scale
from freehold.sim.process import Process
from freehold.sim.settling import settle
from freehold.sim.site import Site
from freehold.sim.world import CALLERS_PLACE, World

SCALE: Final = Scale(hosts=2, schedulers=1, apis=1, projects=1)
MOMENTS: Final = ("before", "during", "after")
DOWN_S: Final = 2.0
"""How long a killed process stays away."""
ACTIONS: Final = ("create", "stop", "start", "reboot soft", "reboot hard", "delete")
VERBS: Final = frozenset(
    {
        "make_disk",
        "make_config_drive",
        "launch",
        "shut_down",
        "stop",
        "reset",
        "remove",
        "plug",
        "unplug",
        "filter",
        "fetch",
    }
)
"""What drivers do to the world; the rest only looks at it."""
WAIT_S: Final = 400.0


@dataclass(frozen=True, slots=True)
class Kill:
    """The process of a step is killed at a moment of it. `step`: counted from the last kill, or from the beginning."""

    step: int
    moment: str


@dataclass(slots=True)
class Steps:
    """Counts durable steps, and kills where it is told to."""

    kills: tuple[Kill, ...] = ()
    seen: list[str] = field(default_factory=list)
    """Every step, in order: the site, and what it did."""
    since_kill: int = 0
    killed: int = 0
    callers: set[str] = field(default_factory=set)
    """The functions of workers that asked for a durable step."""

    numbers: dict[str, int] = field(default_factory=dict)
    """The number of the step that a call, or a store's commit, is in."""

    def at(self, world: World, site: Site, what: str, moment: str, call: str) -> bool:
        """A moment of the step that `call` makes. True: the process has been killed here."""
        if world.calm:
            return False
        if moment == "before":
            self.seen.append(f"{site.name} {what}")
            self.numbers[call] = self.since_kill
            self.since_kill += 1
        if self.killed >= len(self.kills) or self.kills[self.killed] != Kill(self.numbers.get(call, -1), moment):
            return False
        self.numbers.clear()
        self.killed += 1
        self.since_kill = 0
        world.kill(site, DOWN_S)
        return True


def watch(world: World, steps: Steps) -> None:
    """Has a world's stores and drivers tell of their steps."""
    for site in world.sites.values():
        if site.store is not None:

            def at_commit(moment: str, process: Process, site: Site = site) -> bool:
                return process is site.process and steps.at(world, site, "commit", moment, site.name)

            site.store.at_commit = at_commit
            site.store.staged = lambda: steps.callers.add(_caller())
    world.around_verb = lambda site, verb, moment, call: (
        verb in VERBS and steps.at(world, site, verb, moment, f"{site.name} {verb} {call}")
    )
    world.asked_by = lambda: steps.callers.add(_caller())


def _caller() -> str:
    """The function of a worker that asks for a step, as ``module:function``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("freehold.workers."):
            return f"{module}:{frame.f_code.co_name}"
        frame = frame.f_back
    return ""


async def script(world: World, steps: Steps, actions: tuple[str, ...]) -> None:
    """One guest from its beginning to its end, asked for by a client that asks again until it is so."""
    await world.begin()
    watch(world, steps)
    client = Client(world, 0, world.projects[0], Caller(world, world.people, CALLERS_PLACE, world.projects[0]["token"]))
    world.calm = False
    await _create(world, client)
    known = next(iter(client.guests.values()))
    for action in actions:
        await _ACT[action](world, client, known)
    world.heal()
    await settle(world, [client])


async def _create(world: World, client: Client) -> None:
    body: dict[str, Any] = {
        "name": "vm",
        "imageRef": world.image_id,
        "flavorRef": world.flavor,
        "networks": [{"uuid": client.project["network"]}],
        "config_drive": True,
    }
    until = world.loop.time() + WAIT_S
    while not client.guests and world.loop.time() < until:
        try:
            await client.create(world.apis[0], "key", body)
        except Unanswered:
            await world.people_wait(1.0)
    await _until(world, client, next(iter(client.guests.values())), "ACTIVE", None)


async def _until(world: World, client: Client, known: Known, wanted: str, action: dict[str, Any] | None) -> None:
    """Asks for `action` until the guest is as `wanted`."""
    until = world.loop.time() + WAIT_S
    asked = action is None
    while world.loop.time() < until and not world.checkers.found:
        server = await _server(world, client, known)
        if server is not None and server["OS-EXT-STS:task_state"] is None:
            if asked and server["status"] == wanted:
                return
            if action is not None and (not asked or server["status"] != wanted):
                asked |= await _asked(world, client, known, action)
        await world.people_wait(1.0)
    if not world.checkers.found:
        world.checkers.violated(f"guest {known.id} never became {wanted}")


async def _asked(world: World, client: Client, known: Known, action: dict[str, Any]) -> bool:
    try:
        reply: Reply = await client.call(world.apis[0], "POST", f"{SERVERS}/{known.id}/action", action)
    except Unanswered:
        return False
    return reply.status in (202, 409)


async def _server(world: World, client: Client, known: Known) -> dict[str, Any] | None:
    try:
        reply = await client.get(world.apis[0], known)
    except Unanswered:
        return None
    return reply.json["server"] if reply.status == 200 else None


async def _delete(world: World, client: Client, known: Known) -> None:
    until = world.loop.time() + WAIT_S
    while not known.gone and world.loop.time() < until and not world.checkers.found:
        try:
            if not known.deleted:
                await client.delete(world.apis[0], known)
            await client.get(world.apis[0], known)
        except Unanswered:
            pass
        await world.people_wait(1.0)
    if not known.gone and not world.checkers.found:
        world.checkers.violated(f"guest {known.id} was never gone")


def _power(wanted: str, action: dict[str, Any]) -> Callable[[World, Client, Known], Any]:
    async def act(world: World, client: Client, known: Known) -> None:
        await _until(world, client, known, wanted, action)

    return act


_ACT: Final[dict[str, Callable[[World, Client, Known], Any]]] = {
    "stop": _power("SHUTOFF", {"os-stop": None}),
    "start": _power("ACTIVE", {"os-start": None}),
    "reboot soft": _power("ACTIVE", {"reboot": {"type": "SOFT"}}),
    "reboot hard": _power("ACTIVE", {"reboot": {"type": "HARD"}}),
    "delete": _delete,
}


def single(count: int) -> Iterator[tuple[Kill, ...]]:
    """Every kill of a run with `count` steps."""
    for step in range(count):
        for moment in MOMENTS:
            yield (Kill(step, moment),)


def pairs(first: Kill, count: int) -> Iterator[tuple[Kill, ...]]:
    """A kill, and every one of the `count` steps that follow it, before it and after it."""
    for step in range(count):
        for moment in ("before", "after"):
            yield (first, Kill(step, moment))
