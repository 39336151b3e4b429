"""What leaves hosts out by what they are, and what a person is told when none is left."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.store.database import drop, put
from freehold.views.fleet import Fleet
from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.choice import Filter
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.host import Host
from freehold.vocabulary.request import Build
from freehold.vocabulary.units import clock_time
from freehold.workers.scheduler.lifecycle import Place, Surrender, decide, explained
from freehold.workers.scheduler.needs import Known, needs
from tests.owners import FLAVOR, a_build, a_fleet, a_host, replace_all

NOW = clock_time(1_000_000)
LATER = clock_time(1_001_000)
POSITION = Position(epoch="e", seq=1)
PLAIN = a_host("plain", ram_mib=4096, hypervisor="qemu", accelerator="tcg", architecture="x86_64")
FAST = replace(PLAIN, id="fast", name="fast", accelerator="kvm", traits=("CUSTOM_FAST",))


class Around:
    """A fleet of the two hosts, and the registrar that tells it of aggregates."""

    def __init__(self, *hosts: Host) -> None:
        self.fleet: Fleet = a_fleet()
        for host in hosts or (PLAIN, FAST):
            owner = Owner(store=host.id, role="host", cluster="c")
            self.fleet.apply(owner, POSITION, [Entry(1, 1, "host", host.id, put(host.id, host).value, "t", b"")])
            self.fleet.heard(Heartbeat(owner=owner, position=POSITION, time=1))

    def tell(self, *records: Aggregate | AggregateHost, gone: bool = False) -> None:
        changes = [drop(*key(record)) if gone else put(key(record)[1], record) for record in records]
        entries = [Entry(1, 1, one.kind, one.key, one.value, "t", b"") for one in changes]
        self.fleet.apply(Owner(store="r", role="registrar", cluster="c"), POSITION, entries)

    def aggregate(self, name: str, *hosts: str, **metadata: str) -> None:
        self.tell(Aggregate(id=name, number=1, name=name, metadata=metadata))
        self.tell(*(AggregateHost(aggregate=name, host=host) for host in hosts))

    def placed(self, build: Build) -> str:
        decision = decide(build, self.fleet, NOW)
        assert isinstance(decision, Place), decision
        return decision.deed.host

    def fault(self, build: Build) -> str:
        decision = decide(build, self.fleet, NOW)
        assert isinstance(decision, Surrender) and decision.fault.code == "NoRoom"
        return decision.fault.message

    def left_out(self, build: Build) -> dict[Filter, int]:
        return {one.filter: one.hosts for one in explained(build, self.fleet).left_out if one.hosts}


def key(record: Aggregate | AggregateHost) -> tuple[str, str]:
    if isinstance(record, Aggregate):
        return "aggregate", record.id
    return "aggregate_host", f"{record.aggregate}/{record.host}"


def build(project: str = "p", fields: dict[str, Any] | None = None, **specs: str) -> Build:
    spec = GuestSpec(flavor=replace(FLAVOR, extra_specs=specs), image="", **(fields or {}))
    return a_build(guest="g", project=project, spec=spec, expires=LATER)


def wanting(key: str, value: str) -> Build:
    return build(**{f"aggregate_instance_extra_specs:{key}": value})


def test_a_guest_that_may_be_anywhere_needs_nothing() -> None:
    assert needs(build(), Known()) == () and Around().left_out(build()) == {}


@pytest.mark.parametrize(
    ("asked", "host"),
    [
        (build(**{"trait:CUSTOM_FAST": "required"}), "fast"),
        (build(**{"trait:CUSTOM_FAST": "forbidden"}), "plain"),
        (build(fields={"image_traits": ("CUSTOM_FAST",)}), "fast"),
        (build(fields={"hypervisor_type": "kvm"}), "fast"),
    ],
)
def test_the_host_is_one_that_is_asked_for(asked: Build, host: str) -> None:
    around = Around()
    assert around.placed(asked) == host
    assert list(around.left_out(asked).values()) == [1]


@pytest.mark.parametrize(
    ("asked", "told", "filtered"),
    [
        (build(**{"trait:CUSTOM_GPU": "required"}), "2 without trait CUSTOM_GPU", Filter.TRAITS),
        (
            build(fields={"image_traits": ("CUSTOM_A",)}, **{"trait:CUSTOM_B": "required", "trait:C": "forbidden"}),
            "2 without traits CUSTOM_A, CUSTOM_B or with trait C",
            Filter.TRAITS,
        ),
        (build(fields={"architecture": "aarch64"}), "2 not of architecture aarch64", Filter.IMAGE),
        (wanting("ssd", "true"), "2 in no host aggregate with ssd=true", Filter.AGGREGATE),
    ],
)
def test_a_person_is_told_what_all_hosts_lack(asked: Build, told: str, filtered: Filter) -> None:
    around = Around()
    assert f"on any of 2 hosts ({told}). Choose another flavor or image." in around.fault(asked)
    assert around.left_out(asked) == {filtered: 2}


def test_where_only_some_lack_it_room_is_what_is_missing() -> None:
    asked = build(**{"trait:CUSTOM_FAST": "required"})
    large = replace(asked, spec=replace(asked.spec, flavor=replace(asked.spec.flavor, ram_mib=8192)))
    said = Around().fault(large)
    assert "(1 without trait CUSTOM_FAST). Delete guests" in said


def test_a_flavor_asks_for_hosts_by_the_metadata_of_their_aggregates() -> None:
    around = Around()
    around.aggregate("a", "plain", ssd="true", tier="gold,silver")
    around.aggregate("b", "fast", ssd="false")
    assert around.placed(wanting("ssd", "true")) == "plain"
    assert around.placed(wanting("ssd", "s!= true")) == "fast"
    assert around.placed(wanting("tier", "<or> silver <or> bronze")) == "plain"
    around.tell(AggregateHost(aggregate="a", host="plain"), gone=True)
    around.tell(AggregateHost(aggregate="a", host="fast"))
    assert around.placed(wanting("ssd", "true")) == "fast"
    around.tell(Aggregate(id="a", number=1, name="a"), gone=True)
    assert "2 in no host aggregate with ssd=true" in around.fault(wanting("ssd", "true"))


def test_several_specs_may_be_met_by_several_aggregates() -> None:
    around = Around()
    around.aggregate("a", "plain", "fast", ssd="true")
    around.aggregate("b", "plain", gpu="true")
    both = build(**{f"aggregate_instance_extra_specs:{name}": "true" for name in ("ssd", "gpu")})
    assert around.placed(both) == "plain" and around.left_out(both) == {Filter.AGGREGATE: 1}


def test_hosts_that_are_kept_for_projects_take_no_others_guests() -> None:
    around = Around()
    around.aggregate("a", "plain", filter_tenant_id="p1,p2")
    around.aggregate("b", "fast", filter_tenant_id_1="p2", filter_tenant_id_2="p3")
    assert around.placed(build("p1")) == "plain" and around.placed(build("p3")) == "fast"
    assert around.left_out(build("p1")) == {Filter.TENANT: 1} and around.left_out(build("p2")) == {}
    assert "2 kept for other projects" in around.fault(build("p4"))
    around.aggregate("b", note="open to all again")
    assert around.placed(build("p4")) == "fast"
    around.aggregate("b", filter_tenant_id="")
    assert "2 kept for other projects" in around.fault(build("p4"))


def test_a_host_in_two_such_aggregates_is_kept_for_the_projects_of_both() -> None:
    around = Around(PLAIN)
    around.aggregate("a", "plain", filter_tenant_id="p1")
    around.aggregate("b", "plain", filter_tenant_id="p2")
    assert around.placed(build("p1")) == around.placed(build("p2")) == "plain"
    assert "1 kept for other projects" in around.fault(build("p3"))


def test_a_host_that_comes_later_is_in_its_aggregates_at_once() -> None:
    around = Around(PLAIN)
    around.aggregate("a", "fast", filter_tenant_id="p1")
    owner = Owner(store="fast", role="host", cluster="c")
    around.fleet.apply(owner, POSITION, [Entry(1, 1, "host", "fast", put("fast", FAST).value, "t", b"")])
    around.fleet.heard(Heartbeat(owner=owner, position=POSITION, time=1))
    assert around.left_out(build("p1")) == {} and around.left_out(build("p2")) == {Filter.TENANT: 1}


def test_what_a_complete_state_has_not_is_forgotten() -> None:
    around = Around()
    around.aggregate("a", "plain", filter_tenant_id="p1")
    around.aggregate("b", "fast", filter_tenant_id="p1")
    rows = [
        Row(change.kind, change.key, 1, change.value or b"")
        for change in (
            put("a", Aggregate(id="a", number=1, name="a", metadata={"filter_tenant_id": "p1"})),
            put("b", Aggregate(id="b", number=1, name="b", metadata={"filter_tenant_id": "p1"})),
            put("a/plain", AggregateHost(aggregate="a", host="plain")),
        )
    ]
    replace_all(around.fleet, Owner(store="r", role="registrar", cluster="c"), POSITION, rows)
    assert around.placed(build("p2")) == "fast" and around.left_out(build("p2")) == {Filter.TENANT: 1}
    replace_all(around.fleet, Owner(store="another", role="registrar", cluster="c"), POSITION, [])
    assert around.left_out(build("p2")) == {Filter.TENANT: 1}, "only what that shard has told"
