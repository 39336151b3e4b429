"""When nothing goes wrong any more: everything settles, views equal their owners, and nothing is left over."""

import asyncio
from functools import reduce
from typing import TYPE_CHECKING, Final

from freehold.sim import readers, volumes
from freehold.sim.disk import StoreFile
from freehold.sim.losses import evacuated
from freehold.sim.plan import QUOTA
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import Guest, GuestState, Power, Refusal
from freehold.vocabulary.host import NOTHING, Capacity, Host, needed_by
from freehold.vocabulary.network import Carrier, Port
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.workers.host.lifecycle import effect_of
from freehold.workers.host.reconciler import kept_ports
from freehold.workers.registrar.lifecycle import ENDED, may_hold

if TYPE_CHECKING:
    from freehold.sim.people import Client
    from freehold.sim.site import HostSite
    from freehold.sim.world import World

SETTLED_S: Final = 1200.0
"""By then everything must have settled: a build's deadline, and what follows from it."""
PROGRESS_S: Final = 200.0
"""A state in progress may last so long: a driver that hangs is given two minutes."""
LEASED_S: Final = 30.0
"""So long a lease may outlive its host's refusal."""
IN_PROGRESS: Final = frozenset(GuestState) - {
    GuestState.RUNNING,
    GuestState.STOPPED,
    GuestState.PAUSED,
    GuestState.CRASHED,
    GuestState.QUARANTINED,
}
LEASED: Final = "refused by its host, and has a lease"
QUIET_S: Final = 60.0
TRACED_EVERY: Final = 4
"""Seeds, of which one is held against the model of deeds; and so is every run in which less was seen than this:"""
TRACE_EVENTS_MAX: Final = 250
MESSAGES_PER_OWNER: Final = 40
"""What an idle owner may send in `QUIET_S`: heartbeats, and what answers them."""


async def settle(world: "World", clients: list["Client"]) -> None:
    """Waits until all has settled, and looks at what there is. Violations go to the world's checkers."""
    await asyncio.sleep(max(0.0, world.all_came_s - world.loop.time()))
    until = world.loop.time() + SETTLED_S
    why, busy_s = "it was never looked at", dict[tuple[str, str, str], float]()
    while world.loop.time() < until and not world.checkers.found:
        _check_progress(world, busy_s)
        sure = all([await client.make_sure() for client in clients])
        why = unsettled(world) if sure else "a create isn't answered"
        if not why:
            break
        await asyncio.sleep(1.0)
    if world.checkers.found:
        return
    if why:
        world.checkers.violated(f"it didn't settle within {SETTLED_S:g} s: {why}")
        return
    world.tell("world", "all has settled")
    evacuated(world, _stranded(world))
    for check in (_views, _orphans, _counts, _ledger, _secrets, _logs, _told, _trace, volumes.check):
        check(world)
    await _promises(world, clients)
    await volumes.promises(world, clients)
    await _quiet(world)


def _check_progress(world: "World", busy_s: dict[tuple[str, str, str], float]) -> None:
    """Nothing in progress stays so: each state of it leads on when nothing goes wrong. `busy_s`: since when."""
    now_s = world.loop.time()
    busy = {
        (host.name, guest.id, guest.state.value)
        for host in _living(world)
        if host.worker is not None and host.worker.cleared
        for guest in _guests(host)
        if guest.state in IN_PROGRESS
    }
    busy |= {(world.networks.name, port.device, LEASED) for port in _ports(world) if _is_refused(world, port)}
    for over in busy_s.keys() - busy:
        del busy_s[over]
    for place in sorted(busy):
        longest_s = LEASED_S if place[2] == LEASED else PROGRESS_S
        if now_s - busy_s.setdefault(place, now_s) > longest_s:
            world.checkers.violated(f"guest {place[1]} on {place[0]} is {place[2]} for {longest_s:g} s")


def unsettled(world: "World") -> str:
    """What hasn't settled yet; empty if all has."""
    if world.operator.busy:
        return "the operator sees to a host that was lost"
    stranded, admissions = _stranded(world), _admissions(world)
    admitted = {admission.guest for admission in admissions}
    unfinished = (_unfinished(admission, admission.guest in stranded) for admission in admissions)
    restless = (_restless(host, admitted) for host in _living(world))
    leased = (f"a port is leased to guest {guest}, which is nowhere" for guest in _leased_to_nobody(world, stranded))
    strange = (_strange(world, host, admissions) for host in _living(world))
    pursued = (f"a build of guest {key} is pursued" for store in _ledgers(world) for key in store.private("build"))
    if of_volumes := volumes.unsettled(world):
        return of_volumes
    first = next(filter(None, (*unfinished, *pursued, *restless, *strange, *leased)), "")
    return first or _leased_wrongly(world) or _behind(world) or _astray(world) or _to_be_told(world)


def _unfinished(admission: Admission, stranded: bool) -> str:
    """What the ledger still does about a guest. Of one that is stranded, a delete and a refusal are waited for."""
    if admission.stage not in ENDED and not (stranded and admission.delete_urn):
        return f"admission {admission.guest} is {admission.stage}"
    if admission.delete_urn and not stranded:
        return f"admission {admission.guest} is {admission.stage}, to be deleted"
    if admission.stage is Stage.FAILED and may_hold(admission) and not stranded:
        return f"admission {admission.guest} has failed, and {admission.deed} isn't refused"
    return ""


def _restless(host: "HostSite", admitted: set[str]) -> str:
    """What a host still does."""
    if host.worker is None or not host.worker.cleared:
        return f"{host.name} hasn't heard from every registrar"
    guests = _guests(host)
    for port in host.ports.ports:
        if port not in kept_ports(guests):
            return f"port {port} is plugged on {host.name}, and no guest of it has it"
    for guest in guests:
        if effect_of(guest) is not None:
            return f"guest {guest.id} on {host.name} is {guest.state}"
        if guest.state is GuestState.QUARANTINED and guest.id not in admitted:
            return f"guest {guest.id} was deleted, and {host.name} still keeps its disk"
        power = _power(host, guest.id)
        if (guest.state is GuestState.RUNNING) is not (power is Power.RUNNING):
            return f"guest {guest.id} on {host.name} is {guest.state}, and its power {power}"
    return ""


def _strange(world: "World", host: "HostSite", admissions: list[Admission]) -> str:
    """What is on a machine without a record there: it is restored, or taken away when it is known to have ended."""
    guests = {guest.id for guest in _guests(host)} | host.strangers.keys()
    left = {guest for site, guest in world.checkers.quarantined if site == host.name}
    if host.store is not None:
        left |= {one.guest for one in admissions if host.store.id in one.left}
        left |= {one.guest for one in admissions if one.deed is not None and one.deed.host != host.store.id}
        left |= {one.guest for one in admissions if one.deed is not None and one.live_deed() is None}
    for strange in [guest for guest in host.guests if guest not in guests]:
        if strange in left and _power(host, strange) is not Power.RUNNING:
            continue  # given to another host, or refused by this one; what is here is kept aside until it is deleted
        return f"{host.name} has something of guest {strange}, which has no record there"
    return ""


def _behind(world: "World") -> str:
    living = [site for site in world.sites.values() if not site.dead]
    for site in living:
        if site.follower is None and site.follows:
            return f"{site.name} isn't up"
        read = site.follower.stands() if site.follower else {}
        stands = {position.epoch: position for position in read.values()}
        for owner in living:
            if owner.store is None or owner.role not in site.follows:
                continue
            if stands.get(owner.store.position().epoch) != owner.store.position():
                return f"{site.name} is behind {owner.name}"
    return ""


def _to_be_told(world: "World") -> str:
    if world.notifier is None:
        return ""
    worker = world.notifier.worker
    waits = worker is None or worker.queues.targets()
    return "the notifier still has something to tell" if waits else ""


def _told(world: "World") -> None:
    """Every event has come to who wanted it."""
    if lost := world.receivers.lost():
        world.checkers.violated(lost)


def _views(world: "World") -> None:
    readers.check_views(world, {admission.guest: admission.deed for admission in _admissions(world)})
    readers.check_fleets(world, _living(world))


def _orphans(world: "World") -> None:
    """Nothing is orphaned: what is on a machine has a record there, and the other way round. Nothing is destroyed by
    inference: what was started past the worker is left.
    """
    admitted = {admission.guest: admission for admission in _admissions(world)}
    for host in _living(world):
        guests = {guest.id: guest for guest in _guests(host)}
        for removed in [guest for guest in host.strangers if guest not in host.guests]:
            world.checkers.violated(f"{host.name} has removed guest {removed}, which was started past it")
        for guest in guests.values():
            admission = admitted.get(guest.id)
            deed = None if admission is None else admission.deed
            kept = guest.state is GuestState.QUARANTINED and deed is not None and deed.number > guest.deed
            if not kept and (deed is None or deed.host != guest.host):
                world.checkers.violated(f"guest {guest.id} is on {host.name} without a deed")
            elif admission is not None and not may_hold(admission) and guest.state is not GuestState.QUARANTINED:
                world.checkers.violated(f"guest {guest.id} is on {host.name}, and its deed is taken for refused")
            missing = [w.port for w in guest.ports if w.port not in host.ports.ports]
            if guest.state is GuestState.RUNNING and missing:
                world.checkers.violated(f"guest {guest.id} runs on {host.name} without its port {missing[0]}")


def _leased_to_nobody(world: "World", stranded: frozenset[str]) -> list[str]:
    """Guests that have a lease and are nowhere. A lease ends by evidence, and then it does end."""
    there = {guest.id for host in world.hosts for guest in _guests(host)} | stranded | _evacuated(world)
    return [port.device for port in _ports(world) if port.device and port.device not in there]


def _is_refused(world: "World", port: Port) -> bool:
    """Whether the host that a port is leased for has it on disk that it refuses the guest."""
    heard = [host for host in _living(world) if not host.away]
    stores = [host.store for host in heard if host.store is not None and host.store.id == port.host]
    refusals = [store.row("refusal", port.device) for store in stores if port.device]
    said = [decode(row, Refusal) for row in refusals if row is not None]
    kept = port.device in _evacuated(world) if said else False
    return any(refusal.deed >= port.deed and (refusal.deleted or not kept) for refusal in said)


def _evacuated(world: "World") -> set[str]:
    """Guests that have left a dead host: their addresses are theirs until they are deleted."""
    return {admission.guest for admission in _admissions(world) if admission.left}


def _leased_wrongly(world: "World") -> str:
    copies = sorted((guest for host in _living(world) for guest in _guests(host)), key=lambda guest: guest.deed)
    there = {guest.id: guest for guest in copies}  # of several, the one under the highest deed is the guest
    for port in _ports(world):
        guest = there.get(port.device)
        apart = guest is not None and guest.deed < port.deed  # a copy that is kept, while who has the guest isn't heard
        if guest is not None and not apart and port.id not in [wiring.port for wiring in guest.ports]:
            return f"port {port.id} is leased to guest {port.device}, which doesn't have it"
    return ""


def _astray(world: "World") -> str:
    """A host sends a network's frames where the network worker says that its ports are, and nowhere else."""
    assert world.networks.store is not None
    rows = world.networks.store.rows()
    carriers = [decode(value, Carrier) for kind, _, value in rows if kind == "carrier"]
    addresses = {carrier.host: carrier.address for carrier in carriers}
    ports = _ports(world)
    for host in _living(world):
        assert host.store is not None
        if addresses.get(host.store.id) != host.carriage.underlay:
            return f"{host.name} is at {host.carriage.underlay}, and others are told {addresses.get(host.store.id)}"
        for network in sorted({record.wiring.network for record in host.ports.ports.values()}):
            there = [port for port in ports if port.network == network and port.host not in ("", host.store.id)]
            wanted = {(port.mac, addresses[port.host]) for port in there if port.host in addresses}
            known = host.ports.elsewhere.get(network)
            if wanted != set(known.ports if known is not None else ()):
                return f"{host.name} sends network {network} to {known}, and its ports are at {sorted(wanted)}"
    return ""


def _counts(world: "World") -> None:
    """What a host says that it has given is what its guests take."""
    for site in _living(world):
        assert site.store is not None
        host, guests = decode(site.store.row("host", site.store.id) or b"", Host), _guests(site)
        used = reduce(Capacity.plus, (needed_by(guest.spec.flavor) for guest in guests), NOTHING)
        quarantined = sum(guest.state is GuestState.QUARANTINED for guest in guests)
        if (host.used, host.guests, host.quarantined) != (used, len(guests), quarantined):
            world.checkers.violated(f"{site.name} says {host}, and its {len(guests)} guests take {used}")


def _ports(world: "World") -> list[Port]:
    assert world.networks.store is not None
    return [decode(value, Port) for kind, _, value in world.networks.store.rows() if kind == "port"]


def _ledger(world: "World") -> None:
    """Every request ends, and its message is kept no longer than it."""
    stranded = _stranded(world)
    for store in _ledgers(world):
        for kind, key, value in store.rows():
            request = decode(value, Request) if kind == "request" else None
            if request is not None and request.finished is None and request.guest not in stranded:
                world.checkers.violated(f"request {key} never ended")
        for key in store.private("build"):
            world.checkers.violated(f"the registrar still keeps the message of build {key}")


def _secrets(world: "World") -> None:
    """A host keeps the secrets of its guests, and of no others."""
    for host in _living(world):
        assert host.store is not None
        guests = {guest.id for guest in _guests(host)}
        for key in host.store.private("build_secret"):
            if key not in guests:
                world.checkers.violated(f"{host.name} still keeps the secrets of guest {key}")


def _logs(world: "World") -> None:
    """A log is compacted to the newest entry of a key and a tail: what stands in a row stands in the log."""
    for site in world.sites.values():
        for kind, key in site.store.lost_to_compaction() if site.store is not None else ():
            world.checkers.violated(f"the log of {site.name} has lost the newest entry of {kind} {key}")


def _trace(world: "World") -> None:
    """What was seen is something that the model of deeds, whose every state keeps the promises, can do.

    To play it costs as much as the run: of long ones not every one is, but for guests whose request has failed.
    """
    witness = world.checkers.witness
    said = witness.check(failed_only=bool(world.seed % TRACED_EVERY) and len(witness) > TRACE_EVENTS_MAX)
    if said:
        world.checkers.violated(said)


async def _promises(world: "World", clients: list["Client"]) -> None:
    """No guest admitted is lost; every API shows the same, but for what a machine that died had said last."""
    stranded = _stranded(world)
    for client in clients:
        lists = [await client.list(api) for api in world.apis]
        answers = [
            shown if shown is None else [server for server in shown if server["id"] not in stranded] for shown in lists
        ]
        if any(answer is None for answer in answers):
            world.checkers.violated(f"{client.name} got no list when nothing went wrong")
        elif any(answer != answers[0] for answer in answers):
            world.checkers.violated(f"the APIs show {client.name} different lists")
        there = {server["id"] for server in answers[0] or []}
        kept = [known.id for known in client.guests.values() if known.deleted and known.id in there]
        if kept:
            world.checkers.violated(f"the delete of {kept[0]} was promised, and it is still there")
        for server in answers[0] or []:
            if server["status"] in ("BUILD", "DELETED", "UNKNOWN") or server["OS-EXT-STS:task_state"]:
                world.checkers.violated(f"{server['id']} is still {server['status']}")
        if len(lists[0] or []) < QUOTA and not await client.can_create():
            world.checkers.violated(f"{client.name} has {len(lists[0] or [])} of {QUOTA} guests, and may have no more")


async def _quiet(world: "World") -> None:
    """No retry storm: a cloud in which nothing happens is nearly silent."""
    before = world.network.sent
    await asyncio.sleep(QUIET_S)
    sent = world.network.sent - before
    owners = sum(site.store is not None for site in world.sites.values())
    if sent > MESSAGES_PER_OWNER * owners:
        world.checkers.violated(f"{sent} messages were sent in {QUIET_S:g} s in which nothing happened")


def _living(world: "World") -> list["HostSite"]:
    return [host for host in world.hosts if not host.dead]


def _stranded(world: "World") -> frozenset[str]:
    """Guests that a machine which died for good may have: nobody can say what has become of them."""
    dead = {host.store.id for host in world.hosts if host.dead and host.store is not None}
    return frozenset(
        admission.guest
        for admission in (_admissions(world) if dead else ())
        if admission.deed is not None and admission.deed.host in dead and may_hold(admission)
    )


def _admissions(world: "World") -> list[Admission]:
    rows = [row for store in _ledgers(world) for row in store.rows()]
    return [decode(value, Admission) for kind, _, value in rows if kind == "admission"]


def _ledgers(world: "World") -> list[StoreFile]:
    """The stores of the registrar's shards."""
    return [site.store for site in world.registrars if site.store is not None]


def _guests(host: "HostSite") -> list[Guest]:
    assert host.store is not None
    return [decode(value, Guest) for kind, _, value in host.store.rows() if kind == "guest"]


def _power(host: "HostSite", guest: str) -> Power:
    held = host.guests.get(guest)
    return Power.ABSENT if held is None else held.power
