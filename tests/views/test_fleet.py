"""The scheduler's view chooses the host that a plain search would, and lends room no longer than it should."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.runtime.clock import HybridClock
from freehold.store.database import drop, put
from freehold.store.writing import Change
from freehold.views.complete import START
from freehold.views.fleet import PROMISE_S, Fleet
from freehold.vocabulary.aggregate import FOR_ALL, Aggregate, AggregateHost, quality
from freehold.vocabulary.choice import Filter, Need
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.fence import Fence, fence_key
from freehold.vocabulary.guest import GuestSpec, Labels, Refusal
from freehold.vocabulary.host import Capacity, Host, Retirement
from freehold.vocabulary.request import Admission
from freehold.workers.registrar.lifecycle import admitted
from tests.owners import FLAVOR, HandClock, a_build, a_deed, a_fleet, a_guest, a_host, replace_all

ONE_MIB = Capacity(vcpus=1, ram_mib=1, disk_gib=1)
ONE = Capacity(vcpus=1, ram_mib=512, disk_gib=1)


class Around:
    """A fleet, told of by hand."""

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.clock = HandClock()
        self.fleet = fleet or a_fleet(self.clock)
        self.seq = 0

    def tell(self, store: str, *changes: Change, role: str = "host") -> None:
        entries = [Entry(n, 1, c.kind, c.key, c.value, "t", b"") for n, c in enumerate(changes, self.seq + 1)]
        self.seq += len(entries)
        self.fleet.apply(Owner(store=store, role=role, cluster="c"), Position(epoch="e", seq=self.seq), entries)

    def host(self, host: Host) -> None:
        self.tell(host.id, put(host.id, host))

    def beat(self, store: str) -> None:
        owner = Owner(store=store, role="host", cluster="c")
        self.fleet.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1))

    def chosen(self, wanted: Capacity = ONE, **how: Any) -> str | None:
        found = self.fleet.choose(wanted, **how)
        return None if found is None else found.id


def refusal(guest: str) -> Change:
    return put(guest, Refusal(guest=guest, project="p", deed=1, urn="u", fault=Fault(code="NoRoom", message="full")))


AMOUNT = st.integers(0, 9)
HOST = st.fixed_dictionaries(
    {
        "vcpus": AMOUNT,
        "ram_mib": AMOUNT,
        "disk_gib": AMOUNT,
        "enabled": st.booleans(),
        "cluster": st.sampled_from("ab"),
    }
)


@given(
    hosts=st.lists(st.tuples(HOST, st.booleans()), max_size=70),
    wanted=st.builds(Capacity, vcpus=AMOUNT, ram_mib=AMOUNT, disk_gib=AMOUNT),
    cluster=st.sampled_from(["", "a", "b"]),
    refused=st.sets(st.integers(0, 70)),
    promises=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 3)), max_size=10),
)
def test_the_choice_is_that_of_a_plain_search(
    hosts: list[tuple[dict[str, Any], bool]],
    wanted: Capacity,
    cluster: str,
    refused: set[int],
    promises: list[tuple[int, int]],
) -> None:
    around = Around()
    records = [a_host(f"{number}", **fields) for number, (fields, _) in enumerate(hosts)]
    free = {record.id: record.total for record in records}
    for record, (_, heard) in zip(records, hosts, strict=True):
        around.host(record)
        if heard:
            around.beat(record.id)
    for number, (index, amount) in enumerate(promises):
        taken = Capacity(vcpus=amount, ram_mib=amount, disk_gib=amount)
        around.fleet.promise(f"g{number}", f"{index}", taken)
        if f"{index}" in free:
            free[f"{index}"] = free[f"{index}"].minus(taken)
    fits = [
        record
        for record, (_, heard) in zip(records, hosts, strict=True)
        if heard
        and record.enabled
        and free[record.id].fits(wanted)
        and cluster in ("", record.cluster)
        and int(record.id) not in refused
    ]
    best = max((free[record.id].ram_mib for record in fits), default=None)
    chosen = around.fleet.choose(wanted, cluster, [f"{number}" for number in refused])
    assert (chosen is None) == (best is None)
    if chosen is not None:
        assert chosen in fits and free[chosen.id].ram_mib == best


def one_small_host() -> Around:
    around = Around()
    around.host(a_host("h", vcpus=1))
    around.beat("h")
    return around


def test_a_promise_takes_room_until_the_host_tells_of_the_guest() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    assert around.chosen() is None
    around.tell("h", put("h", a_host("h", vcpus=1, used=ONE)), put("g", a_guest("g", "h")))
    assert around.chosen() is None, "the host counts it itself now"
    around.host(a_host("h", vcpus=1))
    assert around.chosen() == "h", "counted twice"


def test_a_promise_is_given_back_when_the_host_refuses() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    around.tell("other", refusal("g"))
    assert around.chosen() is None, "another host's word is not this one's"
    around.tell("h", refusal("g"))
    assert around.chosen() == "h"


def test_a_promise_is_given_back_when_the_host_stays_silent_about_it() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    around.clock.move(PROMISE_S + 1)
    around.beat("h")
    assert around.chosen() == "h"


def test_a_promise_survives_the_hosts_other_news_and_moves_with_its_guest() -> None:
    around = one_small_host()
    around.host(a_host("i", vcpus=1))
    around.beat("i")
    around.fleet.promise("g", "h", ONE)
    around.host(a_host("h", vcpus=1))
    assert around.chosen(refused=["i"]) is None
    around.fleet.promise("g", "i", ONE)
    assert around.chosen(refused=["i"]) == "h" and around.chosen(refused=["h"]) is None
    around.fleet.give_back("g")
    assert around.chosen(refused=["h"]) == "i"


def test_a_silent_host_is_not_chosen() -> None:
    around = Around()
    around.host(a_host("h"))
    assert around.chosen() is None, "not heard yet"
    around.beat("h")
    assert around.chosen() == "h"
    around.clock.move(15)
    assert around.chosen() is None
    around.beat("h")
    assert around.chosen() == "h"


def admission(guest: str, deed: int = 1, host: str = "h") -> Change:
    return put(
        guest,
        Admission(
            guest=guest,
            project="p",
            user="u",
            urn="u",
            created=1,
            hostname="h",
            labels=Labels(name="n"),
            spec=GuestSpec(flavor=FLAVOR, image=""),
            deed=a_deed(guest, deed, host) if deed else None,
        ),
    )


def test_where_guests_are_is_what_the_registrar_says() -> None:
    around = Around()
    around.tell("r", admission("g", 1, "h"), admission("waiting", 0), role="registrar")
    assert around.fleet.placed("g") == ("h", "c", "p") and around.fleet.placed("waiting") is None
    around.tell("r", admission("g", 2, "i"), role="registrar")
    assert around.fleet.placed("g") == ("i", "c", "p")
    around.tell("r", drop("admission", "g"), admission("k"), role="registrar")
    assert around.fleet.placed("g") is None and around.fleet.placed("k") is not None
    change = admission("new")
    owner = Owner(store="r", role="registrar", cluster="c")
    replace_all(around.fleet, owner, Position(epoch="f"), [Row(change.kind, change.key, 1, change.value or b"")])
    assert around.fleet.placed("k") is None and around.fleet.placed("new") is not None
    other = Owner(store="another shard", role="registrar", cluster="c", shard=1)
    replace_all(around.fleet, other, Position(epoch="f"), [])
    assert around.fleet.placed("new") is not None


def test_more_hosts_than_the_first_columns_hold() -> None:
    around = Around()
    for number in range(300):
        around.host(a_host(f"{number}", ram_mib=1000 + number))
        around.beat(f"{number}")
    assert around.chosen() == "299" and len(around.fleet.hosts()) == 300


def test_a_retired_host_is_no_host_whatever_it_says() -> None:
    around = Around()
    gone = put("h1", Retirement(host="h1", name="h1", user="u", time=1))
    for host in ("h1", "h2"):
        around.host(a_host(host, ram_mib=99 if host == "h1" else 9))
        around.beat(host)
    assert around.chosen(ONE_MIB) == "h1"
    around.tell("r", gone, role="registrar")
    assert (around.chosen(ONE_MIB), [host.id for host in around.fleet.hosts()]) == ("h2", ["h2"])
    around.host(a_host("h1", ram_mib=99))
    around.beat("h1")
    assert (around.chosen(ONE_MIB), around.fleet.host("h1")) == ("h2", None)


def test_a_retirement_that_is_heard_of_before_its_host() -> None:
    around = Around()
    around.tell("r", put("h1", Retirement(host="h1", name="h1", user="u", time=1)), role="registrar")
    around.host(a_host("h1"))
    around.beat("h1")
    assert around.chosen() is None and not around.fleet.hosts()


class Restarted(Around):
    """One that is ended and comes again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "fleet"
        super().__init__(Fleet(HybridClock(HandClock()), self._folder, "boot"))

    def again(self, boot: str = "boot") -> None:
        self.fleet = Fleet(HybridClock(self.clock), self._folder, boot)

    def seen(self) -> tuple[Any, ...]:
        fleet = self.fleet
        deeds = [fleet.placed(guest) for guest in "abc"]
        choices = [fleet.explain(ONE, cluster, ()) for cluster in ("", "c", "d")]
        retired = [fleet.is_retired(host.id) for host in (H1, H2, H3)]
        heeded = [fleet.heeds(host.id) for host in (H1, H2, H3)]
        return fleet.positions(), fleet.hosts(), deeds, choices, retired, heeded, fleet.group_hosts("g")


H1, H2, H3 = a_host("h1", ram_mib=4096), a_host("h2", ram_mib=8192, cluster="d"), a_host("h3", ram_mib=1024)


@pytest.fixture
def restarted(tmp_path: Path) -> Restarted:
    around = Restarted(tmp_path)
    for host in (H1, H2, H3):
        around.host(host)
        around.beat(host.id)
    around.tell("r0", put("a", member("a", "h2")), put("b", member("b", "h3", group="")), role="registrar")
    return around


def member(guest: str, host: str, group: str = "g") -> Admission:
    build = a_build(guest=guest)
    spec = replace(build.spec, server_group=group)
    return replace(admitted(replace(build, spec=spec)), deed=a_deed(guest, 1, host))


def test_it_goes_on_from_what_was_kept(restarted: Restarted) -> None:
    fence = Fence(host="h1", shard=0, name="h1", user="u", evidence="I have pulled its plug.", time=1)
    gone = Retirement(host="h3", name="h3", user="u", time=1)
    restarted.tell("r0", put("h3", gone), put(fence_key("h1", 0), fence), role="registrar")
    before = restarted.seen()
    restarted.fleet.close()
    restarted.again()
    assert restarted.seen() == before
    assert restarted.chosen() == "h2" and restarted.fleet.host("h3") is None
    restarted.host(replace(H2, used=H2.total))
    assert restarted.chosen() is None, "what it learns after that counts"


def test_what_hosts_are_is_kept_too(restarted: Restarted) -> None:
    restarted.host(replace(H1, traits=("CUSTOM_FAST",)))
    restarted.tell(
        "r0",
        put("a", Aggregate(id="a", number=1, name="a", metadata={"filter_tenant_id": "p"})),
        put("a/h2", AggregateHost(aggregate="a", host="h2")),
        role="registrar",
    )
    fast, open_to_all = frozenset(["CUSTOM_FAST"]), frozenset([FOR_ALL])
    for _ in range(2):
        assert restarted.chosen(needs=[Need(Filter.TRAITS, every=fast)]) == "h1"
        assert restarted.chosen(needs=[Need(Filter.TRAITS, none=fast)]) == "h2"
        assert restarted.chosen(needs=[Need(Filter.TENANT, some=(open_to_all,))]) == "h1"
        assert restarted.fleet.lacking(Need(Filter.TENANT, some=(open_to_all,))) == 1
        assert restarted.fleet.aggregates.for_project("p") == {FOR_ALL, quality("a")}
        restarted.fleet.close()
        restarted.again()
    restarted.tell("r0", drop("aggregate_host", "a/h2"), role="registrar")
    assert restarted.chosen(needs=[Need(Filter.TENANT, some=(open_to_all,))]) == "h2"


def test_one_that_is_killed_knows_what_it_knew_when_it_last_kept_it(restarted: Restarted) -> None:
    restarted.fleet.keep()
    before = restarted.seen()
    restarted.host(replace(H2, used=H2.total))
    restarted.host(a_host("h4"))
    restarted.tell("r0", drop("admission", "a"), role="registrar")
    restarted.fleet.abandon()
    restarted.again()
    assert restarted.seen() == before, "and stands at no later place in any log"


def test_a_host_counts_as_heard_no_longer_for_a_restart(restarted: Restarted) -> None:
    restarted.fleet.close()
    restarted.clock.move(14.0)
    restarted.again()
    assert restarted.chosen() == "h2"
    restarted.clock.move(2.0)
    assert restarted.chosen() is None
    restarted.beat("h1")
    assert restarted.chosen() == "h1"


def test_of_another_start_of_the_machine_no_host_counts_as_heard(restarted: Restarted) -> None:
    restarted.fleet.close()
    restarted.again("another")
    assert restarted.chosen() is None
    assert restarted.chosen(silent=True) == "h2"


def test_after_a_power_cut_it_begins_anew(restarted: Restarted) -> None:
    restarted.fleet.keep()
    restarted.fleet.abandon()
    restarted.again("another")
    assert restarted.fleet.positions() == {} and restarted.fleet.hosts() == []


def test_a_shards_complete_state_is_all_that_is_kept_of_it(restarted: Restarted) -> None:
    restarted.tell("r1", put("c", member("c", "h1")), role="registrar")
    rows = [Row("admission", "b", 1, put("b", member("b", "h2", group="")).value or b"")]
    owner = Owner(store="r0", role="registrar", cluster="c")
    replace_all(restarted.fleet, owner, Position(epoch="f", seq=9), rows)
    before = restarted.seen()
    restarted.fleet.close()
    restarted.again()
    assert restarted.seen() == before
    assert [restarted.fleet.placed(guest) is not None for guest in "abc"] == [False, True, True]
    assert restarted.fleet.group_hosts("g") == ("h1",)


def test_of_a_complete_state_in_parts_each_forgets_its_own(restarted: Restarted) -> None:
    """Where guests are is known throughout: of those that no part was read of yet, as it was before."""
    owner = Owner(store="r0", role="registrar", cluster="c")
    restarted.tell("r0", *(put(key, member(key, "h1")) for key in "cdef"), role="registrar")
    restarted.tell("r1", put("g", member("g", "h1")), role="registrar")
    fleet = restarted.fleet

    def placed() -> str:
        return "".join(guest for guest in "abcdefg" if fleet.placed(guest) is not None)

    def row(key: str) -> Row:
        return Row("admission", key, 1, put(key, member(key, "h2")).value or b"")

    before = fleet.positions()["r0"]
    assert placed() == "abcdefg"
    fleet.begin(owner)
    fleet.take_part(owner, START, ("admission", "c"), [row("b")])
    assert placed() == "bdefg" and fleet.positions()["r0"] == before and set(fleet.unread()) == {"r0"}
    fleet.take_part(owner, ("admission", "c"), ("admission", "e"), [row("d"), row("e")])
    assert placed() == "bdefg"
    fleet.keep()
    fleet.abandon()
    restarted.again()
    fleet = restarted.fleet
    assert placed() == "bdefg" and set(fleet.unread()) == {"r0"}, "it begins anew, for it knows that it isn't whole"
    replace_all(fleet, owner, Position(epoch="f", seq=9), [row("b"), row("d")])
    assert placed() == "bdg" and not fleet.unread() and fleet.positions()["r0"].seq == 9
    fleet.close()
    restarted.again()
    assert not restarted.fleet.unread()
