"""The life of a guest, as a script for kill points: asked for by a client that asks again until it is so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from freehold.sim.calls import Caller, Reply, Unanswered
from freehold.sim.killpoints import Steps, watch
from freehold.sim.people import SERVERS, Client, Known
from freehold.sim.plan import Scale
from freehold.sim.settling import settle, unsettled
from freehold.sim.world import CALLERS_PLACE, World
from freehold.vocabulary.request import BUILD_DEADLINE_S

SCALE: Final = Scale(hosts=2, schedulers=1, apis=1, projects=1, notifies=False)
"""One of each role, so that whoever is killed leaves nobody to stand in for it; and a host beside the guest's."""
TOLD: Final = replace(SCALE, notifies=True)
"""The same with a notifier, and receivers that are told of the guest."""
WHOLE_LIFE: Final = ("create", "stop", "start", "reboot soft", "reboot hard", "delete")
BUILD_AND_DELETE: Final = ("create", "delete")
BUILD_IN_VAIN: Final = ("create in vain", "delete")
WAIT_S: Final = 400.0
VAIN_S: Final = BUILD_DEADLINE_S + WAIT_S
HANGS: Final = 1_000
"""So many calls are as good as all of them."""


async def script(world: World, steps: Steps, actions: tuple[str, ...]) -> None:
    """One guest, and what is done with it."""
    await world.begin()
    watch(world, steps)
    client = Client(world, 0, world.projects[0], Caller(world, world.people, CALLERS_PLACE, world.projects[0]["token"]))
    world.calm = False
    create, *others = actions
    await _CREATE[create](world, client)
    for known in client.guests.values():
        for action in others:
            await _ACT[action](world, client, known)
    world.heal()
    await settle(world, [client])


async def created(world: World, client: Client) -> None:
    """A guest that was asked for, and is ACTIVE."""
    await _admitted(world, client)
    for known in client.guests.values():
        await _until(world, client, known, "ACTIVE", None)


async def _create_in_vain(world: World, client: Client) -> None:
    """No host comes to the image before the request has failed; then the host that has the build takes it back."""
    for host in world.hosts:
        host.hangs["fetch"] = HANGS
    await _admitted(world, client)
    for known in client.guests.values():
        await _until(world, client, known, "ERROR", None)
    for host in world.hosts:
        host.hangs.clear()
    until = world.loop.time() + WAIT_S
    while (why := unsettled(world)) and world.loop.time() < until and not world.checkers.found:
        await world.people_wait(1.0)
    if why:
        world.checkers.violated(f"what was built in vain isn't taken back: {why}")


async def _admitted(world: World, client: Client) -> None:
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
    if not client.guests:
        world.checkers.violated("no guest was ever admitted")


async def _until(world: World, client: Client, known: Known, wanted: str, action: dict[str, Any] | None) -> None:
    """Asks for `action` until it is promised. What was promised comes to be without being asked for again."""
    boots = int(wanted == "ACTIVE") if action is None else _boots(world, known) + (wanted == "ACTIVE")
    until = world.loop.time() + (VAIN_S if wanted == "ERROR" else WAIT_S)
    promised = action is None
    while world.loop.time() < until and not world.checkers.found:
        server = await _server(world, client, known)
        if server is not None and server["OS-EXT-STS:task_state"] is None:
            if server["status"] == wanted and _boots(world, known) >= boots:
                return
            if action is not None and not promised:
                promised = await _promised(world, client, known, action)
        await world.people_wait(1.0)
    if not world.checkers.found:
        world.checkers.violated(f"guest {known.id} never became {wanted}{', as was promised' * promised}")


def _boots(world: World, known: Known) -> int:
    """How often a guest has begun to run: whether it was started again is seen on its machine alone."""
    return sum(host.guests[known.id].boots for host in world.hosts if known.id in host.guests)


async def _promised(world: World, client: Client, known: Known, action: dict[str, Any]) -> bool:
    """Whether it was answered that the guest's host has it on disk."""
    try:
        reply: Reply = await client.call(world.apis[0], "POST", f"{SERVERS}/{known.id}/action", action)
    except Unanswered:
        return False
    return reply.status == 202


async def _server(world: World, client: Client, known: Known) -> dict[str, Any] | None:
    try:
        reply = await client.get(world.apis[0], known)
    except Unanswered:
        return None
    return reply.json["server"] if reply.status == 200 else None


async def deleted(world: World, client: Client, known: Known) -> None:
    """It is asked for until it is promised, and comes to be."""
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


_CREATE: Final[dict[str, Callable[[World, Client], Any]]] = {"create": created, "create in vain": _create_in_vain}
_ACT: Final[dict[str, Callable[[World, Client, Known], Any]]] = {
    "stop": _power("SHUTOFF", {"os-stop": None}),
    "start": _power("ACTIVE", {"os-start": None}),
    "reboot soft": _power("ACTIVE", {"reboot": {"type": "SOFT"}}),
    "reboot hard": _power("ACTIVE", {"reboot": {"type": "HARD"}}),
    "delete": deleted,
}
