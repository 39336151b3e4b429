"""What must always hold of attachments: one writer, of the volume's own project; and in the end all say the same."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from freehold.drivers.hypervisor.simulated import SimulatedGuest
from freehold.vocabulary.attachment import AttachmentState
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import Guest, Power
from freehold.vocabulary.volume import Volume

if TYPE_CHECKING:
    from freehold.sim.pool_site import PoolSite
    from freehold.sim.site import HostSite
    from freehold.sim.world import World

ON = (Power.RUNNING, Power.PAUSED)


def given(world: "World", site: "HostSite", guest: str, held: SimulatedGuest) -> None:
    """A guest runs with volumes. What it may write is nobody else's: no other guest has the same export open, and it
    is of its own project.
    """
    if held.power not in ON:
        return
    live = {name: volume for pool in world.pools for name, volume in _live(pool).items()}
    for disk in held.disks:
        volume = live.get(disk.export)
        if volume is None:
            continue  # it was cut off: what is written on it goes nowhere
        for host, other in _who_has(world, disk.export):
            if (host, other) != (site.name, guest):
                world.checkers.violated(f"volume {volume} is written by {guest} on {site.name} and {other} on {host}")
        owner, project = _project_of_volume(world, volume), _project_of_guest(site, guest)
        if owner and project and owner != project:
            world.checkers.violated(f"guest {guest} of {project} has volume {volume} of {owner}")


def _live(pool: "PoolSite") -> dict[str, str]:
    return {served.name: served.export.volume for served in pool.pool.exports.values()}


def _who_has(world: "World", export: str) -> Iterator[tuple[str, str]]:
    for host in world.hosts:
        for guest, held in host.guests.items():
            if held.power in ON and any(disk.export == export for disk in held.disks):
                yield host.name, guest


def _project_of_volume(world: "World", volume: str) -> str:
    for pool in world.pools:
        value = None if pool.store is None else pool.store.row("volume", volume)
        if value is not None:
            return decode(value, Volume).project
    return ""


def _project_of_guest(site: "HostSite", guest: str) -> str:
    value = None if site.store is None else site.store.row("guest", guest)
    return "" if value is None else decode(value, Guest).project


def unsettled(world: "World") -> str:
    """What hasn't settled yet of attachments; empty if all has: owner, host, guest and exports say the same."""
    return next(_differences(world), "")


def _differences(world: "World") -> Iterator[str]:
    living = [host for host in world.hosts if not host.dead]
    dead = frozenset(host.store.id for host in world.hosts if host.dead and host.store is not None)
    guests = {guest.id: (host, guest) for host in living for guest in _guests(host)}
    known = {one.id for pool in world.pools for volume in _volumes(pool) for one in volume.attachments}
    live = {name for pool in world.pools for name in _live(pool)}
    for pool in world.pools:
        yield from _of_pool(pool, frozenset(guests), dead)
    for host, guest in guests.values():
        for disk in guest.volumes:
            if disk.attachment not in known:
                yield f"guest {guest.id} on {host.name} has attachment {disk.attachment}, which nobody knows"
        yield from _of_guest(host, guest, live)


def _of_pool(pool: "PoolSite", guests: frozenset[str], dead: frozenset[str]) -> Iterator[str]:
    """Of guests on machines that died for good nobody can say what they have."""
    numbers = set[tuple[str, int]]()
    for volume in _volumes(pool):
        if volume.cut_off:
            yield f"volume {volume.id} is to be cut off under {volume.cut_off}"
        for one in volume.attachments:
            numbers.add((volume.id, one.number))
            if one.host in dead:
                continue
            if one.state is not AttachmentState.ATTACHED:
                yield f"attachment {one.id} of volume {volume.id} is {one.state}"
            if one.guest not in guests:
                yield f"volume {volume.id} is attached to guest {one.guest}, which is nowhere"
    for served in pool.pool.exports.values():
        if (served.export.volume, served.export.number) not in numbers:
            yield f"{pool.name} serves {served.name}, which is no attachment's"


def _of_guest(host: "HostSite", guest: Guest, live: set[str]) -> Iterator[str]:
    held = host.guests.get(guest.id)
    if held is None or held.power not in ON or guest.id in host.strangers:
        return
    has, wanted = {disk.attachment for disk in held.disks}, {disk.attachment for disk in guest.volumes}
    if has != wanted:
        yield f"guest {guest.id} on {host.name} has volumes {sorted(has)}, and is to have {sorted(wanted)}"
    for open_disk in held.disks:
        if open_disk.export not in live:
            yield f"guest {guest.id} on {host.name} has {open_disk.export} open, which nobody serves"


def _volumes(pool: "PoolSite") -> list[Volume]:
    assert pool.store is not None
    return [decode(value, Volume) for kind, _, value in pool.store.rows() if kind == "volume"]


def _guests(host: "HostSite") -> list[Guest]:
    if host.store is None:
        return []
    return [decode(value, Guest) for kind, _, value in host.store.rows() if kind == "guest"]
