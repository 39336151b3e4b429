"""Makes the troubles of a plan happen."""

from collections.abc import Callable
from typing import Final

from freehold.sim.plan import Trouble
from freehold.sim.site import ApiSite, HostSite, Site
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
    site = world.sites[trouble.site]
    if world.calm or site.dead:
        return
    if trouble.kind in _SITE:
        _SITE[trouble.kind](world, site, trouble)
    elif isinstance(site, HostSite) and trouble.kind in _POWERS:
        world.change_guest(site, trouble.amount, _POWERS[trouble.kind])
    elif isinstance(site, HostSite):
        _HOST[trouble.kind](world, site, trouble)
    elif isinstance(site, ApiSite):
        world.delete_view(site)


def _cut(world: World, site: Site, trouble: Trouble) -> None:
    if trouble.other != trouble.site:
        world.cut(site.name, trouble.other, trouble.for_s)


_SITE: Final[dict[str, Callable[[World, Site, Trouble], None]]] = {
    "kill": lambda world, site, trouble: world.kill(site, trouble.for_s),
    "kill at a commit": lambda world, site, trouble: world.kill_at_commit(site, trouble.for_s, trouble.amount),
    "pause": lambda world, site, trouble: world.pause(site, trouble.for_s),
    "isolate": lambda world, site, trouble: world.isolate(site, trouble.for_s),
    "cut": _cut,
    "clock": lambda world, site, trouble: world.move_clock(site, trouble.amount),
    "disk": lambda world, site, trouble: world.fail_disk(site, trouble.for_s, trouble.amount),
    "start twice": lambda _world, site, _trouble: site.start(),
}

_HOST: Final[dict[str, Callable[[World, HostSite, Trouble], None]]] = {
    "power cut": lambda world, host, trouble: world.cut_power(host, trouble.for_s),
    "put back": lambda world, host, trouble: world.put_back(host, trouble.amount),
    "store deleted": lambda world, host, _trouble: world.delete_store(host),
    "host dies": lambda world, host, _trouble: world.die(host),
    "guest appears": lambda world, host, _trouble: world.put_stranger(host),
    "driver fails": lambda world, host, trouble: world.fail_driver(host, trouble.amount),
    "driver hangs": lambda world, host, trouble: world.hang_driver(host, trouble.amount),
    "image can't be fetched": lambda world, host, trouble: world.fail_fetch(host, trouble.for_s),
}
