"""The life of a volume, as a script for kill points: made, extended, kept as a snapshot, copied, and all of it gone."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from freehold.sim.calls import Caller, Unanswered
from freehold.sim.killpoints import Steps, watch
from freehold.sim.life import SCALE, WAIT_S, created, deleted
from freehold.sim.people import Client
from freehold.sim.settling import settle
from freehold.sim.volume_people import SNAPSHOTS, VOLUMES, Disk
from freehold.sim.world import CALLERS_PLACE, World

POOL: Final = replace(SCALE, hosts=1, pools=1)
VOLUME_LIFE: Final = ("volume create", "volume extend", "volume snapshot", "volume copy", "volume delete")
FROM_HERE: Final = "from here"
"""What comes before it is taken for granted: nobody is killed in it."""
ATTACHED_LIFE: Final = (
    *("guest", "volume create", FROM_HERE, "volume attach", "volume detach", "volume attach"),
    *("guest delete", "volume delete"),
)
VOLUME_OF_IMAGE: Final = ("volume of an image", "volume delete")


async def volume_script(world: World, steps: Steps, actions: tuple[str, ...]) -> None:
    """One volume, and what is done with it."""
    await world.begin()
    if FROM_HERE not in actions:
        watch(world, steps)
    client = Client(world, 0, world.projects[0], Caller(world, world.people, CALLERS_PLACE, world.projects[0]["token"]))
    world.calm = False
    for action in actions:
        if action == FROM_HERE:
            watch(world, steps)
        else:
            await _ACT[action](world, client)
    world.heal()
    await settle(world, [client])


async def _create(world: World, client: Client) -> None:
    await _made(world, client, VOLUMES, {"size": 2})


async def _create_of_image(world: World, client: Client) -> None:
    await _made(world, client, VOLUMES, {"size": 2, "imageRef": world.image_id})


async def _snapshot(world: World, client: Client) -> None:
    (volume,) = _of(client, VOLUMES)
    await _made(world, client, SNAPSHOTS, {"volume_id": volume.id, "force": True})


async def _copy(world: World, client: Client) -> None:
    (snapshot,) = _of(client, SNAPSHOTS)
    await _made(world, client, VOLUMES, {"snapshot_id": snapshot.id, "size": snapshot.size_gib})


async def _made(world: World, client: Client, noun: str, body: dict[str, Any]) -> None:
    """Asks until it is promised, and waits until it is there."""
    key, body = f"{noun} {len(client.volumes.disks)}", {"name": "v", **body}
    until = world.loop.time() + WAIT_S
    while key not in client.volumes.keys and world.loop.time() < until:
        try:
            await client.volumes.create(world.apis[0], noun, key, body)
        except Unanswered:
            await world.people_wait(1.0)
    if key not in client.volumes.keys:
        world.checkers.violated(f"none of the {noun} was ever admitted")
        return
    await _until(world, client, client.volumes.disks[client.volumes.keys[key]], lambda shown: True)


async def _extend(world: World, client: Client) -> None:
    """Asks once, until that is answered: what was promised comes to be without being asked for again."""
    (volume,) = _of(client, VOLUMES)
    body = {"os-extend": {"new_size": volume.size_gib + 1}}
    promised = False

    async def ask() -> None:
        nonlocal promised
        if not promised:
            path = f"/volume/v3/{client.project['id']}/{VOLUMES}/{volume.id}/action"
            reply = await client.call(world.apis[0], "POST", path, body)
            promised = reply.status == 202

    await _until(world, client, volume, lambda shown: bool(shown["size"] > volume.size_gib), ask)
    volume.size_gib += 1


async def _until(
    world: World,
    client: Client,
    disk: Disk,
    holds: Callable[[dict[str, Any]], bool],
    ask: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    until = world.loop.time() + WAIT_S
    while world.loop.time() < until and not world.checkers.found:
        try:
            reply = await client.volumes.get(world.apis[0], disk)
            shown = reply.json[disk.noun[:-1]] if reply.status == 200 else {"status": ""}
            if shown["status"] == "available" and holds(shown):
                return
            if ask is not None and shown["status"] == "available":
                await ask()
        except Unanswered:
            pass
        await world.people_wait(1.0)
    if not world.checkers.found:
        world.checkers.violated(f"{disk.noun} {disk.id} never became available as it was asked for")


async def _delete(world: World, client: Client) -> None:
    """All of them: what was copied and kept first, as nothing goes on which something else rests."""
    for disk in reversed(client.volumes.disks.values()):
        until = world.loop.time() + WAIT_S
        while not disk.gone and world.loop.time() < until and not world.checkers.found:
            try:
                await client.volumes.delete(world.apis[0], disk)
                await client.volumes.get(world.apis[0], disk)
            except Unanswered:
                pass
            await world.people_wait(1.0)
        if not disk.gone and not world.checkers.found:
            world.checkers.violated(f"{disk.noun} {disk.id} was never gone")


# --- attached ---------------------------------------------------------------------------------------------------------


async def _guest(world: World, client: Client) -> None:
    await created(world, client)


async def _guest_delete(world: World, client: Client) -> None:
    for known in client.guests.values():
        await deleted(world, client, known)


async def _attach(world: World, client: Client) -> None:
    """Asks until it is promised; then the guest has it without being asked for again."""
    (volume,), (known,) = _of(client, VOLUMES), client.guests.values()
    volume.guest = known.id  # also if no answer says so

    async def ask() -> bool:
        return (await client.volumes.attach(world.apis[0], volume, known.id)).status == 200

    await _plugged(world, client, volume, ask, wanted=True)


async def _detach(world: World, client: Client) -> None:
    (volume,) = _of(client, VOLUMES)

    async def ask() -> bool:
        return (await client.volumes.detach(world.apis[0], volume)).status in (202, 404)

    await _plugged(world, client, volume, ask, wanted=False)


async def _plugged(
    world: World, client: Client, volume: Disk, ask: Callable[[], Coroutine[Any, Any, bool]], *, wanted: bool
) -> None:
    """Waits until a guest has the volume, or none has it, and the API says so."""
    until, promised, says = world.loop.time() + WAIT_S, False, "in-use" if wanted else "available"
    while world.loop.time() < until and not world.checkers.found:
        has = any(disk.volume == volume.id for host in world.hosts for g in host.guests.values() for disk in g.disks)
        try:
            reply = await client.volumes.get(world.apis[0], volume)
            if has is wanted and reply.status == 200 and reply.json["volume"]["status"] == says:
                return
            promised = promised or await ask()
        except Unanswered:
            pass
        await world.people_wait(1.0)
    if not world.checkers.found:
        world.checkers.violated(f"volume {volume.id} never became {says}")


def _of(client: Client, noun: str) -> list[Disk]:
    return [disk for disk in client.volumes.disks.values() if disk.noun == noun]


_ACT: Final[dict[str, Callable[[World, Client], Any]]] = {
    "volume create": _create,
    "volume of an image": _create_of_image,
    "volume extend": _extend,
    "volume snapshot": _snapshot,
    "volume copy": _copy,
    "volume delete": _delete,
    "volume attach": _attach,
    "volume detach": _detach,
    "guest": _guest,
    "guest delete": _guest_delete,
}
