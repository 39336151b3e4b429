"""The decision for one build: pass it on, place it, drop it, or give up. Pure.

long expired                                  drop
has a deed whose host hasn't refused          pass on to that deed's cluster (a repeat)
a host has room                               ask for deed n+1 on it
only hosts that aren't heard have             drop: it is sent again until its deadline
none has                                      give up, saying what was wanted and who refused
"""

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.views.fleet import Fleet
from freehold.vocabulary.choice import Choice, Filter, Need
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.request import Build, is_forgotten
from freehold.workers.scheduler import groups
from freehold.workers.scheduler.needs import Known, missing, needs


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is to be done."""

    why: str


@dataclass(frozen=True, slots=True)
class PassOn:
    """The build goes to the network worker of its deed's cluster."""

    build: Build


@dataclass(frozen=True, slots=True)
class Place:
    """The registrar is asked to record this deed."""

    build: Build
    deed: Deed


@dataclass(frozen=True, slots=True)
class Surrender:
    """No host can take it."""

    build: Build
    fault: Fault


Decision = Drop | PassOn | Place | Surrender


def wanted(build: Build) -> Capacity:
    """The room a build needs on a host."""
    flavor = build.spec.flavor
    disk = flavor.disk_gib + flavor.ephemeral_gib
    return Capacity(vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, disk_gib=disk)


def decide(build: Build, fleet: Fleet, now: int, group_hosts: Sequence[str] | None = None) -> Decision:
    """What to do with a build at clock time `now`. `group_hosts`: the hosts of its server group's other members, where
    the registrar has named them; else they are what the fleet knows.
    """
    if is_forgotten(build, now):
        return Drop("its deadline has long passed")
    if build.deed is not None and build.deed.host not in build.refused:
        return PassOn(build)
    members = fleet.group_hosts(build.spec.server_group, build.guest) if group_hosts is None else group_hosts
    apart = (*_lacking(build, fleet), *fleet.hosts_of(build.spec.different_host))
    near = fleet.hosts_of(_companions(build)) if _companions(build) else None
    needed = _needs(build, fleet)

    def choose(*, refused: Sequence[str], among: Sequence[str] | None = None, silent: bool = False) -> Host | None:
        both = _both(among, near)
        return fleet.choose(wanted(build), _cluster(build), (*refused, *apart), both, silent=silent, needs=needed)

    def choose_silent(*, refused: Sequence[str], among: Sequence[str] | None = None) -> Host | None:
        return choose(refused=refused, among=among, silent=True)

    host = groups.chosen(build, members, choose)
    if host is not None:
        return Place(build, _deed(build, host))
    away = groups.chosen(build, members, choose_silent)
    if away is not None:
        return Drop(f"only hosts that aren't heard, such as {away.name}, have room; it comes again")
    return Surrender(build, no_room(build, fleet))


def explained(build: Build, fleet: Fleet) -> Choice:
    """How a host would be chosen now for a build, whatever has become of it."""
    members = fleet.group_hosts(build.spec.server_group, build.guest)
    hosts = [host.id for host in fleet.hosts()]
    also = (
        (Filter.TARGET, _lacking(build, fleet)),
        (Filter.HINT, _hinted_away(build, fleet, hosts)),
        (Filter.GROUP, groups.left_out(build, members, hosts)),
        (Filter.REFUSED, build.refused),
    )
    return fleet.explain(wanted(build), _cluster(build), also, _needs(build, fleet))


def _needs(build: Build, fleet: Fleet) -> tuple[Need, ...]:
    return needs(build, Known(fleet.aggregates, fleet.aggregates.for_project(build.project)))


def _cluster(build: Build) -> str:
    """Where it must be built; empty: anywhere."""
    return build.ties.cluster or build.spec.availability_zone


def _lacking(build: Build, fleet: Fleet) -> list[str]:
    """The hosts that aren't the one that was asked for, or aren't on the physical networks that it needs: they would
    refuse it, one after the other.
    """
    needed = set(build.ties.physical)
    if not needed and not build.target:
        return []
    return [
        host.id
        for host in fleet.hosts()
        if not needed <= {name for name, _ in host.carriage.physical} or build.target not in ("", host.id)
    ]


def _hinted_away(build: Build, fleet: Fleet, hosts: Sequence[str]) -> Sequence[str]:
    """Those of `hosts` that its hints don't allow."""
    away = fleet.hosts_of(build.spec.different_host)
    if not _companions(build):
        return away
    near = frozenset(fleet.hosts_of(_companions(build)))
    return (*away, *(host for host in hosts if host not in near))


def _companions(build: Build) -> tuple[str, ...]:
    """The guests that it is to share a host with. One that leaves a dead host isn't bound to those that it was with."""
    return () if build.action == "evacuate" else build.spec.same_host


def _both(among: Sequence[str] | None, near: Sequence[str] | None) -> Sequence[str] | None:
    """What is in both; None is everything."""
    if among is None or near is None:
        return near if among is None else among
    return [host for host in among if host in near]


def _deed(build: Build, host: Host) -> Deed:
    return Deed(
        guest=build.guest,
        project=build.project,
        number=build.number or len(build.refused) + 1,
        host=host.id,
        cluster=host.cluster,
        urn=build.urn,
    )


def no_room(build: Build, fleet: Fleet) -> Fault:
    """Why no host can take it, for a person."""
    room = wanted(build)
    hosts = fleet.hosts()
    text = f"No valid host was found: {room.vcpus} vCPUs, {room.ram_mib} MiB of memory and {room.disk_gib} GiB of disk"
    if _cluster(build):
        text += f" in availability zone {_cluster(build)}"
    if build.ties.cluster and not build.spec.availability_zone:
        text += ", where its networks are,"
    if build.ties.physical:
        text += f" on physical network {' and '.join(build.ties.physical)}"
    text += f" have no room on any of {len(hosts)} hosts"
    lacking = {missing(build, need): fleet.lacking(need) for need in _needs(build, fleet)}
    told = [f"{count} {words}" for words, count in lacking.items() if count]
    text += f" ({', '.join(told)})" if told else ""
    if build.target:
        text += " that it was to go to"
    text += groups.why(build)
    if build.spec.different_host or _companions(build):
        text += " that its scheduler hints allow"
    if build.refused:
        text += f", {len(build.refused)} of which refused it"
    none_is_such = hosts and len(hosts) in lacking.values()
    advice = "Choose another flavor or image" if none_is_such else "Delete guests, add hosts or choose a smaller flavor"
    return Fault(code="NoRoom", message=f"{text}. {advice}.")
