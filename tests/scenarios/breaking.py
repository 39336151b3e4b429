"""What goes wrong with a cloud in a story, and what the operator of one of its machines does."""

from shutil import rmtree
from typing import Final

from freehold.runtime.chance import new_urn
from freehold.sim import restoring
from freehold.sim.site import ApiSite, HostSite, Site
from freehold.sim.world import CALLERS_PLACE
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.guest import Start, Stop
from freehold.vocabulary.local import LocalAnswer, LocalOrder
from tests.scenarios.stage import Lines, Stage

NEWEST: Final = 0.999


async def copy_store(stage: Stage, host: HostSite) -> Lines:
    """Takes a copy of a host's store, as a snapshot of its disk does."""
    del stage
    assert host.store is not None
    host.store.copy()
    return []


async def put_back(stage: Stage, host: HostSite) -> Lines:
    """The host's disk shows its newest copy; the guests run on."""
    stage.world.old_disks.put_back(host, NEWEST)
    return []


async def delete_store(stage: Stage, host: HostSite) -> Lines:
    """The file of a host's store is gone; the guests run on."""
    stage.world.old_disks.delete_store(host)
    return []


async def delete_views(stage: Stage) -> Lines:
    """Every reader that owns nothing begins anew: the APIs without their views, the schedulers without their memory."""
    for api in stage.world.apis:
        stage.world.delete_view(api)
    for scheduler in stage.world.schedulers:
        stage.world.kill(scheduler, 0.5)
    return []


async def lose_all_but_hosts(stage: Stage) -> Lines:
    """Every process but the hosts' is killed, and their stores and views are gone. Nobody starts them again."""
    lost = [site for site in stage.world.sites.values() if not isinstance(site, HostSite)]
    for site in lost:
        restoring.lose(stage.world, site)
        if isinstance(site, ApiSite):
            rmtree(site.path)
    return [f"{', '.join(site.name for site in lost)} are gone, with all that they had on disk"]


async def restore(stage: Stage, site: Site) -> Lines:
    """An operator restores the store of a site that is down."""
    await restoring.bring_back(stage.world, site)
    return []


async def bring_up(stage: Stage, names: Lines) -> Lines:
    """An operator starts what is down."""
    for name in names:
        stage.world.sites[name].start()
    return []


async def cut_off(stage: Stage, site: Site) -> Lines:
    """Nobody reaches a site, and it reaches nobody."""
    stage.world.tell(site.name, "cut off")
    for other in (*stage.world.sites, CALLERS_PLACE):
        if other != site.name:
            stage.world.network.cut(site.name, other)
    return []


async def let_back(stage: Stage, site: Site) -> Lines:
    """Ends that."""
    stage.world.tell(site.name, "is back")
    for other in (*stage.world.sites, CALLERS_PLACE):
        stage.world.network.mend(site.name, other)
    return []


async def cut_power(stage: Stage, host: HostSite, span_s: float) -> Lines:
    """A machine stops and comes up again: no guest of it runs until its worker starts it."""
    stage.world.cut_power(host, span_s)
    return []


async def kill(stage: Stage, site: Site, span_s: float) -> Lines:
    """kill -9; a supervisor starts it again."""
    stage.world.kill(site, span_s)
    return []


async def move_clock(stage: Stage, site: Site, span_s: float) -> Lines:
    """A wall clock jumps."""
    stage.world.move_clock(site, span_s)
    return []


async def power_off(stage: Stage, name: str) -> Lines:
    """A guest powers itself off."""
    _, known = stage.owned(name)
    for host in stage.world.hosts:
        if known.id in host.guests.running() and host.hypervisor is not None:
            host.hypervisor.power_off(known.id)
    return []


async def order_stop(stage: Stage, host: HostSite, name: str) -> Lines:
    """The operator of the machine stops a guest, by the worker's local door."""
    return await _order(stage, host, name, Stop)


async def order_start(stage: Stage, host: HostSite, name: str) -> Lines:
    """The operator of the machine starts a guest."""
    return await _order(stage, host, name, Start)


async def _order(stage: Stage, host: HostSite, name: str, order: type[Start] | type[Stop]) -> Lines:
    assert host.worker is not None and host.process is not None
    _, known = stage.owned(name)
    command = order(urn=new_urn(stage.chance), guest=known.id, user="", project="")
    question = encode(LocalOrder(command=command))
    answer = decode(await host.process.start(host.worker.local.answer("operator", question)), LocalAnswer)
    return [f"{name} is refused: {answer.fault.message}"] if answer.fault else [f"{name}: accepted"]
