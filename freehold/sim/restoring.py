"""Backups of a world's owners, the loss of their stores, and their return from the backup, by the production code."""

from typing import TYPE_CHECKING

from freehold.drivers.backup.simulated import SimulatedBackups
from freehold.runtime.chance import SeededChance, new_id
from freehold.runtime.tasks import offload_inline
from freehold.workers.restore import newest, restore

if TYPE_CHECKING:
    from freehold.sim.site import Site
    from freehold.sim.world import World


def lose(world: "World", site: "Site") -> None:
    """A site's process is killed, and what its role kept on that machine is gone. Nobody starts it again."""
    world.tell(site.name, "killed, and its disk is lost")
    site.kill()
    if site.store is not None:
        site.store.delete()


async def bring_back(world: "World", site: "Site") -> None:
    """The store of a site that is down becomes what its backup has. Raises FreeholdError where that is too little."""
    assert site.store is not None and world.shelf is not None
    backups, target = SimulatedBackups(world.shelf), world.folder / f"{site.name}.db"
    found = await newest(backups, site.store.id)
    chance = SeededChance(world.seeded(f"restore {site.name}"))
    await restore(backups, found, target, new_id(chance), offload_inline)
    await backups.close()
    site.store.take_from(target)
    world.checkers.store_changed(site)
    world.tell(site.name, "its store is restored from its backup")
