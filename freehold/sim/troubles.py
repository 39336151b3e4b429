"""Makes the troubles of a plan happen."""

from collections.abc import Callable
from typing import Final

from freehold.sim.machine import Everybody
from freehold.sim.old_disks import RESTORE_S
from freehold.sim.plan import Trouble
from freehold.sim.pool_site import PoolSite
from freehold.sim.site import ApiSite, HostSite, SchedulerSite, Site
from freehold.sim.world import CALLERS_PLACE, ERRORS, World
from freehold.vocabulary.codec import decode
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.guest import Guest, GuestState, Power

SLOW_S: Final = 4.0
"""How old an answer of a slow hypervisor may be: less than a worker waits for it."""

DELAYED: Final = 0.7
"""Of the disks that are put back, so many are when others have heard of what they forget."""
NEWEST: Final = 0.999
"""Of the copies of a disk."""
UP_S: Final = 0.05
"""After its start a host looks at what it has, and does nothing about it yet."""
LAUNCHES: Final = 0.001
"""Of the ways that a driver fails, the first so many: launches."""
UNHEARD: Final = 0.35
"""Of the disks that are put back before a delete, so many when the registrar hasn't heard of it."""
REFUSED_S: Final = 10.0
"""So long, at most, the registrar doesn't hear of a build before it is refused."""
GIVEN_BACK_S: Final = 0.5
"""By then the network worker has heard that a build was refused, and the registrar doesn't ask what became of it."""
SAID_AGAIN: Final = 4
AGAIN_S: Final = (0.1, 60.0)
"""Old builds come so often, and so late, when a host whose disk was put back is up again: it takes none before it has
heard of what is deleted. More of them come early than late.
"""

_STARTING: Final = frozenset({GuestState.WIRING, GuestState.LAUNCHING})

_POWERS: Final[dict[str, Power | None]] = {
    "guest powers off": Power.OFF,
    "guest crashes": Power.CRASHED,
    "guest hangs": Power.PAUSED,
    "guest vanishes": None,
}


def happen(world: World, trouble: Trouble) -> None:
    """Makes it happen, unless nothing is to go wrong any more."""
    site = world.sites[trouble.site]
    if world.calm or site.dead or site.away:
        return
    if trouble.kind in _SITE:
        _SITE[trouble.kind](world, site, trouble)
    elif isinstance(site, PoolSite):
        _POOL[trouble.kind](world, site, trouble)
    elif isinstance(site, HostSite) and trouble.kind in _POWERS:
        world.change_guest(site, trouble.amount, _POWERS[trouble.kind])
    elif isinstance(site, HostSite):
        _HOST[trouble.kind](world, site, trouble)
    elif isinstance(site, (ApiSite, SchedulerSite)):
        world.delete_view(site)


def _isolate(world: World, site: Site, trouble: Trouble) -> None:
    """A site is cut off from all others, and from people."""
    world.tell(site.name, f"cut off for {trouble.for_s:g} s")
    _part(world, "isolated", world.network.cut, site, _others(world, site), trouble.for_s)


def _mute(world: World, site: Site, trouble: Trouble) -> None:
    """A site hears all others, and is heard by nobody."""
    world.tell(site.name, f"heard by nobody for {trouble.for_s:g} s")
    _part(world, "muted", world.network.mute, site, _others(world, site), trouble.for_s)


def _cut(world: World, site: Site, trouble: Trouble) -> None:
    """Two sites don't reach each other."""
    if trouble.other != trouble.site:
        world.tell(site.name, f"cut off from {trouble.other} for {trouble.for_s:g} s")
        _part(world, "cut", world.network.cut, site, [trouble.other], trouble.for_s)


def _part(
    world: World, fault: str, how: Callable[[str, str], None], site: Site, others: list[str], for_s: float
) -> None:
    world.faults[fault] += 1
    for other in others:
        how(site.name, other)
        world.later(for_s, world.network.mend, site.name, other)


def _put_back_at_delete(world: World, host: HostSite, after_s: float, *, unheard: bool) -> None:
    """When a guest that comes from now on has been gone from a host's disk for `after_s`, the disk is as it is now.
    `unheard`: the registrar doesn't hear of it, and others do.
    """
    store = host.store
    assert store is not None
    copy, held, came = store.copied(), set(store.keys("guest")), set[str]()

    def is_time() -> bytes | None:
        there = set(store.keys("guest"))
        came.update(there - held)
        if unheard and came <= there and came:
            _deafen_registrars(world, host, after_s + RESTORE_S)
        return None if came <= there else copy

    _put_back_when(world, host, is_time, "before a guest came that was deleted", after_s)


def _put_back_to_a_build(world: World, host: HostSite, after_s: float) -> None:
    """When a guest that is claimed from now on has run for `after_s`, the disk is as it was when the guest was being
    built; and its launch, if it comes to that, fails.
    """
    store = host.store
    assert store is not None
    held, copies = set(store.keys("guest")), dict[str, bytes]()

    def is_time() -> bytes | None:
        for key in store.keys("guest"):
            row = None if key in held else store.row("guest", key)
            if row is not None and decode(row, Guest).launched is not None:
                held.add(key)
                if key in copies:
                    world.later(after_s + RESTORE_S + UP_S, world.fail_driver, host, world.random.random() * LAUNCHES)
                    return copies[key]
            elif row is not None:
                copies.setdefault(key, store.copied())
        return None

    _put_back_when(world, host, is_time, "when a guest was built that has run since", after_s)


def _put_back_to_a_start(world: World, host: HostSite, after_s: float) -> None:
    """When a guest that has run before, and is started from now on, has been gone for `after_s`, the disk is as it was
    when the guest was being started.
    """
    store = host.store
    assert store is not None
    copies = dict[str, bytes]()

    def is_time() -> bytes | None:
        there = store.keys("guest")
        for key in there:
            row = None if key in copies else store.row("guest", key)
            guest = None if row is None else decode(row, Guest)
            if guest is not None and guest.launched is not None and guest.state in _STARTING:
                copies[key] = store.copied()
        return next((copies[key] for key in copies if key not in there), None)

    _put_back_when(world, host, is_time, "when a guest was started that has gone since", after_s)


def _put_back_to_a_refused_build(world: World, host: HostSite, after_s: float, *, before: bool) -> None:
    """The next build for a host fails. When it has been refused for `after_s`, which the registrar doesn't hear, the
    disk is as it was when the guest was being built, or `before` the build came, of which it doesn't hear either.
    """
    store = host.store
    assert store is not None
    held, copies, earlier = set(store.keys("guest")), dict[str, bytes](), store.copied()

    def is_time() -> bytes | None:
        there = store.keys("guest")
        for key in there:
            row = None if key in held else store.row("guest", key)
            if row is not None and decode(row, Guest).launched is None and host.hypervisor is not None:
                held.add(key)
                copies[key] = earlier if before else store.copied()
                host.hypervisor.fail("make_disk", Broken("The hypervisor broke."))
                if before:
                    _deafen_registrars(world, host, REFUSED_S)
        refused = [copies[key] for key in copies if key not in there]
        if refused:  # until the disk has gone back
            _deafen_registrars(world, host, after_s + RESTORE_S)
        return refused[0] if refused else None

    told = "before a guest was built that was refused" if before else "when a guest was built that was refused since"
    _put_back_when(world, host, is_time, told, after_s)


def _deafen_registrars(world: World, host: HostSite, for_s: float) -> None:
    """What a host tells everybody is heard by others, and not by the registrar; they may ask one another."""
    for registrar in world.registrars:
        world.network.deafen(host.name, registrar.name, for_s)


def _put_back_alone(world: World, host: HostSite, for_s: float) -> None:
    """A host's disk goes back a little, and the machine is up again before its network is: it writes another history
    than was read of it, and nobody tells it so.
    """
    world.old_disks.put_back(host, NEWEST)
    _part(world, "isolated", world.network.cut, host, _others(world, host), RESTORE_S + for_s)


def _after_s(trouble: Trouble) -> float:
    return trouble.for_s if trouble.amount < DELAYED else 0.0


def _put_back_when(
    world: World, host: HostSite, is_time: Callable[[], bytes | None], told: str, after_s: float = 0.0
) -> None:
    """After each commit it is asked whether the disk is to be put back, and to what: at once, or in `after_s`."""
    store = host.store
    assert store is not None

    def to_put_back() -> bool:
        copy = is_time()
        if copy is None:
            return False
        store.to_put_back = None
        world.later(after_s, _put_back, world, host, copy, told)
        if not after_s:
            host.kill()
        return not after_s

    store.to_put_back = to_put_back


def _put_back(world: World, host: HostSite, copy: bytes, told: str) -> None:
    if not world.calm and not host.dead and not host.away:
        world.old_disks.put_back_to(host, copy, told)
        for _ in range(SAID_AGAIN):
            first_s, last_s = AGAIN_S
            again_s = first_s * (last_s / first_s) ** world.random.random()
            world.later(RESTORE_S + again_s, _builds_again, world, host)


def _builds_again(world: World, host: HostSite) -> None:
    """The last builds for a host come once more, as from a broker that had kept them."""
    if not world.calm and host.store is not None:
        world.tell(host.name, "old builds come again")
        world.network.say_again(host.store.id)


def _deafen_registrar(world: World, host: HostSite, trouble: Trouble) -> None:
    """The registrar hears nothing of a host, perhaps until after a build's deadline."""
    world.tell(host.name, f"not heard by the registrar for {trouble.for_s:g} s")
    _deafen_registrars(world, host, trouble.for_s)


def _slow_driver(world: World, host: HostSite, trouble: Trouble) -> None:
    """What a host hears of its hypervisor is old."""
    world.faults["driver is slow"] += 1
    world.tell(host.name, f"its hypervisor answers late for {trouble.for_s:g} s")
    host.slow_s = SLOW_S
    world.later(trouble.for_s, setattr, host, "slow_s", 0.0)


def _deafen(world: World, host: HostSite, _trouble: Trouble) -> None:
    """The systems of a host's guests don't hear any more that they shall shut down."""
    world.faults["guests deaf"] += 1
    world.tell(host.name, "its guests are deaf from now on")
    host.deaf = Everybody()
    if host.hypervisor is not None:
        host.hypervisor.deaf = host.deaf


def _others(world: World, site: Site) -> list[str]:
    return [place for place in (*world.sites, CALLERS_PLACE) if place != site.name]


_SITE: Final[dict[str, Callable[[World, Site, Trouble], None]]] = {
    "kill": lambda world, site, trouble: world.kill(site, trouble.for_s),
    "kill at a commit": lambda world, site, trouble: world.kill_at_commit(site, trouble.for_s, trouble.amount),
    "pause": lambda world, site, trouble: world.pause(site, trouble.for_s),
    "isolate": _isolate,
    "mute": _mute,
    "cut": _cut,
    "clock": lambda world, site, trouble: world.move_clock(site, trouble.amount),
    "disk": lambda world, site, trouble: world.fail_disk(site, trouble.for_s, trouble.amount),
    "start twice": lambda _world, site, _trouble: site.start(),
}


def _pool_fails(world: World, pool: PoolSite, trouble: Trouble) -> None:
    """The next call of a verb of a pool fails; sometimes the next few do."""
    if pool.volumes is None or not pool.up:
        return
    verb = _POOL_VERBS[int(trouble.amount * 1000) % len(_POOL_VERBS)]
    error = ERRORS[int(trouble.amount * 7000) % len(ERRORS)]
    times = 1 + int(trouble.amount * 13000) % 4
    world.faults["pool fails"] += times
    world.tell(pool.name, f"the next {times} calls of {verb} fail: {type(error).__name__}")
    for _ in range(times):
        pool.volumes.fail(verb, error)


_POOL_VERBS: Final = ("make", "make_copy", "extend", "delete", "take_snapshot", "delete_snapshot", "look", "volumes")

_POOL: Final[dict[str, Callable[[World, PoolSite, Trouble], None]]] = {
    "put back": lambda world, pool, trouble: world.old_disks.put_back(pool, trouble.amount),
    "store deleted": lambda world, pool, _trouble: world.old_disks.delete_store(pool),
    "pool fails": _pool_fails,
}

_HOST: Final[dict[str, Callable[[World, HostSite, Trouble], None]]] = {
    "power cut": lambda world, host, trouble: world.cut_power(host, trouble.for_s),
    "put back": lambda world, host, trouble: world.old_disks.put_back(host, trouble.amount),
    "put back alone": lambda world, host, trouble: _put_back_alone(world, host, trouble.for_s),
    "put back at a delete": lambda world, host, trouble: _put_back_at_delete(
        world, host, _after_s(trouble), unheard=trouble.amount < UNHEARD
    ),
    "put back to a build": lambda world, host, trouble: _put_back_to_a_build(world, host, _after_s(trouble)),
    "put back to a start": lambda world, host, trouble: _put_back_to_a_start(world, host, _after_s(trouble)),
    "put back to a refused build": lambda world, host, trouble: _put_back_to_a_refused_build(
        world, host, _after_s(trouble), before=False
    ),
    "put back before a refused build": lambda world, host, trouble: _put_back_to_a_refused_build(
        world, host, GIVEN_BACK_S, before=True
    ),
    "old builds come again": lambda world, host, _trouble: _builds_again(world, host),
    "store deleted": lambda world, host, _trouble: world.old_disks.delete_store(host),
    "host dies": lambda world, host, _trouble: world.die(host),
    "host is lost": lambda world, host, trouble: world.operator.lose(host, trouble.for_s, trouble.amount),
    "guest appears": lambda world, host, _trouble: world.put_stranger(host),
    "driver fails": lambda world, host, trouble: world.fail_driver(host, trouble.amount),
    "registrar is deaf": _deafen_registrar,
    "driver is slow": _slow_driver,
    "guests are deaf": _deafen,
    "driver hangs": lambda world, host, trouble: world.hang_driver(host, trouble.amount),
    "image can't be fetched": lambda world, host, trouble: world.fail_fetch(host, trouble.for_s),
}
