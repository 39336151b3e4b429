"""Makes the troubles of a plan happen."""

from collections.abc import Callable
from typing import Final

from freehold.sim.plan import Trouble
from freehold.sim.site import ApiSite, HostSite
from freehold.sim.world import World
from freehold.vocabulary.guest import Power

_POWERS: Final[dict[str, Power | None]] = {
    "guest powers off": Power.OFF,
    "guest crashes": Power.CRASHED,
    "guest hangs": Power.PAUSED,
    "guest vanishes": None,
}


def happen(world: World, trouble: Trouble) -> None:
    """Makes it happen, unless nothing is to go wrong any more."""
    if world.calm:
        return
    site = world.sites[trouble.site]
    if trouble.kind in _SITE:
        _SITE[trouble.kind](world, trouble)
    elif isinstance(site, HostSite):
        if trouble.kind == "power cut":
            world.cut_power(site, trouble.for_s)
        elif trouble.kind == "put back":
            world.put_back(site, trouble.amount)
        elif trouble.kind == "store deleted":
            world.delete_store(site)
        elif trouble.kind == "driver fails":
            world.fail_driver(site, trouble.amount)
        elif trouble.kind == "driver hangs":
            world.hang_driver(site, trouble.amount)
        elif trouble.kind == "image can't be fetched":
            world.fail_fetch(site, trouble.for_s)
        else:
            world.change_guest(site, trouble.amount, _POWERS[trouble.kind])
    elif isinstance(site, ApiSite):
        world.delete_view(site)


def _cut(world: World, trouble: Trouble) -> None:
    if trouble.other != trouble.site:
        world.cut(trouble.site, trouble.other, trouble.for_s)


_SITE: Final[dict[str, Callable[[World, Trouble], None]]] = {
    "kill": lambda world, trouble: world.kill(world.sites[trouble.site], trouble.for_s),
    "kill at a commit": lambda world, trouble: world.kill_at_commit(
        world.sites[trouble.site], trouble.for_s, trouble.amount
    ),
    "pause": lambda world, trouble: world.pause(world.sites[trouble.site], trouble.for_s),
    "isolate": lambda world, trouble: world.isolate(world.sites[trouble.site], trouble.for_s),
    "cut": _cut,
    "clock": lambda world, trouble: world.move_clock(world.sites[trouble.site], trouble.amount),
    "disk": lambda world, trouble: world.fail_disk(world.sites[trouble.site], trouble.for_s, trouble.amount),
    "start twice": lambda world, trouble: world.sites[trouble.site].start(),
}
