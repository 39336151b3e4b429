"""Disks that show an old copy of a store, as after a snapshot of the machine was restored, and disks that lose it."""

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from freehold.sim.site import Site
    from freehold.sim.world import World

COPY_PERIOD_S: Final = 20.0
RESTORE_S: Final = 5.0
"""How long a disk takes to be restored."""


class OldDisks:
    """Those of machines that run guests, or keep volumes: what is there besides the store goes on."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def put_back(self, site: "Site", pick: float) -> None:
        """A disk shows one of the copies of its store that were taken."""
        assert site.store is not None
        copies = site.store.copies
        if copies:
            copy = int(pick * len(copies)) % len(copies)
            self.put_back_to(site, copies[copy], f"copy {copy} of {len(copies)}")

    def put_back_to(self, site: "Site", copy: bytes, told: str) -> None:
        """The same, of a copy that is at hand; `told` says of when."""
        assert site.store is not None
        site.kill()
        self._world.tell(site.name, f"its store is put back to {told}")
        site.store.put_back(copy)
        self._world.checkers.store_changed(site)
        self._world.later(RESTORE_S, site.start)

    def delete_store(self, site: "Site") -> None:
        """A store is deleted; what names the machine is kept beside it."""
        assert site.store is not None
        site.kill()
        self._world.tell(site.name, "its store is deleted")
        site.store.delete()
        self._world.checkers.store_changed(site)
        self._world.later(RESTORE_S, site.start)

    async def copies(self) -> None:
        """Takes a copy of every store now and then, to be put back."""
        while True:
            await asyncio.sleep(COPY_PERIOD_S)
            for site, kind in (
                *((host, "host") for host in self._world.hosts),
                *((pool, "volume_pool") for pool in self._world.pools),
            ):
                if site.store is not None and site.store.keys(kind):
                    site.store.copy()
