"""The decision for one build, as a table: what stands, and what is done."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.views.fleet import Fleet
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.network import Carriage, Ties
from freehold.vocabulary.request import FORGOTTEN_S, Build
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.units import clock_time
from freehold.workers.registrar.lifecycle import admitted
from freehold.workers.scheduler.lifecycle import Decision, Drop, PassOn, Place, Surrender, decide, explained, wanted
from tests.owners import HandClock, a_build, a_deed, a_fleet, a_host

LATER = clock_time(1_000_000)
FORGOTTEN = clock_time(1_000_000 + FORGOTTEN_S * 1000)
NOW = LATER - 1
FLAVOR = Flavor(id="f", name="tiny", vcpus=2, ram_mib=512, disk_gib=3, ephemeral_gib=4)
SMALL, LARGE = a_host("small", ram_mib=1024), a_host("large", ram_mib=4096, cluster="d")


def fleet_of(*hosts: Host, clock: HandClock | None = None) -> Fleet:
    fleet = a_fleet(clock)
    for host in hosts:
        owner, position = Owner(store=host.id, role="host", cluster=host.cluster), Position(epoch="e", seq=1)
        change = put(host.id, host)
        fleet.apply(owner, position, [Entry(1, 1, change.kind, change.key, change.value, "t", b"")])
        fleet.heard(Heartbeat(owner=owner, position=position, time=1))
    return fleet


def build(flavor: Flavor = FLAVOR, zone: str = "", **fields: Any) -> Build:
    spec = GuestSpec(flavor=flavor, image="", availability_zone=zone)
    return a_build(**{"guest": "g", "spec": spec, "expires": LATER} | fields)


def decided(asked: Build, *hosts: Host, now: int = NOW) -> Decision:
    return decide(asked, fleet_of(*(hosts or (SMALL, LARGE))), now)


def placed(asked: Build, *hosts: Host) -> Place:
    decision = decided(asked, *hosts)
    assert isinstance(decision, Place)
    return decision


def fault_of(asked: Build, *hosts: Host) -> str:
    decision = decided(asked, *hosts)
    assert isinstance(decision, Surrender) and decision.build is asked and decision.fault.code == "NoRoom"
    return decision.fault.message


def test_ephemeral_disk_takes_room_too() -> None:
    assert wanted(build()) == Capacity(vcpus=2, ram_mib=512, disk_gib=7)
    assert isinstance(decided(build(), a_host("h", disk_gib=6)), Surrender)
    assert isinstance(decided(build(), a_host("h", disk_gib=7)), Place)


def test_a_place_is_a_deed_for_the_host_with_the_most_room() -> None:
    place = placed(build(urn="urn:7"))
    deed = place.deed
    assert (deed.guest, deed.project, deed.number, deed.urn) == ("g", "p", 1, "urn:7")
    assert (deed.host, deed.cluster) == ("large", "d")
    assert place.build.deed is None, "nobody has recorded it"


def test_each_refusal_is_a_higher_deed_elsewhere() -> None:
    second = placed(build(refused=("large",))).deed
    assert (second.number, second.host) == (2, "small")
    third = placed(build(refused=("large", "gone"))).deed
    assert (third.number, third.host) == (3, "small")


@pytest.mark.parametrize(("now", "dropped"), [(LATER + 1, False), (FORGOTTEN - 1, False), (FORGOTTEN, True)])
def test_a_build_that_is_a_day_late_is_dropped(now: int, dropped: bool) -> None:
    assert isinstance(decided(build(), now=now), Drop) == dropped
    assert isinstance(decided(build(deed=a_deed("g", host="large")), now=now), Drop) == dropped


def test_a_build_with_a_deed_goes_where_the_deed_says() -> None:
    asked = build(deed=a_deed("g", host="small"))
    assert decided(asked) == PassOn(asked)
    assert decided(asked, a_host("small", enabled=False)) == PassOn(asked), "who holds a deed isn't chosen again"


def test_a_deed_that_its_host_has_refused_is_history() -> None:
    deed = placed(build(deed=a_deed("g", host="large"), refused=("large",))).deed
    assert (deed.number, deed.host) == (2, "small")


def test_a_zone_is_a_cluster() -> None:
    assert placed(build(zone="c")).deed.host == "small"
    assert placed(build(zone="d")).deed.host == "large"
    assert "in availability zone nowhere" in fault_of(build(zone="nowhere"))


def test_no_room_says_what_was_wanted_and_who_refused() -> None:
    said = fault_of(build(Flavor(id="f", name="huge", vcpus=9, ram_mib=99999, disk_gib=1)))
    assert said.startswith("No valid host was found: 9 vCPUs, 99999 MiB of memory and 1 GiB of disk have no room")
    assert "any of 2 hosts." in said and "refused" not in said and "zone" not in said
    said = fault_of(build(refused=("small", "large")))
    assert "2 of which refused it" in said and "choose a smaller flavor" in said


def test_an_empty_fleet_has_no_room() -> None:
    assert isinstance(decide(build(), a_fleet(), NOW), Surrender)


def test_a_build_goes_to_the_cluster_of_its_networks_though_no_zone_was_asked_for() -> None:
    near, far = a_host("near", cluster="c", ram_mib=2048), a_host("far", cluster="d")
    assert placed(build(), near, far).deed.host == "far"
    assert placed(build(ties=Ties(cluster="c")), near, far).deed.host == "near"
    message = fault_of(build(ties=Ties(cluster="c"), refused=("near",)), near, far)
    assert "in availability zone c, where its networks are," in message


def test_a_host_that_is_not_on_a_physical_network_is_not_asked() -> None:
    on = a_host("on", ram_mib=2048, carriage=Carriage(physical=(("public", 1500), ("lab", 1500))))
    off = a_host("off", carriage=Carriage(physical=(("lab", 1500),)))
    assert placed(build(ties=Ties(physical=("lab",))), on, off).deed.host == "off"
    assert placed(build(ties=Ties(physical=("lab", "public"))), on, off).deed.host == "on"
    assert "on physical network public" in fault_of(build(ties=Ties(physical=("public",))), off)


def test_a_build_waits_for_hosts_that_have_room_and_arent_heard() -> None:
    clock = HandClock()
    fleet = fleet_of(LARGE, clock=clock)
    clock.move(60)
    assert isinstance(decide(build(), fleet, NOW), Drop)
    assert isinstance(decide(build(zone="elsewhere"), fleet, NOW), Surrender)
    assert isinstance(decide(build(refused=("large",)), fleet, NOW), Surrender)


def counts(asked: Build, fleet: Fleet) -> dict[str, int]:
    return {one.filter.value: one.hosts for one in explained(asked, fleet).left_out if one.hosts}


def test_a_choice_is_explained_host_by_host() -> None:
    hosts = [
        SMALL,
        LARGE,
        a_host("drained", enabled=False),
        a_host("full", vcpus=1),
        a_host("flat", disk_gib=1),
        a_host("best", ram_mib=8192),
    ]
    fleet = fleet_of(*hosts)
    choice = explained(build(refused=("large",)), fleet)
    assert (choice.hosts, choice.fit, choice.best) == (6, 2, ("best", "small"))
    assert counts(build(refused=("large",)), fleet) == {"closed": 1, "vcpus": 1, "disk": 1, "refused": 1}
    big = Flavor(id="f", name="big", vcpus=1, ram_mib=2048, disk_gib=1)
    assert counts(build(big, zone="d"), fleet) == {"closed": 1, "zone": 4}
    assert counts(build(ties=Ties(physical=("public",))), fleet)["target"] == 3
    silent = HandClock()
    fleet = fleet_of(SMALL, LARGE, clock=silent)
    silent.move(1000)
    assert counts(build(), fleet) == {"silent": 2}


def hinted_fleet() -> Fleet:
    """Guest "a" is on the larger host, "b" on the smaller."""
    fleet = fleet_of(SMALL, LARGE)
    placed = [(guest, replace(admitted(a_build(guest=guest)), deed=a_deed(guest, 1, host))) for guest, host in HAVE]
    changes = [put(guest, admission) for guest, admission in placed]
    entries = [Entry(n, 1, c.kind, c.key, c.value, "t", b"") for n, c in enumerate(changes, 1)]
    fleet.apply(Owner(store="r", role="registrar", cluster="c"), Position(epoch="e", seq=2), entries)
    return fleet


HAVE = (("a", "large"), ("b", "small"))


@pytest.mark.parametrize(
    ("hints", "host"),
    [
        ({}, "large"),
        ({"different_host": ("b",)}, "large"),
        ({"different_host": ("a",)}, "small"),
        ({"different_host": ("a", "b")}, None),
        ({"different_host": ("nobody",)}, "large"),
        ({"same_host": ("b",)}, "small"),
        ({"same_host": ("a", "b")}, "large"),
        ({"same_host": ("nobody",)}, None),
        ({"same_host": ("b",), "different_host": ("b",)}, None),
    ],
)
def test_hints_name_guests_to_be_near_or_apart_from(hints: dict[str, tuple[str, ...]], host: str | None) -> None:
    fleet = hinted_fleet()
    asked = replace(build(), spec=replace(build().spec, **hints))
    decision = decide(asked, fleet, NOW)
    assert (decision.deed.host if isinstance(decision, Place) else None) == host
    fit = explained(asked, fleet).fit
    assert (fit > 0) is (host is not None)
    if isinstance(decision, Surrender):
        assert "that its scheduler hints allow" in decision.fault.message


@pytest.mark.parametrize(
    ("action", "hints", "host"),
    [
        ("evacuate", {"same_host": ("b",)}, "large"),
        ("create", {"same_host": ("b",)}, None),
        ("evacuate", {"different_host": ("a",)}, None),
    ],
)
def test_a_guest_that_leaves_a_dead_host_isnt_bound_to_those_that_it_was_with(
    action: str, hints: dict[str, tuple[str, ...]], host: str | None
) -> None:
    asked = replace(build(), action=action, refused=("small",), spec=replace(build().spec, **hints))
    decision = decide(asked, hinted_fleet(), NOW)
    assert (decision.deed.host if isinstance(decision, Place) else None) == host
    assert (explained(asked, hinted_fleet()).fit > 0) is (host is not None)
