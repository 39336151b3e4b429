"""Volumes plugged into a guest that runs, and taken from it, over its monitor. Each may be repeated after a crash."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from freehold.drivers.hypervisor import volume_disks
from freehold.drivers.hypervisor.qemu_monitor import Monitor
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import Broken, FreeholdError, NoRoom, Unavailable

UNPLUG_S: Final = 10.0
"""How long a guest has to let go of a device: Linux takes a tenth of a second, one that boots isn't there to."""
LOOK_S: Final = 0.1


async def plugged(monitor: Monitor) -> frozenset[str]:
    """The attachments of which a guest has the device."""
    found = (volume_disks.attachment_of(one["name"]) for one in await _devices(monitor))
    return frozenset(attachment for attachment in found if attachment is not None)


async def plug(monitor: Monitor, disk: RemoteDisk) -> None:
    """Raises NoRoom if no port is free, Unavailable if the volume can't be opened."""
    if disk.attachment in await plugged(monitor):
        return
    await _drop_node(monitor, disk.attachment)
    port = volume_disks.free_port(await monitor.command("query-pci"))
    if port is None:
        raise NoRoom("The guest has no port free for one more volume.")
    try:
        await monitor.command("object-add", **volume_disks.credentials_object(disk))
        await _add_node(monitor, disk)
        await monitor.command("device_add", **volume_disks.device(disk, port))
    except FreeholdError:
        await _drop_node(monitor, disk.attachment)
        raise


async def _add_node(monitor: Monitor, disk: RemoteDisk) -> None:
    try:
        await monitor.command("blockdev-add", **volume_disks.node(disk))
    except Broken as error:
        raise Unavailable(f"Volume {disk.volume} can't be opened now. {error.message}") from error


async def unplug(monitor: Monitor, attachment: str, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Raises Unavailable if the guest doesn't let go."""
    if attachment in await plugged(monitor):
        await _ask_for(monitor, attachment)
        for _ in range(round(UNPLUG_S / LOOK_S)):
            if attachment not in await plugged(monitor):
                break
            await sleep(LOOK_S)
        else:
            raise Unavailable("The guest hasn't let go of the volume yet: its system may still be starting, or hang.")
    await _drop_node(monitor, attachment)


async def _ask_for(monitor: Monitor, attachment: str) -> None:
    try:
        await monitor.command("device_del", id=volume_disks.device_of(attachment))
    except Broken as error:
        if "in the process of unplug" not in error.message:  # it was asked before
            raise


async def resize(monitor: Monitor, attachment: str, size_bytes: int) -> None:
    """A client of NBD learns a size when it connects, and it connects again when it needs to: so something is read."""
    node = volume_disks.node_of(attachment)
    nodes = {one["node-name"]: one for one in await _nodes(monitor)}
    if node not in nodes or attachment not in await plugged(monitor):
        return
    await monitor.command("human-monitor-command", **{"command-line": f'qemu-io {node} "read 0 512"'})
    await monitor.command("block_resize", **{"node-name": node, "size": size_bytes})


async def _drop_node(monitor: Monitor, attachment: str) -> None:
    node, credentials = volume_disks.node_of(attachment), volume_disks.credentials_of(attachment)
    if node in {one["node-name"] for one in await _nodes(monitor)}:
        await monitor.command("blockdev-del", **{"node-name": node})
    objects = await monitor.command("qom-list", path="/objects")
    if credentials in {one["name"] for one in objects}:
        await monitor.command("object-del", id=credentials)


async def _devices(monitor: Monitor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await monitor.command("qom-list", path="/machine/peripheral")
    return found


async def _nodes(monitor: Monitor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await monitor.command("query-named-block-nodes", flat=True)
    return found
